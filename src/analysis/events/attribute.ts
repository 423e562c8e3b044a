import type { AssignedArm } from "../../core/words.ts";
import { decideArm } from "../../rollout/decide.ts";
import type { CountedEvent } from "../../store/event-store.ts";
import { type KnownRequest, userDigest } from "../../telemetry/request-ledger.ts";
import type { BusinessMetric } from "../business.ts";
import type { BusinessEvent, Said, SignalEvent, UserEvent } from "./event.ts";
import type { History } from "./history.ts";
import { writeLabel } from "./labels.ts";

/** What whose an event is follows from. */
export interface Surroundings {
  readonly flag: string;
  /** Names of the flag's segments, by number. */
  readonly segments: readonly string[];
  readonly history: History;
  findRequest(requestId: string): KnownRequest | undefined;
  /** Name of the flag that splits a route, by the route's number. */
  readonly routeFlags: readonly (string | undefined)[];
  stepAt(ms: number): { readonly rollout: string; readonly step: number } | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly lateMs: number;
}

export type Attribution =
  | { readonly kind: "counted"; readonly event: CountedEvent }
  /** Another instance may know the request. */
  | { readonly kind: "unknown-request"; readonly event: UserEvent }
  | { readonly kind: "late" | "future" | "unattributed"; readonly field: string; readonly why: string };

/** Clocks of those who send events may be ahead by so much. */
const AHEAD_MS = 5 * 60_000;
const MINUTE_MS = 60_000;

/** Finds out which arm an event counts for: the one that was assigned when it happened. Pure but for what it is given. */
export function attribute(event: BusinessEvent, around: Surroundings): Attribution {
  const { now, lateMs } = around;
  if (event.at > now + AHEAD_MS) {
    return { kind: "future", field: "at", why: "lies more than 5 minutes ahead; is the clock right, and is it in milliseconds?" };
  }
  if (event.at < now - lateMs) {
    return { kind: "late", field: "at", why: `is longer ago than events are accepted for (${lateMs / 3_600_000} hours)` };
  }
  if (event.kind === "signal") return { kind: "counted", event: countedSignal(event) };
  const request = event.requestId === undefined ? undefined : around.findRequest(event.requestId);
  if (request !== undefined) return byRequest(event, request, around);
  if (event.user !== undefined) return byUser(event, event.user, around);
  return { kind: "unknown-request", event };
}

function byRequest(event: UserEvent, request: KnownRequest, around: Surroundings): Attribution {
  const { assigned, served, segment, user, at, route } = request;
  if (around.routeFlags[route] !== around.flag || assigned === "none") {
    return { kind: "unattributed", field: "request_id", why: `is a request that ${around.flag} did not split` };
  }
  return counted(event, around, {
    arm: assigned,
    served: served === "none" ? undefined : served,
    segment: around.segments[segment] ?? "none",
    user,
    // The shares of that time are those by which this user came to this arm.
    stratumAt: at,
  });
}

function byUser(event: UserEvent, user: string, around: Surroundings): Attribution {
  const rules = around.history.at(event.at);
  if (rules === undefined) {
    return { kind: "unattributed", field: "at", why: "lies before the settings are known that were in force then; send request_id" };
  }
  const decision = decideArm(rules, false, { key: user, segment: event.segment, override: undefined });
  return counted(event, around, {
    arm: decision.arm,
    served: event.served,
    segment: around.segments[decision.segment] ?? "none",
    user: userDigest(user),
    stratumAt: event.at,
  });
}

interface Whose {
  readonly arm: AssignedArm;
  readonly served: AssignedArm | undefined;
  readonly segment: string;
  readonly user: string | undefined;
  readonly stratumAt: number;
}

function counted(event: UserEvent, around: Surroundings, whose: Whose): Attribution {
  const { arm, segment, user } = whose;
  const stratum = around.stepAt(whose.stratumAt);
  const step = stratum?.step ?? -1;
  const served = whose.served ?? event.served;
  const sums = sumsOf(event.said);
  const adds: CountedEvent["adds"] = [
    ...sums.map(({ metric, y, n }) => ({ label: writeLabel({ by: "assigned", arm, segment, metric, step }), y, n })),
    ...(served === undefined
      ? []
      : sums.map(({ metric, y, n }) => ({
          label: writeLabel({ by: "served", arm: served, segment, metric, step }),
          y,
          n,
          usersOnly: true,
        }))),
    // Nobody who is on the candidate by other means than the plan says anything about the plan.
    ...(step < 0
      ? []
      : sums.map(({ metric, y, n }) => ({ label: writeLabel({ by: "overall", arm, segment, metric }), y, n, usersOnly: true }))),
    { label: writeLabel({ by: "present", arm, segment }), y: 0, n: 0, usersOnly: true },
  ];
  const minute = Math.floor(event.at / MINUTE_MS);
  return { kind: "counted", event: { id: event.id, minute, user, rollout: stratum?.rollout, adds, signal: undefined } };
}

/** A match that was judged is what conversions and revenue are counted per. */
function sumsOf(said: Said): readonly { readonly metric: BusinessMetric; readonly y: number; readonly n: number }[] {
  switch (said.type) {
    case "match":
      return [
        { metric: "accuracy", y: said.confirmed ? 1 : 0, n: 1 },
        { metric: "conversion", y: 0, n: 1 },
        { metric: "revenue", y: 0, n: 1 },
      ];
    case "rating":
      return [{ metric: "satisfaction", y: said.ratio, n: 1 }];
    case "conversion":
      return [{ metric: "conversion", y: 1, n: 0 }];
    case "revenue":
      return [{ metric: "revenue", y: said.amount, n: 0 }];
  }
}

function countedSignal({ id, at, reported }: SignalEvent): CountedEvent {
  const { type, value, note } = reported;
  return {
    id,
    minute: Math.floor(at / MINUTE_MS),
    user: undefined,
    rollout: undefined,
    adds: [],
    signal: { lane: type, at, text: JSON.stringify({ kind: type, at, value, note }) },
  };
}

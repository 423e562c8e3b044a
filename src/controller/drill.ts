import { formatDuration, formatShare } from "../core/quantity.ts";
import type { Hook } from "../config/config.ts";
import type { DrilledHook, DrillPhase, DrillReport } from "./drill-report.ts";
import type { InForce } from "./fields.ts";
import type { HookOptions, HookPayload, HookResult } from "./hooks.ts";

/** What a rehearsal needs of the running program. */
export interface DrillParts {
  /**
   * Writes settings of the flag the way a rollback does, and resolves when every live instance has confirmed them or `waitMs` are over. Rejects when
   * they were not written, or nobody knows; also when `ifRevision` is given and no longer in force.
   */
  write(fields: Readonly<Record<string, string | null>>, reason: string, options: DrillWrite): Promise<DrillReceipt>;
  /** Requests that the fleet sent to the candidate since that instant (epoch ms); undefined: not known yet. */
  candidateRequestsSince(at: number): Promise<number | undefined>;
  runHook(hook: Hook, payload: HookPayload, options: HookOptions): Promise<HookResult>;
  /** Whether the stable arm is well; undefined: it could not be asked. */
  probeStable(): Promise<{ readonly healthy: boolean; readonly detail: string } | undefined>;
  /** Epoch milliseconds. */
  now(): number;
  /** Resolves after so many milliseconds. */
  pause(ms: number): Promise<void>;
}

export interface DrillWrite {
  readonly waitMs: number;
  /** Undefined: whatever is in force. */
  readonly ifRevision: number | undefined;
}

export interface DrillReceipt {
  readonly revision: number;
  readonly acknowledged: readonly string[];
  readonly missing: readonly string[];
  /** False: only this instance has been told. Default: true. */
  readonly shared?: boolean;
}

export interface DrillOptions {
  readonly flag: string;
  /** True: everybody goes to the stable arm for real, and back afterwards. */
  readonly live: boolean;
  readonly inForce: InForce;
  /** Those of a rollback, in their order. */
  readonly hooks: readonly Hook[];
  readonly limitMs: number;
  readonly trafficLimitMs: number;
  readonly reason: string;
  /** Id of the rollout that is under way, if any. */
  readonly rollout: string | undefined;
  /** Calls off what is not done yet. What was taken away is put back all the same. */
  readonly signal?: AbortSignal;
  /** No request on the candidate for so long: the last one is over. Longer than figures are on their way. Default: 3 s. */
  readonly quietMs?: number;
}

/** Instances that lag are worth knowing by how much: the wait is longer than the limit. */
const LEAST_WAIT_MS = 10_000;
/** Figures are told every second, and on their way for a while. */
const QUIET_MS = 3_000;
const LOOK_MS = 100;
/** For the last request to come. */
const LAST_REQUEST_MS = 30_000;

/**
 * Rehearses a rollback, and says what it took. Shadow: the setting `drill`, which decides nothing, goes the whole way of a rollback to every
 * instance, and the hooks that allow it are run. Live: the share is 0 for real until every hook has run. Never rejects.
 */
export async function rehearse(parts: DrillParts, options: DrillOptions): Promise<DrillReport> {
  const at = parts.now();
  const stable = await lookAtStable(parts);
  const refusal = options.live ? whyNotLive(stable, options) : undefined;
  if (refusal !== undefined) return reportOf(options, at, { ...NOTHING, stable, refusal, hooks: options.hooks.map(leftOut) });
  const traffic = await moveTraffic(parts, options, at);
  try {
    const last = options.live && traffic.receipt !== undefined ? await awaitLastRequest(parts, options) : undefined;
    const hooks = await rehearseHooks(parts, options, traffic.receipt !== undefined);
    const putBack = await restore(parts, options, traffic.receipt);
    return reportOf(options, at, { refusal: undefined, stable, traffic, last, hooks, putBack });
  } catch (error) {
    // Nothing above is meant to throw; but a share that stays at 0 would be worse than a report that is less than whole.
    const putBack = await restore(parts, options, traffic.receipt);
    return reportOf(options, at, { ...NOTHING, stable, traffic, putBack, refusal: `the drill broke off: ${messageOf(error)}` });
  }
}

interface Findings {
  /** Why it was not made, or not to its end. */
  readonly refusal: string | undefined;
  readonly stable: DrillPhase;
  readonly traffic: Traffic | undefined;
  readonly last: DrillPhase | undefined;
  readonly hooks: readonly DrilledHook[];
  readonly putBack: DrillPhase | undefined;
}

interface Traffic {
  readonly phase: DrillPhase;
  /** Undefined: nothing was written. */
  readonly receipt: DrillReceipt | undefined;
}

const NOTHING = { refusal: undefined, traffic: undefined, last: undefined, hooks: [], putBack: undefined };

async function lookAtStable(parts: DrillParts): Promise<DrillPhase> {
  const began = parts.now();
  const seen = await parts.probeStable().catch((error: unknown) => ({ healthy: undefined, detail: messageOf(error) }));
  const phase = { name: "stable arm", ms: parts.now() - began, limitMs: undefined } as const;
  if (seen?.healthy === undefined) return { ...phase, status: "unknown", detail: seen?.detail ?? "it could not be asked" };
  return { ...phase, status: seen.healthy ? "ok" : "failed", detail: seen.detail };
}

/** Everybody's requests are not sent to an arm that is down, for a rehearsal. */
function whyNotLive(stable: DrillPhase, { inForce: { killed, enabled, percentageBp, segments } }: DrillOptions): string | undefined {
  if (stable.status !== "ok") return `a live drill sends everybody to the stable arm, and that is not known to be well: ${stable.detail}`;
  if (killed || !enabled) return "the flag is killed or disabled, so there is no traffic to take back; a shadow drill needs none";
  if (percentageBp === 0 && Object.values(segments).every((bp) => bp === 0))
    return "nobody is on the candidate, so there is no traffic to take back; a shadow drill needs none";
  return undefined;
}

async function moveTraffic(parts: DrillParts, options: DrillOptions, at: number): Promise<Traffic> {
  const { live, inForce, limitMs, trafficLimitMs, reason } = options;
  const fields = live ? sharesOf(inForce, () => 0) : { drill: new Date(at).toISOString() };
  const began = parts.now();
  const phase = { name: "traffic", limitMs: trafficLimitMs } as const;
  try {
    const waitMs = Math.max(trafficLimitMs, Math.min(limitMs, LEAST_WAIT_MS));
    const receipt = await parts.write(fields, `drill: ${reason}`, { waitMs, ifRevision: live ? inForce.revision : undefined });
    const ms = parts.now() - began;
    return { receipt, phase: { ...phase, ms, ...confirmed(receipt, ms <= trafficLimitMs) } };
  } catch (error) {
    const unsure = live ? "; whether the share is 0 now is not known, so look at it" : "";
    return {
      receipt: undefined,
      phase: { ...phase, status: "failed", ms: undefined, detail: `not written: ${messageOf(error)}${unsure}` },
    };
  }
}

function confirmed(
  { acknowledged, missing, shared = true, revision }: DrillReceipt,
  inTime: boolean,
): Pick<DrillPhase, "status" | "detail"> {
  if (!shared) return { status: "failed", detail: "the store could not be reached, so only this instance knows" };
  if (missing.length > 0) return { status: "failed", detail: `not confirmed by ${missing.join(", ")}` };
  if (acknowledged.length === 0) return { status: "unknown", detail: "no instance has confirmed" };
  const count = acknowledged.length === 1 ? "the only instance" : `all ${acknowledged.length} instances`;
  return { status: inTime ? "ok" : "late", detail: `revision ${revision} confirmed by ${count}` };
}

/** Fields of every share that is not 0, with what `change` makes of its basis points. */
function sharesOf({ percentageBp, segments }: InForce, change: (bp: number) => number): Record<string, string> {
  const shares = [
    ["rollout_percentage", percentageBp] as const,
    ...Object.entries(segments).map(([name, bp]) => [`segment.${name}`, bp] as const),
  ];
  return Object.fromEntries(shares.filter(([, bp]) => bp > 0).map(([field, bp]) => [field, formatShare(change(bp))]));
}

/** Waits until the candidate has been left alone for a while. Takes: from now to the last sign of a request, rounded up to when it was seen. */
async function awaitLastRequest(parts: DrillParts, { signal, quietMs = QUIET_MS }: DrillOptions): Promise<DrillPhase> {
  const began = parts.now();
  let lastSeen = began;
  const phase = { name: "last request", limitMs: undefined } as const;
  for (;;) {
    const requests = await parts.candidateRequestsSince(lastSeen).catch(() => undefined);
    const now = parts.now();
    if (requests === 0 && now - lastSeen >= quietMs)
      return { ...phase, status: "ok", ms: lastSeen - began, detail: `the candidate has had none for ${formatDuration(quietMs)}` };
    if (requests !== undefined && requests > 0) lastSeen = now;
    if (now - began >= LAST_REQUEST_MS + quietMs || signal?.aborted === true) {
      if (requests === undefined) return { ...phase, status: "unknown", ms: undefined, detail: "there are no figures that tell" };
      const detail = lastSeen > began ? "the candidate still gets requests" : "it was not waited for to the end";
      return { ...phase, status: lastSeen > began ? "late" : "unknown", ms: now - began, detail };
    }
    await parts.pause(LOOK_MS);
  }
}

/** One after the other, as after a rollback. A hook that fails does not keep the next from being run. */
async function rehearseHooks(parts: DrillParts, options: DrillOptions, moved: boolean): Promise<DrilledHook[]> {
  const { live, flag, rollout, reason, signal, hooks } = options;
  const payload: HookPayload = { event: "rollback", flag, rollout, reason: `drill: ${reason}` };
  const drilled: DrilledHook[] = [];
  for (const hook of hooks) {
    if (!live && !hook.drill) {
      drilled.push({
        ...leftOut(hook),
        status: "not-rehearsed",
        detail: "only live drills run it; `drill: true` says that it does no harm",
      });
    } else if (!moved || signal?.aborted === true) {
      drilled.push(leftOut(hook));
    } else {
      const began = parts.now();
      const failed = (error: unknown): HookResult => ({ status: "failed", ms: parts.now() - began, detail: messageOf(error) });
      const result = await parts.runHook(hook, payload, { drill: true, signal }).catch(failed);
      drilled.push({ name: hook.name, limitMs: hook.timeoutMs, ...result });
    }
  }
  return drilled;
}

function leftOut({ name, timeoutMs }: Hook): DrilledHook {
  return { name, status: "left-out", ms: undefined, limitMs: timeoutMs, detail: "" };
}

/** Only over what the drill itself wrote: whoever has changed the settings since meant it. Undefined: there is nothing to put back. */
async function restore(parts: DrillParts, options: DrillOptions, receipt: DrillReceipt | undefined): Promise<DrillPhase | undefined> {
  if (receipt === undefined) return undefined;
  const { live, inForce, limitMs, reason } = options;
  const began = parts.now();
  const phase = { name: "put back", limitMs: undefined } as const;
  const text = `end of the drill: ${reason}`;
  try {
    if (live) {
      const waitMs = Math.min(limitMs, LEAST_WAIT_MS);
      const back = await parts.write(
        sharesOf(inForce, (bp) => bp),
        text,
        { waitMs, ifRevision: receipt.revision },
      );
      const detail = back.missing.length === 0 ? "the shares are what they were" : `not confirmed yet by ${back.missing.join(", ")}`;
      return { ...phase, status: "ok", ms: parts.now() - began, detail };
    }
    await parts.write({ drill: null }, text, { waitMs: 0, ifRevision: undefined });
    return { ...phase, status: "ok", ms: parts.now() - began, detail: "" };
  } catch (error) {
    const left = live ? "the share stays 0" : "the mark of the drill stays, which does no harm";
    return { ...phase, status: live ? "failed" : "unknown", ms: undefined, detail: `${left}: ${messageOf(error)}` };
  }
}

function reportOf(options: DrillOptions, at: number, { refusal, stable, traffic, last, hooks, putBack }: Findings): DrillReport {
  const { flag, live, reason, limitMs, trafficLimitMs } = options;
  const hooksMs = hooks.reduce((sum, { ms = 0 }) => sum + ms, 0);
  const trafficMs = traffic?.phase.ms;
  const ms = (trafficMs ?? 0) + (last?.ms ?? 0) + hooksMs;
  const bad = hooks.filter(({ status }) => status !== "done" && status !== "not-rehearsed");
  const ran = hooks.some((hook) => hook.ms !== undefined);
  const all: DrillPhase = {
    name: "hooks",
    status: bad.length === 0 ? "ok" : "failed",
    ms: ran ? hooksMs : undefined,
    limitMs: undefined,
    detail: "",
  };
  const made = trafficMs !== undefined;
  const everything: DrillPhase = {
    name: "everything",
    status: !made ? "left-out" : ms <= limitMs ? "ok" : "late",
    ms: made ? ms : undefined,
    limitMs,
    detail: "",
  };
  const missed: DrillPhase = { name: "traffic", status: "left-out", ms: undefined, limitMs: trafficLimitMs, detail: "" };
  const given = [stable, traffic?.phase ?? missed, last, ...(hooks.length > 0 ? [all] : []), everything, putBack];
  const phases = given.filter((phase) => phase !== undefined);
  const problems = [
    ...(refusal === undefined ? [] : [refusal]),
    ...phases.flatMap((phase) => problemOf(phase, live)),
    ...(refusal === undefined
      ? bad.map(
          ({ name, status, detail }) => `hook ${name}: ${status.replaceAll("-", " ")}${detail === "" ? "" : ` (${detail.split("\n")[0]})`}`,
        )
      : []),
  ];
  return {
    kind: live ? "live" : "shadow",
    flag,
    reason,
    at,
    ok: problems.length === 0 && made,
    problems,
    ms,
    limitMs,
    worstMs: ms + hooks.reduce((sum, hook) => sum + (hook.status === "not-rehearsed" ? hook.limitMs : 0), 0),
    trafficMs,
    trafficLimitMs,
    phases,
    instances: traffic?.receipt?.acknowledged ?? [],
    laggards: traffic?.receipt?.missing ?? [],
    hooks,
    putBack: live && putBack !== undefined ? putBack.status === "ok" : undefined,
  };
}

/** What hooks are to blame for is said of each; a mark that stays does no harm. */
function problemOf({ name, status, ms, limitMs, detail }: DrillPhase, live: boolean): string[] {
  if (status === "ok" || status === "left-out" || name === "hooks" || (name === "put back" && !live)) return [];
  const over =
    status === "late" && limitMs !== undefined && ms !== undefined
      ? `${Math.round(ms)} ms, over the limit of ${formatDuration(limitMs)}`
      : "";
  return [`${name}: ${[over, detail].filter((text) => text !== "").join("; ") || status}`];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import type { Channel, Notifications } from "../../src/config/config-told.ts";
import type { SeenFlag, SeenWorld } from "../../src/notify/happenings.ts";
import type { Happening } from "../../src/notify/notice.ts";
import { HOUR, MINUTE, T0 } from "./rollouts.ts";

export function channelOf(name: string): Channel {
  return { kind: "webhook", name, language: "en", timeoutMs: 1_000, url: "http://127.0.0.1:9/", headers: {}, secret: undefined };
}

/** The timers of the plan: technical 15/30/60 min, business 5/15/60, customer 0/10/30. */
export const TECHNICAL = {
  name: "technical",
  severities: ["P0", "P1"],
  levels: [
    { afterMs: 15 * MINUTE, channels: ["l1"] },
    { afterMs: 30 * MINUTE, channels: ["l2"] },
    { afterMs: 60 * MINUTE, channels: ["l3"] },
  ],
} as const;
export const BUSINESS = {
  name: "business",
  severities: ["P0"],
  levels: [
    { afterMs: 5 * MINUTE, channels: ["b1"] },
    { afterMs: 15 * MINUTE, channels: ["b2"] },
    { afterMs: 60 * MINUTE, channels: ["b3"] },
  ],
} as const;
export const CUSTOMER = {
  name: "customer",
  severities: ["P0"],
  levels: [
    { afterMs: 0, channels: ["c1"] },
    { afterMs: 10 * MINUTE, channels: ["c2"] },
    { afterMs: 30 * MINUTE, channels: ["c3"] },
  ],
} as const;
export const FLOW = [0, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 2 * HOUR, 24 * HOUR].map((afterMs) => ({ afterMs, channels: ["room"] }));

const NAMES = ["ops", "news", "room", "l1", "l2", "l3", "b1", "b2", "b3", "c1", "c2", "c3"];

export const QUIET: Notifications = {
  channels: [],
  routes: [],
  escalations: [],
  reminders: { P0: undefined, P1: undefined, P2: undefined, P3: undefined },
  rollbackFlow: [],
  groupForMs: 5 * MINUTE,
  url: undefined,
  secret: undefined,
};

/** Troubles go to `ops`, what is only told to `news`. */
export const ROUTED: Notifications = {
  ...QUIET,
  channels: NAMES.map(channelOf),
  routes: [
    { severities: ["P0", "P1", "P2", "P3"], kinds: [], channels: ["ops"] },
    { severities: ["info"], kinds: [], channels: ["news"] },
  ],
};

export function happeningOf(more: Partial<Happening> = {}): Happening {
  return { kind: "killed", severity: "P1", at: T0, group: "kill/move/1", flag: "move", facts: { by: "alice" }, resolves: false, ...more };
}

export function worldOf(at: number, flag: Partial<SeenFlag> = {}, more: Partial<SeenWorld> = {}): SeenWorld {
  return {
    at,
    instance: "one",
    flags: [{ flag: "move", rollout: "none", view: undefined, killed: false, breakers: [], ...flag }],
    board: { next: 1, incidents: [], maintenance: [] },
    sla: [],
    store: { up: true, message: "" },
    ...more,
  };
}

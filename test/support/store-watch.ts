import type { Flag, SegmentRule } from "../../src/config/config.ts";
import type { FlagState } from "../../src/rollout/flag-state.ts";
import type { StoreLog } from "../../src/store/log.ts";
import type { Rejection, StoreHealth, StoreListener } from "../../src/store/store.ts";

/** Records what a store tells, and lets a test wait for it. */
export interface StoreWatch extends StoreListener {
  readonly states: FlagState[];
  readonly rejections: Rejection[];
  readonly healths: StoreHealth[];
  /** The newest state, once it fits. */
  state(fits: (state: FlagState) => boolean, withinMs?: number): Promise<FlagState>;
  health(fits: (health: StoreHealth) => boolean, withinMs?: number): Promise<StoreHealth>;
  rejection(fits: (rejection: Rejection) => boolean): Promise<Rejection>;
}

export function watchStore(): StoreWatch {
  const states: FlagState[] = [];
  const rejections: Rejection[] = [];
  const healths: StoreHealth[] = [];
  const waiting = new Set<() => void>();
  const told = (): void => {
    for (const look of waiting) look();
  };
  const wait = <T>(what: string, look: () => T | undefined, withinMs = 20_000): Promise<T> =>
    new Promise((resolve, reject) => {
      const finish = (): void => {
        waiting.delete(attempt);
        clearTimeout(timer);
      };
      const attempt = (): void => {
        const found = look();
        if (found === undefined) return;
        finish();
        resolve(found);
      };
      const timer = setTimeout(() => {
        finish();
        const last = { state: states.at(-1), health: healths.at(-1), rejection: rejections.at(-1) };
        reject(new Error(`waited ${withinMs} ms in vain for ${what}; the last told: ${JSON.stringify(last)}`));
      }, withinMs);
      waiting.add(attempt);
      attempt();
    });
  const last =
    <T>(list: readonly T[], fits: (item: T) => boolean) =>
    () => {
      const item = list.at(-1);
      return item !== undefined && fits(item) ? item : undefined;
    };
  return {
    states,
    rejections,
    healths,
    onState: (state) => (states.push(state), told()),
    onRejected: (rejection) => (rejections.push(rejection), told()),
    onHealth: (health) => (healths.push(health), told()),
    state: (fits, withinMs) => wait(`a state where ${fits.toString()}`, last(states, fits), withinMs),
    health: (fits, withinMs) => wait(`a health where ${fits.toString()}`, last(healths, fits), withinMs),
    rejection: (fits) => wait(`a rejection where ${fits.toString()}`, () => rejections.find(fits)),
  };
}

export interface RecordedLog extends StoreLog {
  readonly lines: { readonly level: "info" | "warn"; readonly details: object; readonly message: string }[];
}

export function recordLog(): RecordedLog {
  const lines: RecordedLog["lines"] = [];
  return {
    lines,
    info: (details, message) => void lines.push({ level: "info", details, message }),
    warn: (details, message) => void lines.push({ level: "warn", details, message }),
  };
}

const SEGMENTS: readonly SegmentRule[] = [
  { name: "beta", weightBp: 5_000, override: true },
  // One name begins another: what follows the keys of the one must not miss, or refuse, the other.
  { name: "beta_users", weightBp: 10_000, override: true },
];

/** A flag whose file says 0 %. */
export function flagOf(name = "f", segments = SEGMENTS): Flag {
  return {
    name,
    salt: name,
    retentionDays: 90,
    settings: {
      enabled: true,
      killSwitch: false,
      weightBp: 0,
      segments,
      fallback: {
        enabled: true,
        responseTimeMs: 100,
        errorRateBp: 100,
        accuracyBp: 8_500,
        hedge: false,
        budgetBp: 2_000,
        breaker: "auto" as const,
      },
      samplingBp: 10_000,
    },
  };
}

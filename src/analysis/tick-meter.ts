import type { Config } from "../config/config.ts";
import { ArmReader, type ArmRise } from "../telemetry/arm-reader.ts";
import { Sketch } from "./latencies.ts";
import { type ArmCounts, NOTHING_COUNTED, type Tick, type TickCell } from "./tick.ts";

export interface Delta {
  readonly tick: Tick;
  /** It has been published. */
  commit(): void;
}

/** Takes what the workers of this instance counted for one flag. */
export interface TickMeter {
  /**
   * What was counted since the last one. Until that is committed it is given again, unchanged: whoever does not know whether it was
   * published publishes it again, and readers know it by its number. What is counted meanwhile comes with the one after it, however
   * long that takes. `now` is epoch milliseconds.
   */
  take(now: number): Delta;
}

export interface TickMeterOptions {
  readonly config: Config;
  readonly flag: string;
  /** The memory that workers count in or ever counted in. */
  readonly buffers: () => readonly SharedArrayBuffer[];
  /** Epoch milliseconds. Counting begins here, and numbers with it, so that those of a later run are higher. */
  readonly now: number;
}

export function createTickMeter({ config, flag, buffers, now: begun }: TickMeterOptions): TickMeter {
  const reader = new ArmReader(config, flag, buffers);
  let seq = begun;
  let last = begun;
  let open: Delta | undefined;
  return {
    take(now) {
      if (open !== undefined) return open;
      // A clock that was set back makes a stretch without length, not one that ends before it begins.
      const from = Math.min(last, now);
      last = now;
      const taken: Delta = {
        tick: { seq: seq++, from, to: now, cells: cellsOf(reader.read()) },
        commit() {
          if (open === taken) open = undefined;
        },
      };
      open = taken;
      return taken;
    },
  };
}

function cellsOf(rises: readonly ArmRise[]): readonly TickCell[] {
  const cells = new Map<string, TickCell>();
  for (const rise of rises) {
    const { route, segment, arm } = rise;
    const key = `${route}\0${segment}`;
    const cell = cells.get(key) ?? { route, segment, stable: NOTHING_COUNTED, candidate: NOTHING_COUNTED };
    cells.set(key, { ...cell, [arm]: countsOf(rise) });
  }
  return [...cells.values()];
}

function countsOf({ requestEnds, attemptEnds, quality, waits, latencies }: ArmRise): ArmCounts {
  const [answered = 0, byOther = 0, failed = 0, failedByOther = 0] = requestEnds;
  const [ok = 0, defective = 0, unavailable = 0, unreachable = 0] = attemptEnds;
  return {
    requests: answered + byOther + failed + failedByOther,
    failed: failed + failedByOther,
    fellBack: byOther + failedByOther,
    waits: new Sketch(waits),
    attempts: ok + defective + unavailable + unreachable,
    errors: defective + unavailable + unreachable,
    unavailable: unavailable + unreachable,
    latencies: new Sketch(latencies),
    quality,
  };
}

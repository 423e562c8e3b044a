import { setImmediate as nextTurn } from "node:timers/promises";
import type { Operations } from "../operations.ts";
import { percentageAt, pointOf } from "./point.ts";
import type { LivePoint } from "./view.ts";

/** An hour in as many points as a chart can show. */
const HISTORY_MS = 3_600_000;
/** Between two points that are kept. */
export const STEP_MS = 5_000;
/** Single steps of time are kept for so long by whoever adds up the fleet's figures. */
const KNOWN_MS = 900_000;
const POINT_MS = 10_000;
const AUDIT_ENTRIES = 200;

/** The points of the last hour, one for every five seconds: the first that comes within them. */
export class History {
  #points: LivePoint[] = [];

  get newest(): number {
    return this.#points.at(-1)?.at ?? -Infinity;
  }

  /** In order of time; one of the same five seconds as the newest, or of earlier ones, is left out. */
  add(point: LivePoint): void {
    if (stepOf(point) <= Math.round(this.newest / STEP_MS)) return;
    this.#points.push(point);
    if (this.#points.length > HISTORY_MS / STEP_MS) this.#points.shift();
  }

  /** What was before everything that is here, in order of time. */
  putBefore(points: readonly LivePoint[]): void {
    const [first] = this.#points;
    const older = points.filter((point) => first === undefined || stepOf(point) < stepOf(first));
    this.#points = [...older, ...this.#points].slice(-HISTORY_MS / STEP_MS);
  }

  /** Oldest first, none older than an hour. */
  since(now: number): readonly LivePoint[] {
    return this.#points.filter(({ at }) => at > now - HISTORY_MS);
  }
}

/** Figures end a moment before or after the whole second. */
function stepOf({ at }: LivePoint): number {
  return Math.round(at / STEP_MS);
}

/** What the fleet's figures still hold of the time before this program started, up to `to`: epoch milliseconds. */
export async function pointsBefore(to: number, operations: Operations, flag: string, signal: AbortSignal): Promise<readonly LivePoint[]> {
  const source = operations.recent(flag);
  const entries = await operations.store.audit(flag, AUDIT_ENTRIES).catch(() => []);
  const now = (operations.flag(flag)?.settings.weightBp ?? Number.NaN) / 100;
  const base = (operations.config.flags.find(({ name }) => name === flag)?.settings.weightBp ?? Number.NaN) / 100;
  const points: LivePoint[] = [];
  for (let at = Math.floor((to - KNOWN_MS) / STEP_MS) * STEP_MS; at < to - STEP_MS; at += STEP_MS) {
    if (signal.aborted) break;
    const table = await source.between(at - POINT_MS, at);
    if (table.coveredMs > 0) points.push(pointOf(table, at, percentageAt(at, now, base, entries)));
    // Nobody waits for this, and requests of the API should not either.
    await nextTurn();
  }
  return points;
}

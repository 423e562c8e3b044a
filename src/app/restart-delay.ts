/** How a worker that fails is started again: at once at first, then ever more slowly while it keeps failing. */
const FREE_RESTARTS = 3;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;
/** A worker that served this long has recovered; its next failure is a first one again. */
const HEALTHY_AFTER_MS = 60_000;

/** Failures in a row, this one included. `servedMs`: how long the worker served before it failed. */
export function countFailures(before: number, servedMs: number): number {
  return servedMs >= HEALTHY_AFTER_MS ? 1 : before + 1;
}

/** Milliseconds to wait before the next start after so many failures in a row. */
export function restartDelay(failures: number): number {
  if (failures <= FREE_RESTARTS) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (failures - FREE_RESTARTS - 1), LONGEST_DELAY_MS);
}

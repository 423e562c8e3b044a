import { performance } from "node:perf_hooks";

/**
 * Every thread's performance clock begins with the thread, and the wall clock may be set: neither is one for all. That of the system is, and runs
 * steadily.
 */
const BEHIND_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** An instant of this thread's performance clock, on the clock of all threads of the process: whole milliseconds from some time in the past. */
export function sharedMs(now = performance.now()): number {
  return Math.round(now + BEHIND_MS);
}

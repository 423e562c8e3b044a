import { readFileSync, readlinkSync } from "node:fs";

/** What the system says of one of this process's threads. */
export interface ThreadTime {
  /** It runs, or would if it were given a processor; false while it waits for something else. */
  readonly runnable: boolean;
  /** Processor time it has had since it began. */
  readonly cpuMs: number;
}

const NS_PER_MS = 1_000_000;

/** The system's number of the calling thread; 0 where the system does not tell (it is Linux that does). */
export function ownThreadNumber(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1)) || 0;
  } catch {
    return 0;
  }
}

/** Undefined where the system does not tell, or when the thread has ended. */
export function readThreadTime(thread: number): ThreadTime | undefined {
  if (thread === 0) return undefined;
  try {
    const directory = `/proc/self/task/${thread}`;
    const [ran = ""] = readFileSync(`${directory}/schedstat`, "latin1").split(" ");
    const stat = readFileSync(`${directory}/stat`, "latin1");
    // The name before the state stands in parentheses and may hold anything.
    const state = stat.charAt(stat.lastIndexOf(")") + 2);
    const cpuMs = Number(ran) / NS_PER_MS;
    return Number.isFinite(cpuMs) ? { runnable: state === "R", cpuMs } : undefined;
  } catch {
    return undefined;
  }
}

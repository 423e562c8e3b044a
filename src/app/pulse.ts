import { ownThreadNumber, readThreadTime, type ThreadTime } from "./thread-time.ts";

/**
 * A worker's sign of life: a counter in shared memory that the worker moves on and the control side watches, and beside it
 * the number by which the system knows the worker's thread.
 */
const BEAT_MS = 100;
const BEATS = 0;
const THREAD = 1;

export function allocatePulse(): SharedArrayBuffer {
  return new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
}

/**
 * Beats as long as the thread lives. `onBeat` is told how much too late the beat came: the lag of the event loop. Returns a beat out of turn,
 * for work that shows by itself that the thread gets on.
 */
export function startPulse(memory: SharedArrayBuffer, onBeat: (lagMs: number, now: number) => void): () => void {
  const words = new Int32Array(memory);
  Atomics.store(words, THREAD, ownThreadNumber());
  let due = performance.now() + BEAT_MS;
  setInterval(() => {
    Atomics.add(words, BEATS, 1);
    const now = performance.now();
    onBeat(Math.max(0, now - due), now);
    due = now + BEAT_MS;
  }, BEAT_MS);
  return () => void Atomics.add(words, BEATS, 1);
}

export function beatsOf(memory: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(memory), BEATS);
}

/** What the system says of the worker's thread, once there is reason to ask: a beat is overdue. */
export function threadTimeOf(memory: SharedArrayBuffer, { silentMs }: Watch): ThreadTime | undefined {
  return silentMs > BEAT_MS ? readThreadTime(Atomics.load(new Int32Array(memory), THREAD)) : undefined;
}

export const TICK_MS = 50;
const SILENCE_MS = 500;
/** A tick that comes this much too late says that this thread did not get to run, and so nothing about a worker. */
const LATE_MS = 40;
/** A thread that wants to run and gets less than one part in so many of a processor is starved in that measure. */
const FAIR_PARTS = 4;

/** What the control side remembers of one worker between two looks. */
export interface Watch {
  readonly beats: number;
  readonly silentMs: number;
  /** What its thread had run by then, where that was asked for and told. */
  readonly cpuMs: number | undefined;
}

export const UNWATCHED: Watch = { beats: 0, silentMs: 0, cpuMs: undefined };

/**
 * Looks at a worker once per tick. Silence is counted in ticks that came on time: if the watcher was late, the machine was
 * starved or asleep or the control thread was busy, and the worker is not to blame for that stretch. Nor is it for time
 * in which it wanted to run and was not let: on a machine with too few processors a healthy thread may wait for half a
 * second while the watcher gets its turns.
 */
export function watchPulse(watch: Watch, beats: number, sinceLastTickMs: number, thread?: ThreadTime): Watch {
  if (beats !== watch.beats) return { beats, silentMs: 0, cpuMs: undefined };
  const cpuMs = thread?.cpuMs;
  if (sinceLastTickMs >= TICK_MS + LATE_MS) return { ...watch, cpuMs };
  const starved = thread?.runnable === true && watch.cpuMs !== undefined;
  const ownMs = starved ? Math.min(sinceLastTickMs, FAIR_PARTS * (thread.cpuMs - watch.cpuMs)) : sinceLastTickMs;
  return { beats, silentMs: watch.silentMs + ownMs, cpuMs };
}

export function isHung(watch: Watch): boolean {
  return watch.silentMs >= SILENCE_MS;
}

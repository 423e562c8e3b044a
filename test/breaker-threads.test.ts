import { once } from "node:events";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { ArmGuard, type GuardSettings, guardBytes, resetWorker } from "../src/resilience/arm-guard.ts";

const NOW = 1_790_000_000_000;
const WORKERS = 4;
const MINIMUM = 3;
const ONLY_MINIMUM: GuardSettings = { budgetBp: 0, budgetMinimum: MINIMUM, errorRateBp: 0, accuracyBp: 0 };
const ONLY_SHARE: GuardSettings = { budgetBp: 2000, budgetMinimum: 0, errorRateBp: 0, accuracyBp: 0 };
const NOTHING: GuardSettings = { budgetBp: 0, budgetMinimum: 0, errorRateBp: 0, accuracyBp: 0 };

/** What a thread is to do, until it has done it `rounds` times or is ended. */
type Task = "hold-minimum" | "spend-share" | "probe" | "count" | "turn" | "hold-for-ever";

interface Job {
  readonly task: Task;
  readonly memory: SharedArrayBuffer;
  /** Notes of the test, see the constants below. */
  readonly notes: SharedArrayBuffer;
  readonly worker: number;
  readonly rounds: number;
}

/** How many threads stand ready; the start signal; sends that are surely open; the most of them; grants. */
const READY = 0;
const GO = 1;
const GAUGE = 2;
const MOST = 3;
const GRANTS = 4;
/** From here on for each worker: calls begun, calls done. */
const CALLS = 5;
const NOTES = CALLS + 2 * WORKERS;

function isJob(data: unknown): data is Job {
  return typeof data === "object" && data !== null && "task" in data && "notes" in data;
}

function work({ task, memory, notes: buffer, worker, rounds }: Job): void {
  const notes = new Int32Array(buffer);
  const guard = (cell: number): ArmGuard => new ArmGuard({ memory, cell, worker, workers: WORKERS });
  const first = guard(0);
  const rest = task === "probe" ? Array.from({ length: rounds }, (_, cell) => guard(cell)) : [];
  Atomics.add(notes, READY, 1);
  Atomics.notify(notes, READY);
  Atomics.wait(notes, GO, 0);
  switch (task) {
    case "hold-minimum":
      for (let round = 0; round < rounds; round++) {
        Atomics.add(notes, CALLS + 2 * worker, 1);
        let held = 0;
        while (first.takeExtra(NOW, ONLY_MINIMUM)) {
          held++;
          raise(notes, Atomics.add(notes, GAUGE, 1) + 1);
        }
        for (; held > 0; held--) {
          Atomics.sub(notes, GAUGE, 1);
          first.release(NOW);
        }
      }
      break;
    case "spend-share":
      for (let round = 0; round < rounds; round++) if (first.takeExtra(NOW, ONLY_SHARE)) Atomics.add(notes, GRANTS, 1);
      break;
    case "probe":
      for (const [cell, guard] of rest.entries())
        if (guard.admit(NOW + 5000, 0) === "probe") {
          Atomics.add(notes, GRANTS, 1);
          // Every fourth is heard of at once: the next one must still wait for its time.
          if (cell % 4 === 0) guard.record(NOW + 5000, NOTHING, "ok", true, guard.ticket);
        }
      break;
    case "count":
      for (let round = 0; round < rounds; round++) {
        Atomics.add(notes, CALLS + 2 * worker, 1);
        first.admit(NOW + (round % 9000), 0);
        first.record(NOW + (round % 9000), ONLY_MINIMUM, round % 10 === 0 ? "error" : "ok", false);
        Atomics.add(notes, CALLS + 2 * worker + 1, 1);
      }
      break;
    case "turn":
      for (let round = 0; round < rounds; round++) {
        first.force(turnTime(round), round % 2 === 0 ? "open" : "closed");
        Atomics.add(notes, CALLS + 2 * worker, 1);
      }
      break;
    case "hold-for-ever":
      first.takeExtra(NOW, ONLY_MINIMUM);
      first.takeExtra(NOW, ONLY_MINIMUM);
      Atomics.add(notes, GRANTS, 1);
      Atomics.wait(notes, GO, 1);
  }
}

/** A time of which both halves say which turn it was. */
function turnTime(round: number): number {
  return (round % 1000) * 2 ** 31 + (round % 1000);
}

function raise(notes: Int32Array, value: number): void {
  for (let most = Atomics.load(notes, MOST); value > most; most = Atomics.load(notes, MOST)) {
    if (Atomics.compareExchange(notes, MOST, most, value) === most) return;
  }
}

/** Several threads over one memory, all let loose at the same moment. */
class Crowd {
  readonly memory: SharedArrayBuffer;
  readonly notes = new Int32Array(new SharedArrayBuffer(NOTES * Int32Array.BYTES_PER_ELEMENT));
  readonly threads: Worker[] = [];
  readonly #ended: Promise<unknown>[] = [];

  constructor(cells = 1) {
    this.memory = new SharedArrayBuffer(guardBytes(cells, WORKERS));
  }

  /** As the control thread sees a cell. */
  guard(cell = 0): ArmGuard {
    return new ArmGuard({ memory: this.memory, cell, worker: WORKERS, workers: WORKERS });
  }

  start(task: Task, rounds: number, worker = this.threads.length): Worker {
    const job: Job = { task, rounds, worker, memory: this.memory, notes: this.notes.buffer };
    // Sources run as they are: no loader of the test runner's is needed in there.
    const thread = new Worker(new URL(import.meta.url), { workerData: job, execArgv: [] });
    this.threads.push(thread);
    this.#ended.push(once(thread, "exit"));
    return thread;
  }

  async letLoose(): Promise<void> {
    await this.reaches(READY, this.threads.length);
    Atomics.store(this.notes, GO, 1);
    Atomics.notify(this.notes, GO);
  }

  /** Waits for a note to become so large. */
  async reaches(note: number, value: number): Promise<void> {
    while (Atomics.load(this.notes, note) < value) await new Promise((resolve) => setImmediate(resolve));
  }

  async end(): Promise<void> {
    await Promise.all(this.#ended);
  }

  note(at: number): number {
    return Atomics.load(this.notes, at);
  }
}

async function main(): Promise<void> {
  const { default: t } = await import("tap");

  t.test("several threads never hold more than the minimum, and one that is ended in the middle takes nothing with it", async (t) => {
    const crowd = new Crowd();
    const control = crowd.guard();
    control.force(NOW, "closed");
    for (let worker = 0; worker < WORKERS; worker++) crowd.start("hold-minimum", worker === 0 ? Infinity : 40_000);
    await crowd.letLoose();
    await crowd.reaches(CALLS, 1000);
    await crowd.threads[0]?.terminate();
    await crowd.end();
    t.equal(crowd.note(MOST), MINIMUM);
    t.ok(control.status(NOW).extraOpen <= MINIMUM, "only what the dead one held is still open");
    resetWorker(crowd.memory, 0, WORKERS);
    t.equal(control.status(NOW).extraOpen, 0);
    for (let count = 0; count < MINIMUM; count++) t.equal(control.takeExtra(NOW, ONLY_MINIMUM), true);
    t.equal(control.takeExtra(NOW, ONLY_MINIMUM), false);
  });

  t.test("a thread that is ended with open sends gives them back when its row is reset", async (t) => {
    const crowd = new Crowd();
    const control = crowd.guard();
    const thread = crowd.start("hold-for-ever", 1, 2);
    await crowd.letLoose();
    await crowd.reaches(GRANTS, 1);
    t.equal(control.status(NOW).extraOpen, 2);
    await thread.terminate();
    t.equal(control.status(NOW).extraOpen, 2);
    resetWorker(crowd.memory, 2, WORKERS);
    t.equal(control.status(NOW).extraOpen, 0);
  });

  t.test("several threads that spend the share at the same time spend exactly the share", async (t) => {
    const crowd = new Crowd();
    const control = crowd.guard();
    control.force(NOW, "closed");
    for (let count = 0; count < 50_000; count++) control.admit(NOW, 0);
    for (let worker = 0; worker < WORKERS; worker++) crowd.start("spend-share", 20_000);
    await crowd.letLoose();
    await crowd.end();
    let granted = crowd.note(GRANTS);
    t.ok(granted <= 10_000, `${granted} were granted`);
    // Of two that ask for the last one at the same moment both may be refused: what is left can still be taken.
    while (control.takeExtra(NOW, ONLY_SHARE)) granted++;
    t.equal(granted, 10_000);
    t.equal(control.status(NOW).extra, 10_000);
  });

  t.test("of several threads that ask for a probe at the same time one gets it", async (t) => {
    const cells = 3000;
    const crowd = new Crowd(cells);
    for (let cell = 0; cell < cells; cell++) crowd.guard(cell).takeExtra(NOW, NOTHING);
    for (let worker = 0; worker < WORKERS; worker++) crowd.start("probe", cells);
    await crowd.letLoose();
    await crowd.end();
    t.equal(crowd.note(GRANTS), cells);
    const wrong = Array.from({ length: cells }, (_, cell) => crowd.guard(cell).status(NOW + 5000)).filter(
      ({ state, requests }) => state !== "half-open" || requests !== 1,
    );
    t.same(wrong, []);
  });

  t.test("while threads change the state in turns and one of them is ended, nobody reads half of a state", async (t) => {
    const crowd = new Crowd();
    for (let worker = 0; worker < 2; worker++) crowd.start("turn", Infinity);
    await crowd.letLoose();
    await crowd.reaches(CALLS + 2, 1);
    const control = crowd.guard();
    const wrong: unknown[] = [];
    const seen = new Set<number>();
    for (let dead = false; seen.size < 100 && wrong.length === 0;) {
      const { state, since, held } = control.status(0);
      const turn = since % 2 ** 31;
      if (since !== turnTime(turn) || (state === "open") !== (turn % 2 === 0) || !held) wrong.push({ state, since, held });
      seen.add(since);
      if (dead || seen.size < 50) continue;
      await crowd.threads[0]?.terminate();
      dead = true;
    }
    await crowd.threads[1]?.terminate();
    await crowd.end();
    t.same(wrong, []);
    // The dead one's last word does not bind: its successor and all others go on.
    crowd.guard().force(5, "closed");
    new ArmGuard({ memory: crowd.memory, cell: 0, worker: 0, workers: WORKERS }).force(7, "auto");
    t.match(control.status(7), { state: "closed", held: false, since: 7 });
  });

  t.test("every request is counted, those of a thread that was ended in the middle too", async (t) => {
    const crowd = new Crowd();
    const rounds = 45_000;
    for (let worker = 0; worker < WORKERS; worker++) crowd.start("count", worker === 0 ? Infinity : rounds);
    await crowd.letLoose();
    await crowd.reaches(CALLS, 5000);
    await crowd.threads[0]?.terminate();
    await crowd.end();
    const { requests, judged, errors } = crowd.guard().status(NOW + 8999);
    const others = (WORKERS - 1) * rounds;
    const [begun, done] = [crowd.note(CALLS), crowd.note(CALLS + 1)];
    t.ok(begun - done <= 1 && done >= 4999);
    t.ok(requests >= others + done && requests <= others + begun, `${requests} requests, ${others} + ${done} to ${begun}`);
    t.ok(judged >= others + done && judged <= others + begun, `${judged} judged`);
    t.ok(Math.abs(errors - judged / 10) <= 2, `${errors} errors`);
  });
}

if (isMainThread) await main();
else if (isJob(workerData)) work(workerData);

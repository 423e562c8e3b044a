import fc from "fast-check";
import t from "tap";
import { ArmGuard, type GuardSettings, guardBytes, resetWorker } from "../src/resilience/arm-guard.ts";

const START = 1_790_000_000_000;
const SETTINGS: GuardSettings = { budgetBp: 2000, budgetMinimum: 3, errorRateBp: 0, accuracyBp: 0 };

function single(): ArmGuard {
  return new ArmGuard({ memory: new SharedArrayBuffer(guardBytes(1, 1)), cell: 0, worker: 0, workers: 1 });
}

t.test("the minimum may always be open at a time; what is released may be taken again", async (t) => {
  const guard = single();
  for (let count = 0; count < 3; count++) t.equal(guard.takeExtra(START, SETTINGS), true);
  guard.release(START);
  t.equal(guard.takeExtra(START, SETTINGS), true);
  t.match(guard.status(START), { state: "closed", extra: 4, extraOpen: 3 });
  t.equal(guard.takeExtra(START, SETTINGS), false);
  t.match(
    guard.status(START),
    { state: "open", why: "budget", extra: 4, extraOpen: 3 },
    "a refusal opens the breaker and counts for nothing else",
  );
});

t.test("beyond the minimum, extra sends are a share of the candidate's requests in the window", async (t) => {
  const guard = single();
  for (let count = 0; count < 100; count++) guard.admit(START, 0);
  for (let count = 0; count < 20; count++) t.equal(guard.takeExtra(START + 9000, SETTINGS), true);
  t.match(guard.status(START + 9000, SETTINGS), { requests: 100, extra: 20, budgetUsed: 1 });
  t.equal(guard.takeExtra(START + 9000, SETTINGS), false);
});

t.test("requests that have left the window pay for nothing", async (t) => {
  const guard = single();
  for (let count = 0; count < 100; count++) guard.admit(START, 0);
  for (let count = 0; count < 3; count++) guard.takeExtra(START + 10_000, SETTINGS);
  t.equal(guard.takeExtra(START + 10_000, SETTINGS), false);
});

t.test("what a thread counts that is ahead in time counts for the others too", async (t) => {
  const memory = new SharedArrayBuffer(guardBytes(1, 2));
  const [ahead, behind] = [0, 1].map((worker) => new ArmGuard({ memory, cell: 0, worker, workers: 2 }));
  for (let count = 0; count < 10; count++) ahead?.admit(START + 1000, 0);
  t.match(behind?.status(START + 999), { requests: 10 });
});

t.test("a share of 0 leaves the minimum, a minimum of 0 the share, both nothing", async (t) => {
  const cases = [
    { budgetBp: 0, budgetMinimum: 2, granted: 2 },
    { budgetBp: 1000, budgetMinimum: 0, granted: 10 },
    { budgetBp: 0, budgetMinimum: 0, granted: 0 },
  ];
  for (const { granted, ...settings } of cases) {
    const guard = single();
    for (let count = 0; count < 100; count++) guard.admit(START, 0);
    let taken = 0;
    while (taken < 100 && guard.takeExtra(START, { ...SETTINGS, ...settings })) taken++;
    t.equal(taken, granted, JSON.stringify(settings));
  }
});

t.test("requests that are under way when it opens fall back on what is left of the budget", async (t) => {
  const guard = single();
  for (let count = 0; count < 100; count++) guard.admit(START, 0);
  for (let count = 0; count < 5; count++) guard.record(START, SETTINGS, "unreachable", false);
  t.equal(guard.status(START).state, "open");
  for (let count = 0; count < 20; count++) t.equal(guard.takeExtra(START, SETTINGS), true);
  t.equal(guard.takeExtra(START, SETTINGS), false);
});

t.test("a probe that was refused its fallback is judged by how it ends", async (t) => {
  const guard = single();
  const settings = { ...SETTINGS, budgetMinimum: 0 };
  guard.takeExtra(START, settings);
  t.equal(guard.admit(START + 5000, 0), "probe");
  t.equal(guard.takeExtra(START + 5000, settings), false);
  t.equal(guard.status(START + 5000).state, "half-open");
  guard.record(START + 5000, settings, "ok", true, guard.ticket);
  t.match(guard.status(START + 5000), { state: "half-open" });
});

t.test("held closed, a spent budget refuses but does not open", async (t) => {
  const guard = single();
  guard.force(START, "closed");
  for (let count = 0; count < 3; count++) guard.takeExtra(START, SETTINGS);
  t.equal(guard.takeExtra(START, SETTINGS), false);
  t.equal(guard.admit(START, 0.99), "candidate");
});

t.test("one release too many makes no room", async (t) => {
  const guard = single();
  guard.takeExtra(START, SETTINGS);
  for (let count = 0; count < 10; count++) guard.release(START);
  t.equal(guard.status(START).extraOpen, 0);
});

t.test("what a dead worker held is given back when its row is reset, and nothing of the others", async (t) => {
  const memory = new SharedArrayBuffer(guardBytes(2, 2));
  const make = (cell: number, worker: number): ArmGuard => new ArmGuard({ memory, cell, worker, workers: 2 });
  const dead = [make(0, 0), make(1, 0)];
  const living = make(1, 1);
  for (const guard of dead) for (let count = 0; count < 2; count++) guard.takeExtra(START, SETTINGS);
  living.takeExtra(START, SETTINGS);
  t.equal(living.status(START).extraOpen, 3);
  resetWorker(memory, 0, 2);
  t.equal(living.status(START).extraOpen, 1);
  t.match(make(0, 0).status(START), { extraOpen: 0, extra: 2 }, "what it sent was sent");
});

/** How a candidate behaves, request by request. */
type Behaviour = "fails" | "slow" | "flaps" | "healthy" | "unreachable" | "poor";

interface Scenario {
  readonly seed: number;
  readonly behaviour: Behaviour;
  readonly workers: number;
  readonly budgetBp: number;
  readonly budgetMinimum: number;
  readonly conditions: boolean;
  /** Mean time between two requests. */
  readonly everyMs: number;
  /** How many of a thousand requests see a worker die. */
  readonly deaths: number;
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.integer({ min: 1 }),
  behaviour: fc.constantFrom<Behaviour>("fails", "slow", "flaps", "healthy", "unreachable", "poor"),
  workers: fc.integer({ min: 1, max: 5 }),
  budgetBp: fc.constantFrom(0, 500, 2000, 10_000),
  budgetMinimum: fc.integer({ min: 0, max: 6 }),
  conditions: fc.boolean(),
  everyMs: fc.constantFrom(1, 10, 40, 200),
  deaths: fc.constantFrom(0, 5, 30),
});

function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Thousands of requests in virtual time over several guards of one cell, beside a ledger that knows each request and each
 * extra send by name. Throws where a guard's answer is not the ledger's.
 */
class Simulation {
  readonly #scenario: Scenario;
  readonly #settings: GuardSettings;
  readonly #memory: SharedArrayBuffer;
  readonly #guards: ArmGuard[] = [];
  readonly #random: () => number;
  #events: { readonly at: number; readonly worker: number; readonly life: number; readonly run: () => void }[] = [];
  /** How often each worker was replaced: what a dead one had still to do does not happen. */
  readonly #lives: number[] = [];
  readonly #openSends: number[] = [];
  /** Of the budget's era. */
  #requests: number[] = [];
  #extra: number[] = [];
  #probe: number | undefined;
  #lastProbe = -Infinity;
  now = START;
  readonly tally = { candidate: 0, probe: 0, stable: 0, granted: 0, refused: 0, byMinimum: 0, deaths: 0, openings: 0 };

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    const { workers, budgetBp, budgetMinimum, conditions, seed } = scenario;
    this.#settings = { budgetBp, budgetMinimum, errorRateBp: conditions ? 100 : 0, accuracyBp: conditions ? 8500 : 0 };
    this.#memory = new SharedArrayBuffer(guardBytes(1, workers));
    this.#random = random(seed);
    for (let worker = 0; worker < workers; worker++) this.#start(worker);
  }

  run(requests: number): void {
    for (let count = 0; count < requests; count++) {
      const next = this.now + Math.floor(this.#random() * 2 * this.#scenario.everyMs);
      this.#runUntil(next);
      const worker = Math.floor(this.#random() * this.#scenario.workers);
      if (this.#random() * 1000 < this.#scenario.deaths) this.#kill(worker);
      this.#request(worker);
      this.#compareStatus();
    }
    this.#runUntil(this.now + 60_000);
    this.#check(this.#guard(0).status(this.now).extraOpen === 0, "all extra sends are released in the end");
    this.tally.openings = this.#guard(0).status(this.now).openings;
  }

  #request(worker: number): void {
    const guard = this.#guard(worker);
    const before = guard.status(this.now);
    const draw = this.#random();
    const admission = guard.admit(this.now, draw);
    this.tally[admission]++;
    switch (before.state) {
      case "closed":
        this.#check(admission === "candidate", "closed, everything goes to the candidate");
        break;
      case "returning":
        this.#check((admission === "candidate") === draw * 10_000 < before.shareBp, "returning, the candidate gets its share");
        break;
      case "open":
        this.#check(admission !== "candidate" && (admission === "stable" || this.now - before.since >= 5000), "open, nothing for 5 s");
        // Half-open begins with a budget of its own.
        if (admission === "probe") [this.#requests, this.#extra, this.#probe] = [[], [], undefined];
        break;
      case "half-open":
        this.#check(admission !== "candidate", "half-open, there are probes alone");
    }
    if (admission === "probe") {
      this.#check(this.now - this.#lastProbe >= (this.#probe === undefined ? 200 : 10_000), "one probe at a time, 200 ms apart");
      [this.#lastProbe, this.#probe] = [this.now, guard.ticket];
    }
    if (admission === "stable") return;
    this.#requests.push(this.now);
    this.#attempt(worker, admission === "probe", guard.ticket);
  }

  /** An attempt with a hedge, a fallback when it fails, and its end. */
  #attempt(worker: number, probe: boolean, ticket: number): void {
    const [latencyMs, end] = this.#behaviour();
    let settled = false;
    let hedged = false;
    if (latencyMs > 30)
      this.#later(worker, 30, () => {
        if (!settled) hedged = this.#extraSend(worker);
      });
    this.#later(worker, Math.min(latencyMs, 100), () => {
      settled = true;
      const verdict = latencyMs > 100 ? "error" : end;
      if (verdict !== "ok" && !hedged) this.#extraSend(worker);
      this.#guard(worker).record(this.now, this.#settings, verdict, probe, ticket);
      if (this.#probe === ticket && probe) this.#probe = undefined;
    });
  }

  #behaviour(): [latencyMs: number, end: "ok" | "error" | "bad-quality" | "unreachable"] {
    const roll = this.#random();
    const quick = 1 + Math.floor(roll * 25);
    switch (this.#scenario.behaviour) {
      case "fails":
        return [quick, "error"];
      case "slow":
        return [40 + roll * 500, "ok"];
      case "flaps":
        return Math.floor(this.now / 20_000) % 2 === 0 ? [quick, "error"] : [quick, "ok"];
      case "healthy":
        return roll < 0.01 ? [60, "ok"] : [quick, "ok"];
      case "unreachable":
        return [1, "unreachable"];
      case "poor":
        return [quick, this.#random() < 0.5 ? "bad-quality" : "ok"];
    }
  }

  /** Asks for an extra send and holds the answer against the rule. */
  #extraSend(worker: number): boolean {
    const { budgetBp, budgetMinimum } = this.#settings;
    const from = (Math.floor(this.now / 1000) - 9) * 1000;
    const inWindow = (times: readonly number[]): number => times.filter((at) => at >= from).length;
    const open = this.#openSends.reduce((sum, sends) => sum + sends, 0);
    const withinShare = (inWindow(this.#extra) + 1) * 10_000 <= budgetBp * inWindow(this.#requests);
    const { state } = this.#guard(worker).status(this.now);
    const granted = this.#guard(worker).takeExtra(this.now, this.#settings);
    this.#check(granted === (open < budgetMinimum || withinShare), `${open} open, within the share: ${withinShare}, granted: ${granted}`);
    if (!granted) {
      this.tally.refused++;
      if (state !== "half-open") this.#check(this.#guard(0).status(this.now).state === "open", "a refusal opens the breaker");
      return false;
    }
    this.tally.granted++;
    if (!withinShare) this.tally.byMinimum++;
    this.#extra.push(this.now);
    this.#openSends[worker] = (this.#openSends[worker] ?? 0) + 1;
    this.#later(worker, 5 + Math.floor(this.#random() * 60), () => {
      this.#guard(worker).release(this.now);
      this.#openSends[worker] = (this.#openSends[worker] ?? 0) - 1;
    });
    return true;
  }

  /** A worker dies with all that it has under way. Its row is reset when the replacement starts, some time later. */
  #kill(worker: number): void {
    this.tally.deaths++;
    this.#lives[worker] = (this.#lives[worker] ?? 0) + 1;
    this.#runUntil(this.now + Math.floor(this.#random() * 300));
    resetWorker(this.#memory, worker, this.#scenario.workers);
    this.#start(worker);
  }

  #start(worker: number): void {
    this.#guards[worker] = new ArmGuard({ memory: this.#memory, cell: 0, worker, workers: this.#scenario.workers });
    this.#openSends[worker] = 0;
    this.#lives[worker] ??= 0;
  }

  /** All guards see one state, and the counts of the ledger. */
  #compareStatus(): void {
    const [first, ...others] = this.#guards.map((guard) => guard.status(this.now));
    for (const other of others) this.#check(JSON.stringify(other) === JSON.stringify(first), "the guards see one state");
    const from = (Math.floor(this.now / 1000) - 9) * 1000;
    this.#requests = this.#requests.filter((at) => at >= from);
    this.#extra = this.#extra.filter((at) => at >= from);
    this.#check(first?.requests === this.#requests.length && first.extra === this.#extra.length, "the window counts what happened");
  }

  #later(worker: number, waitMs: number, run: () => void): void {
    this.#events.push({ at: this.now + Math.floor(waitMs), worker, life: this.#lives[worker] ?? 0, run });
  }

  #runUntil(until: number): void {
    for (;;) {
      const next = this.#events.reduce<number>((best, { at }, index) => (at < (this.#events[best]?.at ?? Infinity) ? index : best), -1);
      const event = this.#events[next];
      if (event === undefined || event.at > until) break;
      this.#events.splice(next, 1);
      this.now = Math.max(this.now, event.at);
      if (event.life === this.#lives[event.worker]) event.run();
    }
    this.now = Math.max(this.now, until);
  }

  #guard(worker: number): ArmGuard {
    const guard = this.#guards[worker];
    if (guard === undefined) throw new Error(`there is no worker ${worker}`);
    return guard;
  }

  #check(holds: boolean, what: string): void {
    if (!holds) throw new Error(`${what} (${this.now - START} ms)`);
  }
}

t.test("the stable upstream never gets more than its share and the budget, whatever the candidate does and whoever dies", async (t) => {
  const total = { candidate: 0, probe: 0, stable: 0, granted: 0, refused: 0, byMinimum: 0, deaths: 0, openings: 0 };
  fc.assert(
    fc.property(scenario, (scenario) => {
      const simulation = new Simulation(scenario);
      simulation.run(2000);
      for (const name of ["candidate", "probe", "stable", "granted", "refused", "byMinimum", "deaths", "openings"] as const)
        total[name] += simulation.tally[name];
    }),
    { numRuns: 60 },
  );
  for (const [name, count] of Object.entries(total)) t.ok(count > 20, `${count} ${name}`);
});

t.test("a candidate that always fails costs the stable upstream next to nothing", async (t) => {
  const everything: Scenario = {
    seed: 1,
    behaviour: "fails",
    workers: 4,
    budgetBp: 2000,
    budgetMinimum: 3,
    conditions: true,
    everyMs: 2,
    deaths: 0,
  };
  const simulation = new Simulation(everything);
  simulation.run(20_000);
  const { granted, candidate, probe, stable } = simulation.tally;
  t.equal(candidate + probe + stable, 20_000);
  t.ok(granted < 100, `${granted} extra sends for 20,000 requests`);
  t.ok(stable > 19_900, `${stable} requests were sent once, to the stable upstream`);
});

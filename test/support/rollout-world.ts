import assert from "node:assert/strict";
import type { VerdictWord } from "../../src/analysis/check.ts";
import { type Act, start } from "../../src/controller/acts.ts";
import { type FieldWrites, fieldsOf, type InForce } from "../../src/controller/fields.ts";
import { hookEnded, type Next, planNext, type Seen, trafficSeen } from "../../src/controller/plan-next.ts";
import type { Plan } from "../../src/controller/plan.ts";
import { hookKey } from "../../src/controller/rolling-back.ts";
import type { Rollback, Rollout } from "../../src/controller/rollout.ts";
import { readRollout, writeRollout } from "../../src/controller/state-text.ts";
import { applied, inForceOf, judgedAs, T0 } from "./rollouts.ts";

/** How the world looks to the leader, as far as it is not the world's own state. */
export interface Sight {
  readonly triggers: readonly VerdictWord[];
  readonly gates: readonly VerdictWord[];
  readonly webhooks: VerdictWord;
  readonly open: boolean;
  readonly figuresAgeMs: number | undefined;
  readonly stable: boolean | undefined;
  readonly requestsPerSecond: number | undefined;
  /** Sees the settings as they were before the leader's last write. */
  readonly lag: boolean;
  /** Where the leader dies: before its write, or after it; then there is another one. */
  readonly death: "none" | "before" | "after";
}

/**
 * A store with one rollout and its settings, a clock, and a leader that may die. Whatever is written is checked against rules that are stated here
 * once more, in other words: `assert` throws where one is broken.
 */
export class World {
  readonly plan: Plan;
  now = T0;
  settings: InForce;
  /** The document, as a store has it: text. */
  text: string;
  /** Before the leader's last write; undefined: somebody else has written since. */
  #before: InForce | undefined;
  #ranHere = new Set<string>();
  #leaders = 1;
  readonly #hooksBegun = new Set<string>();
  /** Time that the present step's settings have been in force. */
  #credit = 0;
  /** Since a rollback began and before a person has begun anew. */
  #over = false;
  #runs = 1;
  /** Every status that was ever written. */
  readonly visited = new Set<string>();

  constructor(plan: Plan, others: Readonly<Record<string, number>>) {
    this.plan = plan;
    const inForce = inForceOf(plan);
    this.settings = { ...inForce, segments: { ...inForce.segments, ...others } };
    const acted = start(plan, { id: "run-1", by: "alice", now: this.now, current: undefined, inForce: this.settings });
    assert.ok(!("refused" in acted));
    this.text = writeRollout(acted.rollout);
    this.#write(acted.fields);
  }

  get rollout(): Rollout {
    return readRollout(this.text);
  }

  get #leader(): string {
    return `leader-${this.#leaders}`;
  }

  get newId(): string {
    return `run-${this.#runs + 1}`;
  }

  pass(ms: number): void {
    const { stays } = this.rollout;
    if (stays.at(-1)?.to === undefined) this.#credit += ms;
    this.now += ms;
  }

  /** Anybody writes settings, past the rollout. */
  edit(change: (settings: InForce) => InForce): void {
    this.settings = { ...change(this.settings), revision: this.settings.revision + 1 };
    this.#before = undefined;
  }

  seen(sight: Sight): Seen {
    const { state, plan } = this.rollout;
    const step = "step" in state ? plan.steps[state.step] : undefined;
    const word = (words: readonly VerdictWord[], i: number): VerdictWord => words[i % Math.max(1, words.length)] ?? "pass";
    return {
      triggers: plan.triggers.map((check, i) => judgedAs(check, word(sight.triggers, i))),
      gates: step === undefined ? [] : [...plan.gates, ...step.gates].map((check, i) => judgedAs(check, word(sight.gates, i))),
      webhooks: (step?.webhooks ?? []).map((name) => ({ name, verdict: sight.webhooks, why: name })),
      calendar: { open: sight.open, why: "calendar", opensAt: undefined },
      inForce: sight.lag ? (this.#before ?? this.settings) : this.settings,
      figuresAgeMs: sight.figuresAgeMs,
      stable: sight.stable === undefined ? undefined : { healthy: sight.stable, detail: "" },
      requestsPerSecond: sight.requestsPerSecond,
      self: this.#leader,
      alive: [this.#leader],
      hookLimits: {},
      clockOffMs: undefined,
      silent: [],
    };
  }

  /** One look of the leader, and what it writes. */
  look(sight: Sight): void {
    const seen = frozen(this.seen(sight));
    const rollout = frozen(this.rollout);
    const next = planNext(rollout, seen, this.now, this.#ranHere);
    assert.deepEqual(
      planNext(this.rollout, this.seen(sight), this.now, new Set(this.#ranHere)),
      next,
      "equal arguments give equal answers",
    );
    this.#judge(rollout, seen, next);
    if (sight.death !== "none") {
      this.#ranHere = new Set();
      this.#leaders++;
    }
    if (next.kind === "stay" || sight.death === "before") return;
    this.#save(next.rollout, next.kind === "write" ? next.fields : undefined);
    if (next.kind !== "hook" || !("rollback" in next.rollout.state)) return;
    const key = hookKey(next.rollout, next.rollout.state.rollback, next.index);
    assert.ok(!this.#hooksBegun.has(key), `hook ${key} is begun once`);
    this.#hooksBegun.add(key);
    if (sight.death === "none") this.#ranHere.add(key);
  }

  /** The end of a hook, by whoever ran it: the present leader or one that was taken for dead. */
  endHook(index: number, status: "done" | "failed" | "timed-out"): void {
    const before = this.rollout;
    const after = hookEnded(before, index, { status, ms: 5, detail: "" });
    const was = "rollback" in before.state ? before.state.rollback.hooks[index]?.status : undefined;
    assert.equal(after === before, was !== "running" && was !== "unknown", "only what was begun ends");
    this.#save(after, undefined);
  }

  confirm(missing: readonly string[]): void {
    this.#save(trafficSeen(this.rollout, { revision: 1, acknowledged: ["one"], missing, ms: 9 }), undefined);
  }

  /** What a person did; resolves with whether it was done. */
  act(act: (rollout: Rollout) => Act, may: "rise" | "fall" | "nothing"): boolean {
    const rollout = frozen(this.rollout);
    const acted = act(rollout);
    assert.deepEqual(act(this.rollout), acted);
    if ("refused" in acted) {
      assert.ok(acted.refused.length > 10, "what is wrong is said");
      return false;
    }
    assert.ok(acted.reason.length > 0);
    const { state, approvals } = acted.rollout;
    assert.equal(new Set(approvals.map(({ who }) => who)).size, approvals.length, "nobody approves twice");
    if ("step" in rollout.state && (state.status === "completed" || ("step" in state && state.step !== rollout.state.step))) {
      assert.notEqual(rollout.state.status, "held", "what is held is not advanced");
      const asked = this.plan.steps[rollout.state.step]?.approvals ?? [];
      assert.ok(
        asked.every((role) => rollout.approvals.some((approval) => approval.role === role)),
        "approvals are not skipped",
      );
    }
    if (may === "nothing") assert.equal(acted.fields, undefined);
    else if (may === "fall") this.#mayNotRise(acted.fields);
    if (may === "rise") assert.ok(this.settings.enabled && !this.settings.killed, "nothing rises behind a kill");
    this.#save(acted.rollout, acted.fields);
    if (acted.rollout.id !== rollout.id) {
      this.#runs++;
      this.#over = false;
    } else if ("step" in rollout.state && "step" in acted.rollout.state && acted.rollout.state.step > rollout.state.step) {
      assert.equal(acted.rollout.state.step, rollout.state.step + 1);
    }
    return true;
  }

  #judge(rollout: Rollout, seen: Seen, next: Next): void {
    const { state } = rollout;
    assert.ok(next.reasons.length > 0 && next.reasons.every((reason) => reason !== ""), "why is always said");
    const fails = seen.triggers.some(({ verdict }) => verdict.verdict === "fail");
    const nowhere = state.status === "completed" && seen.stable?.healthy === false;
    if (!("rollback" in state) && fails && !nowhere) {
      assert.equal(next.kind === "write" && next.rollout.state.status, "rolling-back", "a trigger that fails rolls back at once");
    }
    if (this.#over) assert.ok(next.kind === "stay" || "rollback" in next.rollout.state, "after a rollback only a person begins anew");
    if (state.status === "held" && (state.cause === "pause" || state.edited === true) && next.kind === "write") {
      assert.ok(["held", "rolling-back"].includes(next.rollout.state.status), "a pause, and a hand on the figures, is ended by a person");
    }
    const advances = this.#mayAdvance(rollout, seen);
    const moved =
      next.kind === "write" &&
      ((next.fields !== undefined && "step" in next.rollout.state) ||
        (next.rollout.state.status === "completed" && state.status !== "completed"));
    assert.equal(moved, advances, `a step is left when, and only when, everything allows it: ${next.reasons.join("; ")}`);
    if (next.kind === "stay") return;
    assert.equal(next.rollout.id, rollout.id);
    assert.equal(writeRollout(readRollout(writeRollout(next.rollout))), writeRollout(next.rollout));
    assert.deepEqual(readRollout(writeRollout(next.rollout)), next.rollout, "what is written parses back to itself");
    if (next.kind === "hook") this.#judgeHook(rollout, next.index);
    else this.#judgeWrite(rollout, next);
  }

  #judgeWrite({ state }: Rollout, next: Extract<Next, { readonly kind: "write" }>): void {
    const after = next.rollout.state;
    if ("step" in state && "step" in after && after.step !== state.step) {
      assert.equal(after.step, state.step + 1, "no step is left out");
      assert.deepEqual(next.fields, fieldsOf(this.plan, after.step));
      assert.deepEqual(next.rollout.approvals, []);
    } else if (next.fields !== undefined) {
      assert.equal(after.status, "rolling-back", "settings change with a step or a rollback only");
      this.#mayNotRise(next.fields);
    }
    if (after.status !== "rolling-back") return;
    const { shift, at } = after.rollback;
    assert.ok(
      shift.every((stage) => stage.at <= at + this.plan.rollback.shiftMs),
      "the shift ends in time",
    );
    if (next.fields !== undefined && shift.length === 0) {
      assert.ok(
        Object.values(next.fields).every((text) => text === "0"),
        "at its end nobody is left on the candidate",
      );
      for (const [name, bp] of Object.entries(this.settings.segments)) assert.ok(bp === 0 || next.fields[`segment.${name}`] === "0", name);
    }
    if (state.status !== "rolling-back" && this.plan.rollback.stableCapacity === undefined) {
      const healthy = next.fields?.["rollout_percentage"] === "0";
      assert.ok(healthy || shift.length > 0);
    }
  }

  #judgeHook({ state }: Rollout, index: number): void {
    assert.equal(state.status, "rolling-back");
    if (state.status !== "rolling-back") return;
    const { shift, hooks, traffic, at }: Rollback = state.rollback;
    assert.equal(shift.length, 0, "traffic first");
    assert.ok(traffic !== undefined || this.now >= at + this.plan.rollback.trafficLimitMs);
    assert.ok(
      hooks.slice(0, index).every(({ status }) => !["pending", "running"].includes(status)),
      "hooks run in order, one at a time",
    );
    assert.equal(hooks[index]?.status, "pending");
  }

  /** The rule in other words. */
  #mayAdvance({ state, approvals, stays }: Rollout, seen: Seen): boolean {
    if (state.status !== "progressing" && state.status !== "waiting") return false;
    const step = this.plan.steps[state.step];
    if (step === undefined || stays.at(-1)?.to !== undefined || this.#credit < step.dwellMs) return false;
    const triggers = seen.triggers.every(
      ({ check, verdict: { verdict } }) => verdict === "pass" || (verdict !== "fail" && !check.required),
    );
    const gates = seen.gates.every(({ verdict }) => verdict.verdict === "pass");
    const people = new Set(approvals.map(({ who }) => who));
    const asked = people.size === approvals.length && step.approvals.every((role) => approvals.some((approval) => approval.role === role));
    const webhooks = seen.webhooks.every(({ verdict }) => verdict === "pass");
    const open = seen.calendar.open || state.step === this.plan.steps.length - 1;
    const fresh = seen.figuresAgeMs !== undefined && seen.figuresAgeMs <= 10_000;
    const { enabled, killed, percentageBp, segments } = seen.inForce;
    const own = percentageBp === step.percentageBp;
    const ownSegments = this.plan.segments.every(({ name, fromBp }) => segments[name] === (percentageBp >= fromBp ? percentageBp : 0));
    return triggers && gates && asked && webhooks && open && fresh && enabled && !killed && own && ownSegments;
  }

  #mayNotRise(fields: FieldWrites | undefined): void {
    const after = applied(this.settings, fields);
    assert.ok(after.percentageBp <= this.settings.percentageBp, "the percentage does not rise");
    for (const [name, bp] of Object.entries(after.segments))
      assert.ok(bp <= (this.settings.segments[name] ?? 0), `segment ${name} does not rise`);
  }

  #save(rollout: Rollout, fields: FieldWrites | undefined): void {
    const { id, state } = this.rollout;
    const same = id === rollout.id && "step" in state && "step" in rollout.state && state.step === rollout.state.step;
    if (!same) this.#credit = 0;
    if ("rollback" in rollout.state) this.#over = true;
    this.visited.add(rollout.state.status);
    this.text = writeRollout(rollout);
    this.#write(fields);
  }

  #write(fields: FieldWrites | undefined): void {
    if (fields === undefined) return;
    this.#before = this.settings;
    this.settings = applied(this.settings, fields);
  }
}

/** A write to it throws. */
function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) frozen(member);
  return value;
}

import type { Judged, VerdictWord } from "../analysis/check.ts";
import { isBusiness } from "../analysis/judge-samples.ts";
import type { RecordEntry } from "../analysis/recording.ts";
import { parseShare } from "../core/quantity.ts";
import { approve, start } from "./acts.ts";
import { type FieldWrites, type InForce, percentageOf, shareText } from "./fields.ts";
import { instantText, lengthText, type Seen, stepText } from "./next.ts";
import { approvalsMissing } from "./obstacles.ts";
import type { Plan } from "./plan.ts";
import { planNext } from "./plan-next.ts";
import { checkText } from "./rolling-back.ts";
import type { Rollout } from "./rollout.ts";
import { lastStep } from "./stays.ts";

/** Instants are epoch milliseconds. */
export interface ReplayEvent {
  readonly at: number;
  readonly kind: "starts" | "enters" | "waits" | "held" | "rolls-back" | "completes";
  /** Index into the steps of the plan whose event it is; -1: nobody on the candidate. */
  readonly step: number;
  readonly percentageBp: number;
  readonly why: string;
}

/** How often a check said what, over all looks while the plan was played. */
export interface ReplayTally extends Readonly<Record<VerdictWord, number>> {
  readonly check: string;
  readonly kind: "trigger" | "gate";
  /** What it said when it failed first; undefined: it never did. */
  readonly failed: { readonly at: number; readonly why: string } | undefined;
}

/** Beyond this a share that differs is worth a word: the candidate's sample is that much smaller or larger. */
const SAME_SHARE = 0.02;
/** Writes at one look: waiting, then the next step. */
const MOST_WRITES = 4;

/** One rollout of the plan, played over a record. */
export class Played {
  readonly #plan: Plan;
  readonly refused: string | undefined;
  readonly events: ReplayEvent[] = [];
  readonly #tallies = new Map<string, ReplayTally>();
  readonly #shares = new ShareNotes();
  #rollout: Rollout | undefined;
  #inForce: InForce;
  #reasons: readonly string[] = [];

  constructor(plan: Plan, now: number) {
    this.#plan = plan;
    const segments = Object.fromEntries(plan.segments.map(({ name }) => [name, 0]));
    this.#inForce = { revision: 0, enabled: true, killed: false, percentageBp: 0, segments };
    const started = start(plan, { id: "replay", by: "replay", now, current: undefined, inForce: this.#inForce });
    this.refused = "refused" in started ? started.refused : undefined;
    if ("refused" in started) return;
    this.#write(started.rollout, started.fields);
    this.#note("starts", now, started.reason);
  }

  get rollout(): Rollout {
    if (this.#rollout === undefined) throw new Error("the plan was not started");
    return this.#rollout;
  }

  get inForce(): InForce {
    return this.#inForce;
  }

  get isOver(): boolean {
    return "rollback" in this.rollout.state;
  }

  get checks(): readonly ReplayTally[] {
    return [...this.#tallies.values()];
  }

  /** As many different people as there are roles. */
  approveAll(now: number): void {
    const { state, approvals } = this.rollout;
    const step = "step" in state ? this.#plan.steps[state.step] : undefined;
    for (const role of step === undefined ? [] : approvalsMissing(step, approvals)) {
      const acted = approve(this.rollout, { who: `assumed person ${this.rollout.approvals.length + 1}`, role, now });
      if (!("refused" in acted)) this.#rollout = acted.rollout;
    }
  }

  /** One look: at most one step further. */
  play(judged: Seen, entry: RecordEntry): void {
    const { to: now, percentageBp } = entry;
    const step = lastStep(this.rollout);
    this.#tally(judged.triggers, "trigger", now);
    this.#tally(judged.gates, "gate", now);
    this.#shares.note(step, percentageOf(this.#plan, step), entry);
    // With nobody on the candidate the record says nothing for it; what speaks against it counts all the same.
    const seen: Seen = { ...judged, figuresAgeMs: percentageBp === 0 ? undefined : judged.figuresAgeMs, requestsPerSecond: rateOf(entry) };
    for (let writes = 0; writes < MOST_WRITES; writes++) {
      const next = planNext(this.rollout, { ...seen, inForce: this.#inForce }, now, new Set());
      this.#reasons = next.reasons;
      if (next.kind !== "write") return;
      this.#write(next.rollout, next.fields);
      this.#note(kindOf(next.rollout), now, next.reason);
      if (next.fields !== undefined || next.rollout.state.status === "completed") return;
    }
  }

  endText(end: number): string {
    const { state } = this.rollout;
    if ("rollback" in state) {
      const left = end - state.rollback.at;
      const rest = left > 0 ? ` What would have come in the ${lengthText(left)} that were recorded after it cannot be told.` : "";
      return `Rolled back from ${stepText(this.#plan, state.rollback.step)} at ${instantText(state.rollback.at)}.${rest}`;
    }
    if (state.status === "completed") return `Completed at ${instantText(state.at)}, and no trigger would have fired since.`;
    return `At the end of the record ${state.status} at ${stepText(this.#plan, state.step)}: ${this.#reasons.join("; ")}`;
  }

  doubts(approvals: string, webhooks: string): readonly string[] {
    const { steps, gates, triggers, rollback } = this.#plan;
    const checks = [...gates, ...triggers, ...steps.flatMap((step) => step.gates)];
    const business = checks.filter(({ metric, window }) => isBusiness(metric) && window.kind !== "last");
    return [
      ...this.#shares.doubts((step) => stepText(this.#plan, step)),
      ...(business.length > 0 && this.#shares.moved
        ? [
            `Sums over users are recorded by the step of then, from its beginning on, and not by that of this plan: ${business.map(({ name }) => name).join(", ")}.`,
          ]
        : []),
      ...(steps.some((step) => step.approvals.length > 0) ? [`Approvals are taken to be ${approvals}.`] : []),
      ...(steps.some((step) => step.webhooks.length > 0) ? [`Webhooks are taken to say ${webhooks}.`] : []),
      ...(this.isOver && rollback.stableCapacity !== undefined ? ["The stable arm is taken to be well when the traffic goes back."] : []),
    ];
  }

  #write(rollout: Rollout, fields: FieldWrites | undefined): void {
    this.#rollout = rollout;
    if (fields === undefined) return;
    const figure = (name: string, before: number): number => parseShare(fields[name] ?? "") ?? before;
    const segments = Object.entries(this.#inForce.segments).map(([name, bp]) => [name, figure(`segment.${name}`, bp)] as const);
    this.#inForce = {
      ...this.#inForce,
      revision: this.#inForce.revision + 1,
      percentageBp: figure("rollout_percentage", this.#inForce.percentageBp),
      segments: Object.fromEntries(segments),
    };
  }

  #note(kind: ReplayEvent["kind"], at: number, why: string): void {
    this.events.push({ at, kind, step: lastStep(this.rollout), percentageBp: this.#inForce.percentageBp, why });
  }

  #tally(all: readonly Judged[], kind: ReplayTally["kind"], at: number): void {
    for (const { check, scope, verdict } of all) {
      const name = checkText({ check, scope });
      const key = `${kind} ${name}`;
      const known = this.#tallies.get(key) ?? { check: name, kind, pass: 0, fail: 0, inconclusive: 0, "no-data": 0, failed: undefined };
      const failed = known.failed ?? (verdict.verdict === "fail" ? { at, why: verdict.why } : undefined);
      this.#tallies.set(key, { ...known, [verdict.verdict]: known[verdict.verdict] + 1, failed });
    }
  }
}

/** Where the share that was recorded is not the one that the plan would have had: figures are those of the recorded share. */
class ShareNotes {
  readonly #notes = new Map<string, { readonly step: number; readonly planned: number; readonly recorded: number; ms: number }>();

  note(step: number, planned: number, { from, to, percentageBp }: RecordEntry): void {
    const key = `${step} ${percentageBp}`;
    const known = this.#notes.get(key) ?? { step, planned, recorded: percentageBp, ms: 0 };
    known.ms += to - from;
    this.#notes.set(key, known);
  }

  get moved(): boolean {
    return [...this.#notes.values()].some(differs);
  }

  doubts(nameOf: (step: number) => string): readonly string[] {
    return [...this.#notes.values()].filter(differs).map(({ step, planned, recorded, ms }) => {
      const time = `for ${lengthText(ms)} of ${nameOf(step)}`;
      if (recorded === 0) return `Nobody was on the candidate ${time}: the record says nothing of it, and the plan is taken to wait.`;
      const times = planned / recorded;
      const more = times >= 1 ? `${times.toFixed(1)} times as many` : `${(times * 100).toFixed(0)} % as many`;
      return `${shareText(recorded)} were on the candidate ${time}: the figures are those of that share. It would have had ${more} observations, so verdicts might have come ${times >= 1 ? "sooner" : "later"}, and under another load.`;
    });
  }
}

function differs({ planned, recorded }: { readonly planned: number; readonly recorded: number }): boolean {
  return Math.abs(planned - recorded) > SAME_SHARE * planned;
}

function kindOf({ state }: Rollout): ReplayEvent["kind"] {
  switch (state.status) {
    case "progressing":
      return "enters";
    case "waiting":
      return "waits";
    case "completed":
      return "completes";
    case "held":
      return "held";
    default:
      return "rolls-back";
  }
}

function rateOf({ from, to, figures }: RecordEntry): number | undefined {
  const own = figures[0];
  if (own === undefined) return undefined;
  return (own.cells.reduce((sum, { stable, candidate }) => sum + stable.requests + candidate.requests, 0) * 1_000) / (to - from);
}

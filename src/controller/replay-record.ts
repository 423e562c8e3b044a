import type { BusinessSource } from "../analysis/business.ts";
import type { Check, Metric } from "../analysis/check.ts";
import { createRecordedSources, type RecordedSources, type RecordEntry } from "../analysis/recording.ts";
import { mergeStretches, middleOf, type Stretch } from "../analysis/windows-stretch.ts";
import { formatDuration } from "../core/quantity.ts";
import type { Plan } from "./plan.ts";
import type { Stay } from "./rollout.ts";

/** The record in order of time, one entry for each stretch of it. */
export function inOrder(records: readonly RecordEntry[]): { readonly entries: readonly RecordEntry[]; readonly overlapping: number } {
  const entries: RecordEntry[] = [];
  for (const entry of records.filter(({ from, to }) => to > from).toSorted((one, other) => one.to - other.to || one.from - other.from)) {
    if (entry.from >= (entries.at(-1)?.to ?? -Infinity)) entries.push(entry);
  }
  return { entries, overlapping: records.length - entries.length };
}

/** How long an entry is, as a rule: the longest, for others were cut where a step changed. */
export function periodOf(entries: readonly RecordEntry[]): number {
  return entries.reduce((longest, { from, to }) => Math.max(longest, to - from), 0);
}

/**
 * The plan with windows that the record can show: whole entries, for nothing is known of what lies within one. `widened` says which checks look at
 * longer windows than they ask for.
 */
export function asRecorded(plan: Plan, periodMs: number): { readonly plan: Plan; readonly widened: readonly string[] } {
  const widened: string[] = [];
  const whole = (ms: number): number => Math.ceil(ms / periodMs) * periodMs;
  const fit = (check: Check): Check => {
    const forMs = whole(check.forMs);
    if (check.window.kind !== "last") return { ...check, forMs };
    const ms = whole(check.window.ms);
    if (ms !== check.window.ms) widened.push(`${check.name} (${formatDuration(check.window.ms)})`);
    else if (forMs !== check.forMs) widened.push(`${check.name} (for ${formatDuration(check.forMs)})`);
    return { ...check, forMs, window: { kind: "last", ms } };
  };
  const fitted: Plan = {
    ...plan,
    gates: plan.gates.map(fit),
    triggers: plan.triggers.map(fit),
    steps: plan.steps.map((step) => ({ ...step, gates: step.gates.map(fit) })),
  };
  return { plan: fitted, widened: [...new Set(widened)] };
}

/** How far back a check that slides looks, at most. */
function reachOf(plan: Plan): number {
  return checksOf(plan).reduce((reach, { window, forMs }) => Math.max(reach, forMs, window.kind === "last" ? window.ms : 0), 0);
}

function checksOf({ gates, triggers, steps }: Plan): readonly Check[] {
  return [...gates, ...triggers, ...steps.flatMap((step) => step.gates)];
}

/** Entries that are merged at a time. */
const BATCH = 64;

/**
 * The record as one goes through it. What no sliding window reaches any more is merged between the beginnings and ends of stays, so that weeks of
 * it cost no more a look than an hour.
 */
export class PlayedRecord {
  readonly #entries: readonly RecordEntry[];
  readonly #keepMs: number;
  /** What windows that grow look at. */
  readonly #kept: ReadonlySet<Metric>;
  /** First entry that is not merged. */
  #first = 0;
  #merged: RecordEntry | undefined;
  #upTo = 0;
  #sources: RecordedSources | undefined;

  constructor(entries: readonly RecordEntry[], plan: Plan) {
    this.#entries = entries;
    this.#keepMs = reachOf(plan) + periodOf(entries);
    this.#kept = new Set(
      checksOf(plan)
        .filter(({ window }) => window.kind !== "last")
        .map(({ metric }) => metric),
    );
  }

  /** Sources that can show the entry of this place. Places only grow. Stays are those of the rollout that is played, and so is `step`. */
  at(place: number, stays: readonly Stay[], step: number): RecordedSources {
    if (this.#sources === undefined || place >= this.#upTo) {
      this.#merge(place, stays);
      this.#upTo = place + BATCH;
      const entries = this.#entries.slice(this.#first, this.#upTo);
      this.#sources = createRecordedSources(this.#merged === undefined ? entries : [this.#merged, ...entries]);
    }
    const { figures, business } = this.#sources;
    const since = stays.at(-1)?.from ?? -Infinity;
    return { figures, business: relabelled(business, step, this.#stepsSince(place, since)) };
  }

  /** Steps that the record was at meanwhile. */
  #stepsSince(place: number, since: number): ReadonlySet<number> {
    const steps = new Set<number>();
    for (let i = place; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry === undefined || entry.to <= since) break;
      steps.add(entry.step);
    }
    return steps;
  }

  #merge(place: number, stays: readonly Stay[]): void {
    const now = this.#entries[place]?.to ?? 0;
    const old = this.#entries.slice(this.#first).findIndex(({ to }) => to > now - this.#keepMs);
    if (old <= 0) return;
    const gone = [...(this.#merged === undefined ? [] : [this.#merged]), ...this.#entries.slice(this.#first, this.#first + old)];
    const edges = stays.flatMap(({ from, to }) => (to === undefined ? [from] : [from, to]));
    const groups = new Map<number, Stretch[]>();
    for (const stretch of gone.flatMap(({ figures }) => figures)) {
      const key = edges.filter((edge) => edge <= middleOf(stretch)).length;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [stretch]);
      else group.push(stretch);
    }
    const last = gone.at(-1);
    if (last === undefined) return;
    this.#merged = {
      ...last,
      from: gone[0]?.from ?? last.from,
      figures: [...groups.values()].flatMap((group) => mergeStretches(group) ?? []),
      business: [],
      signals: gone.flatMap(({ signals }) => signals).filter(({ kind, at }) => this.#kept.has(kind) || at >= now - this.#keepMs),
      strata: [...new Map(gone.flatMap(({ strata }) => strata).map((stratum) => [stratum.step, stratum])).values()],
    };
    this.#first += old;
  }
}

/** Sums over users are recorded by the step of then. Those of the steps that the record was at count for the step that is played. */
function relabelled(business: BusinessSource, step: number, recorded: ReadonlySet<number>): BusinessSource {
  return {
    refresh: (now) => business.refresh(now),
    between: (from, to) => business.between(from, to),
    steps: () => business.steps().map((stratum) => ({ ...stratum, step: recorded.has(stratum.step) ? step : -1 })),
  };
}

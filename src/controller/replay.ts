import type { VerdictWord } from "../analysis/check.ts";
import type { RecordEntry } from "../analysis/recording.ts";
import { formatDuration } from "../core/quantity.ts";
import { shareText } from "./fields.ts";
import { look } from "./look.ts";
import { instantText, lengthText } from "./next.ts";
import type { Plan } from "./plan.ts";
import { asRecorded, inOrder, periodOf, PlayedRecord } from "./replay-record.ts";
import { Played, type ReplayEvent, type ReplayTally } from "./replay-run.ts";
import { lastStep } from "./stays.ts";

export interface ReplayOptions {
  /** Only what was recorded from then, and up to then. Epoch milliseconds. */
  readonly from?: number;
  readonly to?: number;
  /** `given`: people approve as soon as they are asked. `missing`: nobody ever does. Default: given. */
  readonly approvals?: "given" | "missing";
  /** What webhooks of a step say. Default: pass. */
  readonly webhooks?: VerdictWord;
}

export interface ReplayReport {
  readonly plan: string;
  readonly from: number;
  readonly to: number;
  /** Entries of the record that were looked at. */
  readonly looks: number;
  readonly would: readonly ReplayEvent[];
  readonly did: readonly ReplayEvent[];
  /** How it would have stood at the end, in one sentence. */
  readonly end: string;
  readonly checks: readonly ReplayTally[];
  /** What the record cannot tell, and what was assumed. */
  readonly doubts: readonly string[];
}

/** Between two entries. */
const GAP_MS = 1_000;
/**
 * What a plan would have done with the figures that were recorded: the same decisions by the same code, an entry of the record a look, from the
 * beginning of the record to its end or to a rollback. Never rejects for what is in the record.
 */
export async function replay(plan: Plan, records: readonly RecordEntry[], options: ReplayOptions): Promise<ReplayReport> {
  const { from = -Infinity, to = Infinity, approvals = "given", webhooks = "pass" } = options;
  const { entries, overlapping } = inOrder(records.filter((entry) => entry.from >= from && entry.to <= to));
  const [first] = entries;
  const end = entries.at(-1);
  const empty = { plan: plan.name, from: first?.from ?? 0, to: end?.to ?? 0, looks: 0, would: [], did: didOf(entries), checks: [] };
  if (first === undefined || end === undefined) return { ...empty, end: "nothing was recorded in this time", doubts: [] };
  const fitted = asRecorded(plan, periodOf(entries));
  const played = new Played(fitted.plan, first.from);
  if (played.refused !== undefined) return { ...empty, end: `the plan cannot be started: ${played.refused}`, doubts: [] };

  const record = new PlayedRecord(entries, fitted.plan);
  let looks = 0;
  for (const [place, entry] of entries.entries()) {
    if (played.isOver) break;
    looks++;
    if (approvals === "given") played.approveAll(entry.to);
    const { rollout } = played;
    const step = lastStep(rollout);
    const sources = record.at(place, rollout.stays, step);
    const seen = await look(
      rollout,
      {
        figures: sources.figures,
        business: () => sources.business,
        inForce: () => played.inForce,
        probeStable: () => Promise.resolve({ healthy: true, detail: "assumed" }),
        webhooks: (_rollout, names) => names.map((name) => ({ name, verdict: webhooks, why: `${name} is taken to say ${webhooks}` })),
        self: "replay",
        alive: () => Promise.resolve(undefined),
        hookLimits: {},
        clockOffMs: () => 0,
        // Which routes and segments there were the record alone can say.
        routes: [],
        segments: () => [],
      },
      entry.to,
    );
    played.play(seen, entry);
  }
  return {
    ...empty,
    looks,
    would: played.events,
    end: played.endText(end.to),
    checks: played.checks,
    doubts: [
      ...(fitted.widened.length === 0
        ? []
        : [
            `An entry of the record is ${formatDuration(periodOf(entries))} long, and nothing is known of shorter times; these checks were judged over whole entries: ${fitted.widened.join(", ")}.`,
          ]),
      ...(overlapping === 0 ? [] : [`${overlapping} entries were left out: empty, or of a time that another one tells of.`]),
      ...gapsIn(entries.slice(0, looks)),
      ...played.doubts(approvals, webhooks),
    ],
  };
}

function didOf(entries: readonly RecordEntry[]): readonly ReplayEvent[] {
  return entries.flatMap(({ from, step, percentageBp }, i) => {
    const before = entries[i - 1];
    if (before !== undefined && before.step === step && before.percentageBp === percentageBp) return [];
    const kind = before === undefined ? "starts" : step < 0 && before.step >= 0 ? "rolls-back" : "enters";
    return [{ at: from, kind, step, percentageBp, why: "" }];
  });
}

function gapsIn(entries: readonly RecordEntry[]): readonly string[] {
  const gaps = entries.map(({ from }, i) => from - (entries[i - 1]?.to ?? from)).filter((ms) => ms > GAP_MS);
  const total = gaps.reduce((sum, ms) => sum + ms, 0);
  return gaps.length === 0 ? [] : [`Nothing was recorded for ${lengthText(total)} in ${gaps.length} gaps: no look was taken there.`];
}

/** For a terminal, a line each. */
export function renderReplay({ plan, from, to, looks, would, did, end, checks, doubts }: ReplayReport): readonly string[] {
  const told = ({ at, kind, step, percentageBp, why }: ReplayEvent): string =>
    `  ${instantText(at)}  ${kind.padEnd(10)}  ${(step < 0 ? "nobody" : `step ${step + 1}`).padEnd(7)} ${shareText(percentageBp).padStart(7)}${why === "" ? "" : `  ${why}`}`;
  const counted = checks.map(
    ({ check, kind, pass, fail, inconclusive, "no-data": silent, failed }) =>
      `  ${kind.padEnd(7)}  ${check}: ${pass} pass, ${fail} fail, ${inconclusive} inconclusive, ${silent} no-data${failed === undefined ? "" : `; first failed ${instantText(failed.at)}: ${failed.why}`}`,
  );
  return [
    `${plan} over what was recorded from ${instantText(from)} to ${instantText(to)} (${looks} looks)`,
    "",
    "would have:",
    ...would.map(told),
    `  ${end}`,
    "did:",
    ...did.map(told),
    ...(counted.length === 0 ? [] : ["", "checks, by look:", ...counted]),
    ...(doubts.length === 0 ? [] : ["", "what the record cannot tell, and what was assumed:", ...doubts.map((doubt) => `  - ${doubt}`)]),
  ];
}

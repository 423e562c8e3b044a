import { type ExperimentReport, experimentReport } from "../analysis/experiment.ts";
import { type Span, type SummaryRow, summarize } from "../analysis/windows-summary.ts";
import type { Config, SegmentRule } from "../config/config.ts";
import { formatProblems } from "../config/problem.ts";
import { randomHex } from "../core/random-id.ts";
import { DocumentConflict, type RolloutStore } from "../store/rollout-store.ts";
import { type Author, RevisionConflict } from "../store/store.ts";
import { type Act as Acted, advance, approve, pause, resume, resumeAt, rollBack, start } from "./acts.ts";
import { calendarVerdict } from "./calendar.ts";
import type { DrillReport } from "./drill-report.ts";
import { type DrillParts, rehearse } from "./drill.ts";
import { strataOf } from "./experiment-strata.ts";
import type { Plan } from "./plan.ts";
import { parsePlan } from "./plan-file/parse.ts";
import { GuardedWrites } from "./guarded-writes.ts";
import { look, lookAtReports, type Sources } from "./look.ts";
import { lint } from "./lint/lint.ts";
import type { LintFinding } from "./lint/finding.ts";
import type { Rollout, TrafficReport } from "./rollout.ts";
import { readRollout, writeRollout } from "./state-text.ts";
import type { RolloutView } from "./view.ts";

/** What people may do to the rollout of one flag, on any instance. */
export type Act =
  | { readonly kind: "approve"; readonly role: string }
  | { readonly kind: "pause" | "advance" }
  | { readonly kind: "rollback" }
  /** With a step: begins anew there after a rollback; by name or by number from 1. */
  | { readonly kind: "resume"; readonly step: string | undefined };

/** Something that cannot be done now, and what could. */
export class Refused extends Error {
  override readonly name = "Refused";
  /** What is wrong, one thing each, where there may be several. */
  readonly faults: readonly string[];

  constructor(message: string, faults: readonly string[] = []) {
    super(message);
    this.faults = faults;
  }
}

export interface RolloutStatus {
  readonly flag: string;
  /** Undefined: no rollout was ever started. */
  readonly rollout: Rollout | undefined;
  readonly leader: string | undefined;
  /** What the leader saw at its last look; undefined where nobody leads. */
  readonly view: RolloutView | undefined;
}

export interface ActReceipt {
  readonly flag: string;
  readonly rollout: string;
  readonly status: string;
  readonly reason: string;
  readonly revision: number;
  /** Who runs the settings that go with it. */
  readonly acknowledged: readonly string[];
  readonly missing: readonly string[];
}

export interface FiguresView {
  readonly span: Span;
  readonly from: number;
  readonly to: number;
  readonly coveredMs: number;
  readonly instances: readonly string[];
  readonly rows: readonly SummaryRow[];
}

export interface DeskParts {
  readonly config: Config;
  readonly store: RolloutStore;
  readonly sources: (flag: string) => Sources;
  /** Of the flag, as they are in force. */
  readonly segments: (flag: string) => readonly SegmentRule[];
  readonly confirm: (flag: string, revision: number, waitMs: number) => Promise<Omit<TrafficReport, "ms">>;
  /** Resolves when figures reach back as far as they are kept, or it takes too long. */
  readonly caughtUp: (flag: string) => Promise<void>;
  readonly change: (
    flag: string,
    fields: Readonly<Record<string, string | null>>,
    by: Author,
    waitMs: number,
  ) => Promise<Omit<TrafficReport, "ms">>;
  readonly drillParts: (flag: string, by: Author) => DrillParts;
  /** The leader, if it is this instance, looks at once. */
  readonly nudge: (flag: string) => void;
  readonly view: (flag: string) => RolloutView | undefined;
}

const MOST_TRIES = 20;
const PROBE_MS = 150;
const DRILL_LIMIT_MS = 120_000;
const DRILL_TRAFFIC_LIMIT_MS = 1_000;
const SPAN_MS: Readonly<Record<string, number>> = { "10s": 10_000, "1m": 60_000, "5m": 300_000 };

/** The acts of people, and what they may ask. Every instance has one; none needs to lead. */
export class RolloutDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  async status(flag: string): Promise<RolloutStatus> {
    const { store } = this.#parts;
    const [stored, leader, shown] = await Promise.all([store.load(flag), store.leader(flag), store.shown(flag)]);
    const rollout = stored && readRollout(stored.text);
    const view = this.#parts.view(flag) ?? (shown === undefined ? undefined : viewOf(shown));
    return { flag, rollout, leader: leader?.instance, view: view?.rollout === rollout?.id ? view : undefined };
  }

  /** Begins a plan. `force` takes it in spite of what the linter calls an error. */
  async start(flag: string, text: string, by: Author, force: boolean, waitMs: number): Promise<ActReceipt> {
    const { config } = this.#parts;
    const { inForce } = this.#parts.sources(flag);
    const parsed = parsePlan(text, {
      flags: config.flags.map(({ name, settings }) => ({
        name,
        segments: settings.segments.map((segment) => segment.name),
        routes: routesOf(config, name),
      })),
      hooks: config.hooks.map(({ name }) => name),
    });
    if ("problems" in parsed) throw new Refused("The plan cannot be understood.", formatProblems("plan", parsed.problems).split("\n"));
    const { plan } = parsed;
    if (plan.flag !== flag) throw new Refused(`The plan is for the flag ${plan.flag}, not for ${flag}.`);
    const errors = lint(plan, config, { now: Date.now(), locate: parsed.locate }).filter(({ severity }) => severity === "error");
    if (errors.length > 0 && !force)
      throw new Refused("The plan cannot work as it is; correct it, or start it with `force`.", [
        ...errors.map(lineOf),
        "to start it all the same: --force",
      ]);
    return this.#act(flag, by, waitMs, (current) =>
      start(plan, {
        id: idOf(plan),
        by: by.who,
        now: Date.now(),
        current,
        inForce: inForce(),
        calendar: force ? undefined : calendarVerdict(plan.calendar, plan.timezone, Date.now()),
      }),
    );
  }

  async act(flag: string, act: Act, by: Author, waitMs: number): Promise<ActReceipt> {
    const sources = this.#parts.sources(flag);
    if (act.kind === "rollback") return this.#rollBack(flag, by, waitMs);
    const wanted = act;
    return this.#act(flag, by, waitMs, async (current) => {
      if (current === undefined) return { refused: `there is no rollout of ${flag}; start one with \`crossfade rollout start PLAN\`` };
      const common = { who: by.who, reason: by.reason, now: Date.now() };
      const inForce = sources.inForce();
      switch (wanted.kind) {
        case "approve":
          return approve(current, { ...common, role: wanted.role });
        case "pause":
          return pause(current, common);
        case "advance":
          return advance(current, { ...common, seen: await look(current, sources, common.now) });
        case "resume":
          if (current.state.status !== "rolled-back" && wanted.step === undefined) return resume(current, { ...common, inForce });
          return resumeAt(current, {
            ...common,
            id: idOf(current.plan),
            step: wanted.step === undefined ? undefined : stepNamed(current, wanted.step),
            seen: { inForce, triggers: await lookAtReports(current, sources, common.now) },
          });
      }
    });
  }

  /** Nothing that is only to be shown may stand in its way, nor a document that cannot be read: then the settings alone are written. */
  async #rollBack(flag: string, by: Author, waitMs: number): Promise<ActReceipt> {
    const sources = this.#parts.sources(flag);
    const [stable, requestsPerSecond] = await Promise.all([sources.probeStable(PROBE_MS), this.#rate(flag)]);
    const inForce = sources.inForce();
    try {
      return await this.#act(flag, by, waitMs, (current) =>
        current === undefined
          ? { refused: `there is no rollout of ${flag} to roll back; \`crossfade kill\` takes everybody to the stable arm` }
          : rollBack(current, { who: by.who, reason: by.reason, now: Date.now(), seen: { stable, inForce, requestsPerSecond } }),
      );
    } catch (error) {
      if (!(error instanceof UnreadableRollout)) throw error;
      const fields = {
        rollout_percentage: "0",
        ...Object.fromEntries(Object.keys(inForce.segments).map((name) => [`segment.${name}`, "0"])),
      };
      const receipt = await this.#parts.change(flag, fields, by, waitMs);
      const reason = `everybody is sent to the stable arm; the document of the rollout could not be read and stays as it is: ${error.message}`;
      return { flag, rollout: "unreadable", status: "rolled-back", reason, ...receipt };
    }
  }

  async #rate(flag: string): Promise<number | undefined> {
    const shown = this.#parts.view(flag) ?? viewOf((await this.#parts.store.shown(flag).catch(() => undefined)) ?? "");
    return shown?.requestsPerSecond;
  }

  async figures(flag: string, span: Span): Promise<FiguresView> {
    const source = this.#parts.sources(flag).figures;
    const to = (await source.refresh(Date.now())) ?? Date.now();
    if (span === "step" || span === "start") await this.#parts.caughtUp(flag);
    const { rollout } = span === "step" || span === "start" ? await this.status(flag) : { rollout: undefined };
    if ((span === "step" || span === "start") && rollout === undefined)
      throw new Refused(`There is no rollout of ${flag}, so no step: ask for 10s, 1m or 5m.`);
    const from =
      span === "step" ? (rollout?.stays.at(-1)?.from ?? to) : span === "start" ? (rollout?.startedAt ?? to) : to - (SPAN_MS[span] ?? 0);
    const table = await source.between(from, to);
    return { span, from, to, coveredMs: table.coveredMs, instances: table.instances, rows: summarize(table) };
  }

  async experiment(flag: string): Promise<ExperimentReport> {
    const { rollout } = await this.status(flag);
    if (rollout === undefined) throw new Refused(`There is no rollout of ${flag}, so nothing to compare yet.`);
    const sources = this.#parts.sources(flag);
    const { figures } = sources;
    const business = sources.business(rollout);
    const to = (await figures.refresh(Date.now())) ?? Date.now();
    await this.#parts.caughtUp(flag);
    await business.refresh(Date.now());
    return experimentReport({
      aims: rollout.plan.experiment,
      strata: await strataOf(rollout, figures, business, to, this.#parts.segments(flag)),
      overall: business.overall?.(),
      presentStep: "step" in rollout.state ? rollout.state.step : undefined,
    });
  }

  recorded(flag: string, after: string, count: number): ReturnType<RolloutStore["recorded"]> {
    return this.#parts.store.recorded(flag, after, count);
  }

  async drill(flag: string, live: boolean, by: Author): Promise<DrillReport> {
    const { rollout } = await this.status(flag);
    const plan = rollout?.plan.rollback;
    const underWay = rollout !== undefined && ["progressing", "waiting"].includes(rollout.state.status);
    const parts = this.#parts.drillParts(flag, by);
    const { hooks: known, rollout: settings } = this.#parts.config;
    const options = {
      flag,
      live,
      hooks: (plan?.hooks ?? []).flatMap((name) => known.filter((hook) => hook.name === name)),
      limitMs: plan?.limitMs ?? DRILL_LIMIT_MS,
      trafficLimitMs: plan?.trafficLimitMs ?? DRILL_TRAFFIC_LIMIT_MS,
      reason: by.reason,
      rollout: rollout?.id,
      quietMs: 3 * settings.publishMs,
    };
    const unknown = (plan?.hooks ?? []).filter((name) => !known.some((hook) => hook.name === name));
    if (unknown.length > 0)
      throw new Refused(`The plan names hooks that this instance's configuration does not have: ${unknown.join(", ")}.`);
    if (!live) return rehearse(parts, { ...options, inForce: this.#parts.sources(flag).inForce() });

    if (rollout?.state.status === "rolling-back") throw new Refused("It is being rolled back for real: there is nothing to rehearse.");
    // A live drill takes the share away; the rollout must not take that for somebody's hand on the settings.
    const pausing = `drill: ${by.reason}`;
    if (underWay) await this.act(flag, { kind: "pause" }, { who: by.who, reason: pausing }, 0);
    const guard = await GuardedWrites.over(this.#parts.store, flag, by, this.#parts.confirm);
    const write = rollout === undefined ? parts.write : guard.write;
    const report = await rehearse({ ...parts, write }, { ...options, inForce: this.#parts.sources(flag).inForce() });
    if (underWay && (await guard.untouched())) {
      const over = { who: by.who, reason: "the drill is over", now: Date.now(), inForce: this.#parts.sources(flag).inForce() };
      const ours = (current: Rollout | undefined): Acted =>
        current?.state.status === "held" && current.state.why === pausing
          ? resume(current, over)
          : { refused: "somebody has acted meanwhile" };
      // Whoever has acted meanwhile has the last word, and the status says what it was.
      await this.#act(flag, over, 0, ours).catch(ignoreRefusal);
    }
    return report;
  }

  /** Reads, lets `change` decide, writes; again if somebody else wrote meanwhile. */
  async #act(
    flag: string,
    by: Author,
    waitMs: number,
    change: (current: Rollout | undefined) => Acted | Promise<Acted>,
  ): Promise<ActReceipt> {
    const { store, confirm, nudge } = this.#parts;
    for (let tries = 1; ; tries++) {
      const stored = await store.load(flag);
      // Older than what `change` will see, if anything: then the write is refused and it is decided anew.
      const decidedOn = this.#parts.sources(flag).inForce().revision;
      const acted = await change(stored && read(stored.text));
      if ("refused" in acted) throw new Refused(sentence(acted.refused));
      try {
        const { revision } = await store.save(flag, {
          lease: undefined,
          version: stored?.version ?? 0,
          text: writeRollout(acted.rollout),
          fields: acted.fields,
          by: { who: by.who, reason: acted.reason },
          // What raises the share was decided on settings that must still be in force; what lowers it asks for nothing.
          ifRevision: acted.raises ? decidedOn : undefined,
          lowers: acted.rollout.state.status === "rolling-back" && acted.fields !== undefined,
        });
        nudge(flag);
        const { acknowledged, missing } = await confirm(flag, revision, waitMs);
        const { id, state } = acted.rollout;
        return { flag, rollout: id, status: state.status, reason: acted.reason, revision, acknowledged, missing };
      } catch (error) {
        if (!(error instanceof DocumentConflict || error instanceof RevisionConflict) || tries >= MOST_TRIES) throw error;
      }
    }
  }
}

function idOf({ name }: Plan): string {
  return `${name}-${randomHex(4)}`;
}

/** By name, or by number from 1. */
function stepNamed({ plan }: Rollout, text: string): number {
  const byName = plan.steps.findIndex(({ name }) => name === text);
  if (byName >= 0) return byName;
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= plan.steps.length) return number - 1;
  const known = plan.steps.map(({ name }, index) => `${index + 1} ${name}`).join(", ");
  throw new Refused(`The plan has no step ${JSON.stringify(text.slice(0, 60))}; its steps are ${known}.`);
}

function routesOf(config: Config, flag: string): string[] {
  return config.routes.filter(({ action }) => action.kind === "split" && action.flag === flag).map(({ name }) => name);
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof Refused)) throw error;
}

/** The document is there and says nothing to this version. */
class UnreadableRollout extends Error {
  override readonly name = "UnreadableRollout";
}

function read(text: string): Rollout {
  try {
    return readRollout(text);
  } catch (error) {
    throw new UnreadableRollout(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Refusals are told after a colon as well as by themselves. */
function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function lineOf({ line, column, message, advice }: LintFinding): string {
  return `${line > 0 ? `plan:${line}:${column} ` : ""}${message}; ${advice}`;
}

/** What the leader of this version wrote. */
function viewOf(text: string): RolloutView | undefined {
  try {
    return JSON.parse(text) as RolloutView;
  } catch {
    return undefined;
  }
}

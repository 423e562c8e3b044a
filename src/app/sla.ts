import { setTimeout as delay } from "node:timers/promises";
import { createBusinessSource } from "../analysis/events/business-source.ts";
import type { BusinessSource } from "../analysis/business.ts";
import type { Config } from "../config/config.ts";
import type { SlaSettings } from "../config/config-told.ts";
import { randomHex } from "../core/random-id.ts";
import type { AssignedArm } from "../core/words.ts";
import { assess, type Judgements } from "../sla/assess.ts";
import { CountsReader } from "../sla/counts-reader.ts";
import { decodeMemories, encodeMemories, keyOf, NOTHING_REMEMBERED, type SlaMemory } from "../sla/memory.ts";
import { SlaMeter } from "../sla/meter.ts";
import type { SlaOperations, SlaReport, SlaRow, SlaView } from "../sla/sla.ts";
import { DocumentConflict, Fenced, type Lease } from "../store/rollout-store.ts";
import { type SettingsStore, StoreUnavailable } from "../store/store.ts";
import { durationEdges } from "../telemetry/edges.ts";
import type { Log } from "../telemetry/log.ts";
import type { SlaFigures } from "../telemetry/promises.ts";

export interface SlaDeskParts {
  readonly config: Config;
  readonly instance: string;
  readonly store: Pick<SettingsStore, "counts" | "documents" | "events">;
  /** What workers count in or ever counted in. */
  readonly meters: () => readonly SharedArrayBuffer[];
  readonly log: Pick<Log, "warn" | "info">;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

const LONGEST_BETWEEN_MS = 10_000;
const SHORTEST_BETWEEN_MS = 1_000;
/** Of the time that a kept promise needs to count as recovered. */
const LOOKS_A_RECOVERY = 4;
/** A leader is taken to be alive for so many looks. */
const LOOKS_A_LEASE = 3;
/** Longest wait for the store when the program ends. */
const LAST_WRITE_MS = 2_000;

/** Counts what clients got, adds it to what all instances counted, and says what of the promises was kept. */
export class SlaDesk implements SlaOperations {
  readonly #parts: SlaDeskParts;
  readonly #settings: SlaSettings;
  readonly #edges: Float64Array;
  readonly #everyMs: number;
  readonly #now: () => number;
  readonly #flags: ReadonlyMap<string, FlagSla>;
  readonly #closing = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #document: { readonly version: number; readonly text: string } | undefined;
  #memories: Readonly<Record<string, SlaMemory>> = {};
  #lease: Lease | undefined;

  constructor(parts: SlaDeskParts) {
    const { config, instance, store, meters, now = Date.now } = parts;
    this.#parts = parts;
    this.#settings = config.sla;
    this.#edges = durationEdges(config);
    this.#now = now;
    // So often that a recovery is seen when it is due.
    this.#everyMs = Math.min(LONGEST_BETWEEN_MS, Math.max(SHORTEST_BETWEEN_MS, config.sla.recoveredAfterMs / LOOKS_A_RECOVERY));
    // A name is used again after a restart; the numbers of batches begin anew with it.
    const writer = `${instance}:${randomHex(4)}`;
    this.#flags = new Map(
      config.flags.map(({ name }) => [
        name,
        {
          meter: new SlaMeter({ config, flag: name, buffers: meters, writer, now: now() }),
          reader: new CountsReader(store.counts, name),
          business: createBusinessSource(store.events, name, undefined),
          view: { flag: name, at: now(), rows: [] },
        },
      ]),
    );
  }

  start(): void {
    this.#running = Promise.all([this.#every(() => this.count(), "counts could not be written; they go with the next"), this.#looks()]);
  }

  /** What was counted until now is written, if there is a store; the lead is given up. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    const last = this.count().catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, "what clients got since the last write could not be written; it is lost");
    });
    const lease = this.#lease;
    const resigned = lease === undefined ? undefined : this.#parts.store.documents.resign("sla", lease).catch(() => {});
    await Promise.race([Promise.all([last, resigned]), delay(LAST_WRITE_MS, undefined, { ref: false })]);
  }

  view(flag: string): SlaView {
    return this.#of(flag).view;
  }

  report(flag: string): SlaReport {
    const { view, reader } = this.#of(flag);
    const { warnAtBp, recoveredAfterMs } = this.#settings;
    const { breaches } = this.#memories[flag] ?? NOTHING_REMEMBERED;
    return { ...view, warnAt: warnAtBp / 10_000, recoveredAfterMs, breaches, countedFrom: reader.from };
  }

  /** For the metrics. */
  figures(): SlaFigures[] {
    return [...this.#flags.values()].flatMap(({ view }) => view.rows.map((row) => ({ flag: view.flag, ...row })));
  }

  /** Writes what was counted since the last time. What cannot be written stays. */
  async count(): Promise<void> {
    // All are taken before any is written, for a write may take its time.
    for (const { meter } of this.#flags.values()) meter.take(this.#now());
    for (const [flag, { meter }] of this.#flags) {
      for (let batch = meter.next(); batch !== undefined; batch = meter.next()) {
        await this.#parts.store.counts.add(flag, batch);
        meter.written(batch);
      }
    }
  }

  /** Reads what all instances counted, and judges it. One instance keeps what follows. */
  async look(): Promise<void> {
    const { documents } = this.#parts.store;
    await this.#readDocument();
    for (const each of this.#flags.values()) {
      const now = this.#now();
      await Promise.all([each.reader.refresh(now), each.business.refresh(now)]);
    }
    const now = this.#now();
    const memories: Record<string, SlaMemory> = { ...this.#memories };
    const views = [...this.#flags].map(([flag, { reader, business }]) => {
      const counts = { hours: reader.hours, edges: this.#edges, judgements: this.#judgements(flag, business, now) };
      const { rows, memory } = assess(counts, this.#settings, now, this.#memories[flag]);
      memories[flag] = memory;
      return { flag, at: now, rows };
    });
    this.#lease = await documents.lead("sla", LOOKS_A_LEASE * this.#everyMs);
    if (this.#lease !== undefined) await this.#save(memories, this.#lease);
    // Who does not lead begins from what is kept again: what it saw a moment earlier or later than the leader is no state of its own.
    if (this.#lease !== undefined) this.#memories = memories;
    for (const view of views) this.#show(view);
  }

  #show(view: SlaView): void {
    const of = this.#of(view.flag);
    // One instance tells, and of what changed alone.
    if (this.#lease !== undefined) for (const row of view.rows) this.#tell(view.flag, row, of.view);
    of.view = view;
  }

  #tell(flag: string, row: SlaRow, before: SlaView): void {
    const was = before.rows.find((other) => keyOf(other) === keyOf(row))?.state;
    if (was === undefined || was === row.state) return;
    const { promise, version, segment, state, value, target, budgetLeft } = row;
    const facts = { flag, promise, version, segment, state, was, value, target, budgetLeft };
    if (state === "breached") this.#parts.log.warn(facts, `the promise of ${promise} is broken for version ${version}, segment ${segment}`);
    else this.#parts.log.info(facts, `the promise of ${promise} is ${state} for version ${version}, segment ${segment}`);
  }

  async #readDocument(): Promise<void> {
    const stored = await this.#parts.store.documents.load("sla");
    if (stored === undefined || stored.version === this.#document?.version) return;
    const memories = decodeMemories(stored.text);
    if (memories === undefined) this.#parts.log.warn({}, "what is kept of breaches is no text of this version; it is written anew");
    this.#document = stored;
    this.#memories = memories ?? {};
  }

  async #save(memories: Readonly<Record<string, SlaMemory>>, lease: Lease): Promise<void> {
    const text = encodeMemories(memories);
    if (text === this.#document?.text) return;
    try {
      const version = await this.#parts.store.documents.save("sla", { version: this.#document?.version ?? 0, text, lease });
      this.#document = { version, text };
    } catch (error) {
      // Somebody else wrote or leads: the next look begins with what there is by then.
      if (error instanceof DocumentConflict || error instanceof Fenced) this.#lease = undefined;
      else throw error;
    }
  }

  #judgements(flag: string, business: BusinessSource, now: number): Judgements[] {
    const accuracy = this.#settings.promises.find(({ promise }) => promise === "accuracy");
    if (accuracy === undefined) return [];
    return business.between(now - accuracy.windowMs, now).cells.flatMap(({ arm, segment, metric, sums }) => {
      if (metric !== "accuracy") return [];
      return [{ version: versionOf(this.#parts.config, flag, arm), segment, confirmed: sums.y, judged: sums.n }];
    });
  }

  #of(flag: string): FlagSla {
    const found = this.#flags.get(flag);
    if (found === undefined) throw new RangeError(`there is no flag ${JSON.stringify(flag)}`);
    return found;
  }

  async #looks(): Promise<void> {
    await this.#guarded(() => this.look(), "what was promised could not be judged; it is tried again");
    await this.#every(() => this.look(), "what was promised could not be judged; it is tried again");
  }

  /** Runs `work` at whole intervals of the wall clock until all is closed. */
  async #every(work: () => Promise<void>, failed: string): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await delay(this.#everyMs - (Date.now() % this.#everyMs), undefined, { signal }).catch(() => {});
      if (!signal.aborted) await this.#guarded(work, failed);
    }
  }

  /** An absent store is told of elsewhere. */
  async #guarded(work: () => Promise<void>, failed: string): Promise<void> {
    await work().catch((error: unknown) => {
      if (!(error instanceof StoreUnavailable)) this.#parts.log.warn({ err: error }, failed);
    });
  }
}

interface FlagSla {
  readonly meter: SlaMeter;
  readonly reader: CountsReader;
  readonly business: BusinessSource;
  view: SlaView;
}

/** The upstream that an arm stands for, if it is the same on all of the flag's routes; else the arm. */
function versionOf(config: Config, flag: string, arm: AssignedArm): string {
  const names = config.routes.flatMap(({ action }) => (action.kind === "split" && action.flag === flag ? [action[arm].upstream] : []));
  const [first] = new Set(names);
  return first !== undefined && new Set(names).size === 1 ? first : arm;
}

import type { EventStore } from "../../store/event-store.ts";
import { type EventResult, INCIDENT_PRIORITIES, type IncidentPriority, type ReportedFigures } from "../../telemetry/reported.ts";
import type { BusinessSource, Signal } from "../business.ts";
import { readSignal } from "./business-source.ts";
import type { IngestReport } from "./ingest.ts";

interface TallyOptions {
  readonly store: Pick<EventStore, "signalsAfter">;
  readonly flag: string;
  /** Figures of what users said; undefined: of nobody. */
  readonly business: () => BusinessSource | undefined;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

const PAGE = 1_000;
/** A report older than that says nothing of the present. */
const FRESH_MS = 10 * 60_000;
const BUSINESS_SPAN_MS = 3_600_000;
/** What users said is summed up anew so often. */
const BUSINESS_EVERY_MS = 5_000;

/**
 * What was said of one flag, as figures for monitoring. Signals are read after a cursor, each once, so the counters never fall while the program
 * runs; those that came before it started are not counted, for whoever looked then has seen them.
 */
export class ReportTally {
  readonly #options: TallyOptions;
  readonly #now: () => number;
  readonly #begun: number;
  readonly #events: Record<EventResult, number> = { accepted: 0, duplicate: 0, "passed-on": 0, refused: 0 };
  readonly #security: Record<IncidentPriority, number> = { P0: 0, P1: 0, P2: 0, P3: 0 };
  #sessionsLost = 0;
  readonly #last = new Map<Signal["kind"], Signal>();
  #cursor = "";
  #business: ReportedFigures["business"] = [];
  #summedAt = -Infinity;

  constructor(options: TallyOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#begun = this.#now();
  }

  /** Counts what became of a batch. */
  took({ accepted, duplicates, passedOn, refused }: IngestReport): void {
    this.#events.accepted += accepted;
    this.#events.duplicate += duplicates;
    this.#events["passed-on"] += passedOn;
    this.#events.refused += refused.length;
  }

  /** Reads what is new. Rejects while the store cannot be had; what was missed is read the next time. */
  async refresh(): Promise<void> {
    const { store, flag } = this.#options;
    for (;;) {
      const { cursor, signals } = await store.signalsAfter(flag, this.#cursor, PAGE);
      for (const signal of signals.flatMap(readSignal)) this.#count(signal);
      if (cursor === this.#cursor) break;
      this.#cursor = cursor;
    }
    const now = this.#now();
    if (now - this.#summedAt < BUSINESS_EVERY_MS && now >= this.#summedAt) return;
    this.#summedAt = now;
    await this.#sum(now);
  }

  get figures(): ReportedFigures {
    const lag = this.#fresh("sync_lag");
    const integrity = this.#fresh("data_integrity");
    return {
      flag: this.#options.flag,
      events: { ...this.#events },
      syncLagSeconds: lag?.value,
      dataIntegrity: integrity?.value,
      sessionsLost: this.#sessionsLost,
      security: { ...this.#security },
      business: this.#business,
    };
  }

  #count(signal: Signal): void {
    const before = this.#last.get(signal.kind);
    if (before === undefined || signal.at >= before.at) this.#last.set(signal.kind, signal);
    if ((signal.arrivedAt ?? signal.at) < this.#begun) return;
    if (signal.kind === "sessions_lost") this.#sessionsLost += Math.max(0, signal.value);
    const priority = signal.kind === "security" ? INCIDENT_PRIORITIES[signal.value] : undefined;
    if (priority !== undefined) this.#security[priority]++;
  }

  #fresh(kind: Signal["kind"]): Signal | undefined {
    const last = this.#last.get(kind);
    return last === undefined || this.#now() - last.at > FRESH_MS ? undefined : last;
  }

  async #sum(now: number): Promise<void> {
    const source = this.#options.business();
    if (source === undefined) return;
    await source.refresh(now);
    this.#business = source.between(now - BUSINESS_SPAN_MS, now + 1).cells.map(({ arm, segment, metric, sums }) => ({
      arm,
      segment,
      metric,
      numerator: sums.y,
      denominator: sums.n,
    }));
  }
}

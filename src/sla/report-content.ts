import { formatDuration } from "../core/quantity.ts";
import type { Language } from "../incidents/incident.ts";
import { type Column, REPORT_WORDS, type ReportWords } from "./report-words.ts";
import { SLA_STATES, type SlaBreach, type SlaReport, type SlaRow, type SlaState } from "./sla.ts";
import { ALL, firstHour } from "./sums.ts";

/** A report before it has a form. Texts are plain: whoever gives them a form escapes them. */
export interface ReportContent {
  readonly title: string;
  readonly lead: readonly string[];
  readonly sections: readonly ReportSection[];
}

export interface ReportSection {
  readonly title: string;
  readonly paragraphs: readonly string[];
  readonly table: ReportTable | undefined;
}

export interface ReportTable {
  readonly head: readonly string[];
  /** `state` marks the row; undefined: it has none. */
  readonly rows: readonly { readonly state: SlaState | undefined; readonly cells: readonly string[] }[];
}

const HOUR_MS = 3_600_000;

export function reportContent(report: SlaReport, language: Language): ReportContent {
  const words = REPORT_WORDS[language];
  const say = new Sayings(language, words);
  const { rows } = report;
  const whole = rows.filter(({ version, segment }) => version === ALL && segment === ALL);
  const part = (title: string, wanted: (row: SlaRow) => boolean, columns: readonly Column[]): ReportSection[] => {
    const found = rows.filter(wanted);
    return found.length === 0 ? [] : [{ title, paragraphs: [], table: tableOf(found, columns, report, say, words) }];
  };
  const figures: readonly Column[] = ["target", "value", "budget", "p95", "sample", "state", "since"];
  const counts = SLA_STATES.map((state) => [state, whole.filter((row) => row.state === state).length] as const);
  return {
    title: words.title(report.flag),
    lead: [
      words.asOf(say.instant(report.at)),
      report.countedFrom === undefined ? words.nothingCounted : words.countedFrom(say.instant(report.countedFrom)),
      ...counts.filter(([, count]) => count > 0).map(([state, count]) => `${words.summary[state](say.count(count))}.`),
    ],
    sections: [
      {
        title: words.promises,
        paragraphs: [],
        table: tableOf(whole, ["promise", ...figures, "period", "covered"], report, say, words),
      },
      ...part(words.byVersion, ({ version, segment }) => version !== ALL && segment === ALL, ["promise", "version", ...figures]),
      ...part(words.bySegment, ({ version, segment }) => version === ALL && segment !== ALL, ["promise", "segment", ...figures]),
      ...part(words.byBoth, ({ version, segment }) => version !== ALL && segment !== ALL, ["promise", "version", "segment", ...figures]),
      breachesOf(report, say, words),
      { title: words.method, paragraphs: words.how(say.share(report.warnAt), formatDuration(report.recoveredAfterMs)), table: undefined },
    ],
  };
}

function tableOf(rows: readonly SlaRow[], columns: readonly Column[], { at }: SlaReport, say: Sayings, words: ReportWords): ReportTable {
  const cell = (row: SlaRow, column: Column): string => {
    switch (column) {
      case "promise":
        return say.promise(row);
      case "version":
        return row.version;
      case "segment":
        return say.segment(row.segment);
      case "target":
        return row.direction === "at-most" ? words.atMost(say.share(row.target)) : words.atLeast(say.share(row.target));
      case "value":
        return say.share(row.value);
      case "budget":
        return say.share(row.budgetLeft);
      case "p95":
        return say.milliseconds(row.p95);
      case "sample":
        return say.count(row.sample);
      case "period":
        return `${say.instant(firstHour(at, row.windowMs) * HOUR_MS)} – ${say.instant(at)}`;
      case "covered":
        return say.share(row.coveredMs / row.windowMs);
      case "since":
        return say.instant(row.since);
      case "state":
        return row.keptAgainSince === undefined ? words.state[row.state] : words.recovering(say.instant(row.keptAgainSince));
      default:
        return "";
    }
  };
  return {
    head: columns.map((column) => words.columns[column]),
    rows: rows.map((row) => ({ state: row.state, cells: columns.map((column) => cell(row, column)) })),
  };
}

function breachesOf({ breaches, at }: SlaReport, say: Sayings, words: ReportWords): ReportSection {
  const title = words.breaches;
  if (breaches.length === 0) return { title, paragraphs: [words.noBreaches], table: undefined };
  const columns: readonly Column[] = ["promise", "version", "segment", "from", "to", "lasted", "worst"];
  const rows = breaches.map((breach: SlaBreach) => ({
    state: breach.to === undefined ? ("breached" as const) : undefined,
    cells: [
      words.promise[breach.promise],
      breach.version === ALL ? words.all : breach.version,
      say.segment(breach.segment),
      say.instant(breach.from),
      breach.to === undefined ? words.lasts : say.instant(breach.to),
      say.length((breach.to ?? at) - breach.from),
      say.share(breach.worst),
    ],
  }));
  return { title, paragraphs: [], table: { head: columns.map((column) => words.columns[column]), rows } };
}

/** Figures as the language writes them. What is NaN, null or undefined is not known. */
class Sayings {
  readonly #words: ReportWords;
  readonly #language: Language;
  readonly #share: Intl.NumberFormat;
  readonly #instant: Intl.DateTimeFormat;

  constructor(language: Language, words: ReportWords) {
    this.#words = words;
    this.#language = language;
    this.#share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 4 });
    this.#instant = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC", hourCycle: "h23" });
  }

  share(value: number | null | undefined): string {
    return isKnown(value) ? this.#share.format(value) : this.#words.unknown;
  }

  count(value: number): string {
    return isKnown(value) ? value.toLocaleString(this.#language) : this.#words.unknown;
  }

  milliseconds(value: number | null | undefined): string {
    return isKnown(value) ? `${value.toLocaleString(this.#language, { maximumFractionDigits: 1 })} ms` : this.#words.unknown;
  }

  instant(at: number): string {
    return isKnown(at) ? this.#instant.format(at) : this.#words.unknown;
  }

  /** The two largest units. */
  length(ms: number): string {
    const minutes = Math.max(0, Math.round(ms / 60_000));
    const day = this.#language === "fr" ? "j" : "d";
    if (minutes >= 1_440) return `${Math.floor(minutes / 1_440)} ${day} ${Math.floor((minutes % 1_440) / 60)} h`;
    return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes} min`;
  }

  promise({ promise, limitMs }: SlaRow): string {
    const name = this.#words.promise[promise];
    return isKnown(limitMs) ? `${name} ${this.#words.within(this.milliseconds(limitMs))}` : name;
  }

  segment(name: string): string {
    if (name === ALL) return this.#words.all;
    return name === "none" ? this.#words.none : name;
  }
}

function isKnown(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

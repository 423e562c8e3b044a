import type { Config } from "../config/config.ts";
import type { AssignedArm } from "../core/words.ts";
import { METRICS } from "../telemetry/names.ts";
import type { ArmFigures, Cell, FiguresSource, FiguresTable } from "./figures.ts";
import { bucketLatencies, bucketMoments, bucketsOf, type Buckets } from "./prometheus-buckets.ts";
import { createPrometheusClient, PrometheusError, type PrometheusClient, type Sample } from "./prometheus-query.ts";

export interface PrometheusOptions {
  /** `http://prometheus:9090`, with a path if it has one; a user and password in it are sent as basic authorization. */
  readonly url: string;
  readonly config: Config;
  readonly flag: string;
  /** Labels by which this fleet is known where Prometheus scrapes several: `{ job: "crossfade" }`. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly fetch?: typeof fetch;
  /** Of one question, with its answer. Default 5 s. */
  readonly timeoutMs?: number;
}

/**
 * Attempts carry no segment in Prometheus: their figures stand in cells of this segment, which hold nothing else. A check for one segment
 * therefore finds no attempts. Nor does Prometheus know which attempts are held against nobody because our own thread was late, so they count,
 * and those who waited include clients that left.
 */
export const ALL_SEGMENTS = "all";

const MS_PER_SECOND = 1_000;
const TIMEOUT_MS = 5_000;
const LEFT = 499;
/** Outcomes of requests that are no failure, whatever else was wrong; a failure besides is every 5xx. */
const ANSWERED: ReadonlySet<string> = new Set(["ok", "refused", "degraded"]);
/** Outcomes of attempts that say nothing of the upstream. */
const NOBODY_S_FAULT: ReadonlySet<string> = new Set(["cancelled", "refused"]);
/** Without any answer, or with a 5xx. */
const UNAVAILABLE: ReadonlySet<string> = new Set(["connect-failed", "reset", "timeout", "server-error"]);
/** These took the time of a connection that never was. */
const UNTIMED: ReadonlySet<string> = new Set(["connect-failed"]);
/** How far back the newest figure is looked for. */
const NEWEST_WITHIN = "1h";
/** A piece of time is covered if a sample lies in it; scrapes are at most a minute apart. */
const PIECE_MS = 60_000;
const MOST_PIECES = 240;

/** Figures of the whole fleet out of a Prometheus that scrapes it. They are as fine as its scrapes: windows should span several. */
export function createPrometheusSource(options: PrometheusOptions): FiguresSource {
  const { url, config, flag, labels = {}, fetch = globalThis.fetch, timeoutMs = TIMEOUT_MS } = options;
  const client = createPrometheusClient({ url, fetch, timeoutMs });
  const arms = armsByRoute(config, flag);
  const ours = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const build = `${METRICS.build.name}{${ours.join(",")}}`;
  const routes = `route=~${JSON.stringify([...arms.keys()].map(quoteRegex).join("|"))}`;
  const select = (metric: string) => `${metric}{${[routes, ...ours].join(",")}}`;
  const known = { build, started: `process_start_time_seconds{${ours.join(",")}}` };

  return {
    async refresh(now) {
      // The instant vector is quick and exact; where nothing is fresh, the newest of the last hour is looked for.
      const newest = `max(timestamp(${build})) or max(max_over_time(timestamp(${build})[${NEWEST_WITHIN}:15s]))`;
      const [sample] = await client.query(newest, now);
      if (sample !== undefined) return Math.round(sample.value * MS_PER_SECOND);
      throw new PrometheusError(`Prometheus at ${originOf(url)} has no ${build} of the last ${NEWEST_WITHIN}: is crossfade scraped?`);
    },
    async between(from, to) {
      const span = Math.round(to - from);
      if (span <= 0 || arms.size === 0) return { from, to, coveredMs: 0, instances: [], cells: [] };
      const grown = (by: readonly string[], metrics: readonly string[]) =>
        Promise.all(metrics.map((metric) => client.query(increase(select(metric), by, span, known), to))).then((found) => found.flat());
      const { requests, durations, attempts, quality, defects } = METRICS;
      const [counts, waits, tries, qualities, poor, coverage] = await Promise.all([
        grown(["route", "assigned", "served", "segment", "outcome", "code"], [requests.name]),
        grown(["route", "assigned", "segment", "le"], parts(durations.name)),
        grown(["route", "upstream", "outcome", "le"], parts(attempts.name)),
        grown(["route", "upstream", "segment", "le"], parts(quality.name)),
        grown(["route", "upstream", "defect"], [defects.name]),
        coverageOf(client, build, span, to),
      ]);
      return { from, to, ...coverage, cells: cellsOf({ counts, waits, tries, qualities, poor }, arms) };
    },
  };
}

const parts = (histogram: string): string[] => [`${histogram}_bucket`, `${histogram}_sum`];

/**
 * By how much counters grew over the `span` before an instant, without the guesses of `increase()`: that scales what it saw to the edges of
 * the span, and does not count what a series was born with. So: last value less the one at the beginning; all of it, if the series was born
 * meanwhile on an instance that was there before or has started since; and `increase()` where a counter began anew, or where nothing is
 * known of the beginning (Prometheus was away).
 */
function increase(
  series: string,
  by: readonly string[],
  span: number,
  known: { readonly build: string; readonly started: string },
): string {
  const ago = `offset ${span}ms`;
  const last = `last_over_time(${series}[${span}ms])`;
  const grown = `increase(${series}[${span}ms])`;
  const there = `count by (job, instance) (last_over_time(${known.build}[5m] ${ago}))`;
  const started = `count by (job, instance) (last_over_time(${known.started}[${span}ms]) >= time() - ${span / MS_PER_SECOND})`;
  return `sum by (${by.join(", ")}) (
  (${grown} and resets(${series}[${span}ms]) > 0)
  or (${last} - last_over_time(${series}[5m] ${ago}))
  or (${last} + 0 and on (job, instance) (${there} or ${started}))
  or ${grown}
)`;
}

async function coverageOf(
  client: PrometheusClient,
  build: string,
  span: number,
  to: number,
): Promise<Pick<FiguresTable, "coveredMs" | "instances">> {
  const piece = Math.max(PIECE_MS, Math.ceil(span / MOST_PIECES));
  // Pieces are counted from the epoch on, so a span of one piece is asked for as it is.
  const isShort = span <= piece;
  const pieces = isShort
    ? `max(count_over_time(${build}[${span}ms])) > bool 0`
    : `count_over_time(max(count_over_time(${build}[${piece}ms]))[${span}ms:${piece}ms])`;
  const [covered, present] = await Promise.all([
    client.query(pieces, to),
    client.query(`group by (instance) (last_over_time(${build}[${span}ms]))`, to),
  ]);
  return {
    coveredMs: Math.min(span, (covered[0]?.value ?? 0) * (isShort ? span : piece)),
    instances: present.map(({ labels }) => labels["instance"] ?? "").sort(),
  };
}

interface Answers {
  readonly counts: readonly Sample[];
  readonly waits: readonly Sample[];
  readonly tries: readonly Sample[];
  readonly qualities: readonly Sample[];
  readonly poor: readonly Sample[];
}

type ArmOf = (upstream: string) => AssignedArm;

/** By upstream, on each split route of the flag: whatever is not the candidate is one of the stable ones. */
function armsByRoute(config: Config, flag: string): Map<string, ArmOf> {
  const arms = new Map<string, ArmOf>();
  for (const { name, action } of config.routes) {
    if (action.kind !== "split" || action.flag !== flag) continue;
    arms.set(name, (upstream) => (upstream === action.candidate.upstream ? "candidate" : "stable"));
  }
  return arms;
}

function cellsOf({ counts, waits, tries, qualities, poor }: Answers, arms: ReadonlyMap<string, ArmOf>): Cell[] {
  const drafts = new Map<string, { readonly route: string; readonly segment: string } & Readonly<Record<AssignedArm, ArmDraft>>>();
  const draft = (route: string, segment: string, arm: string): ArmDraft | undefined => {
    if (arm !== "stable" && arm !== "candidate") return undefined;
    const key = JSON.stringify([route, segment]);
    let cell = drafts.get(key);
    if (cell === undefined) drafts.set(key, (cell = { route, segment, stable: new ArmDraft(), candidate: new ArmDraft() }));
    return cell[arm];
  };
  for (const { labels, value } of counts) {
    const { route = "", segment = "none", assigned = "", served = "", outcome = "", code = "" } = labels;
    draft(route, segment, assigned)?.request({ fellBack: served !== assigned && served !== "none", outcome, code: Number(code) }, value);
  }
  for (const { labels, value } of waits) {
    const { route = "", segment = "none", assigned = "", le } = labels;
    draft(route, segment, assigned)?.waits.add(le, value);
  }
  for (const { labels, value } of tries) {
    const { route = "", upstream = "", outcome = "", le } = labels;
    draft(route, ALL_SEGMENTS, arms.get(route)?.(upstream) ?? "")?.attempt(outcome, le, value);
  }
  for (const { labels, value } of qualities) {
    const { route = "", upstream = "", segment = "none", le } = labels;
    draft(route, segment, arms.get(route)?.(upstream) ?? "")?.quality.add(le, value);
  }
  for (const { labels, value } of poor) {
    const { route = "", upstream = "", defect } = labels;
    if (defect === "quality") draft(route, ALL_SEGMENTS, arms.get(route)?.(upstream) ?? "")?.poorAnswers(value);
  }
  return [...drafts.values()].map(({ route, segment, stable, candidate }) => ({
    route,
    segment,
    stable: stable.figures(),
    candidate: candidate.figures(),
  }));
}

/** Adds up the lines of a histogram; a line without `le` is its sum. */
class HistogramDraft {
  readonly #counts = new Map<number, number>();
  #sum = 0;

  add(le: string | undefined, value: number): void {
    if (le === undefined) this.#sum += value;
    else {
      const edge = le === "+Inf" ? Infinity : Number(le);
      this.#counts.set(edge, (this.#counts.get(edge) ?? 0) + value);
    }
  }

  /** `unit`: by what edges and sum are multiplied. */
  buckets(unit: number): Buckets {
    // 0.0035 s times 1,000 is 3.5000000000000004 ms, on which no threshold stands.
    const scaled = Array.from(this.#counts, ([edge, count]) => [Number((edge * unit).toPrecision(12)), count] as const);
    return bucketsOf(new Map(scaled), this.#sum * unit);
  }
}

class ArmDraft {
  readonly waits = new HistogramDraft();
  readonly quality = new HistogramDraft();
  readonly #latencies = new HistogramDraft();
  #requests = 0;
  #failed = 0;
  #fellBack = 0;
  #attempts = 0;
  #errors = 0;
  #unavailable = 0;

  request(
    { fellBack, outcome, code }: { readonly fellBack: boolean; readonly outcome: string; readonly code: number },
    count: number,
  ): void {
    if (code === LEFT || outcome === "cancelled") return;
    this.#requests += count;
    if (code >= 500 || !ANSWERED.has(outcome)) this.#failed += count;
    if (fellBack) this.#fellBack += count;
  }

  attempt(outcome: string, le: string | undefined, value: number): void {
    if (NOBODY_S_FAULT.has(outcome)) return;
    if (le === "+Inf") {
      this.#attempts += value;
      if (outcome !== "ok") this.#errors += value;
      if (UNAVAILABLE.has(outcome)) this.#unavailable += value;
    }
    if (!UNTIMED.has(outcome)) this.#latencies.add(le, value);
  }

  /** Attempts whose answer was of too little quality, which is a figure of its own and no error; Prometheus has them as degraded. */
  poorAnswers(count: number): void {
    this.#errors -= count;
  }

  /** Counts are whole: where a counter began anew they are estimates, and judges reckon with whole trials. */
  figures(): ArmFigures {
    const requests = Math.round(this.#requests);
    const attempts = Math.round(this.#attempts);
    return {
      requests,
      failed: Math.min(requests, Math.round(this.#failed)),
      fellBack: Math.min(requests, Math.round(this.#fellBack)),
      waits: bucketLatencies(this.waits.buckets(MS_PER_SECOND)),
      attempts,
      errors: Math.min(attempts, Math.max(0, Math.round(this.#errors))),
      unavailable: Math.min(attempts, Math.round(this.#unavailable)),
      latencies: bucketLatencies(this.#latencies.buckets(MS_PER_SECOND)),
      quality: bucketMoments(this.quality.buckets(1)),
    };
  }
}

/** The form of RE2, which Prometheus matches whole. */
function quoteRegex(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "?";
}

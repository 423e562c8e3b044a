import type { Config } from "../config/config.ts";
import { ARMS, ATTEMPT_KINDS, DEFECTS, FALLBACK_REASONS, OUTCOMES, type Outcome } from "../core/words.ts";
import { ArmWriter } from "./arm-writer.ts";
import { GAUGES, meterLayout, type GaugeName } from "./meter-layout.ts";
import type { Meters } from "./meters.ts";
import { SeriesWriter } from "./series.ts";

/** What a worker reports of itself, from its heartbeat. */
interface WorkerMeters extends Meters {
  /** How much later than asked a timer ran. `now` is on any steady clock, in milliseconds. */
  recordLag(ms: number, now: number): void;
  /** What is open now: client connections, requests under way, lost attempts still observed. */
  recordLoad(connections: number, exchanges: number, observing: number): void;
}

/** The peak of the lag covers the last one to two windows: long enough for a scrape every 15 s to see each one. */
const PEAK_WINDOW_MS = 30_000;

/** The memory in which one worker counts; the control side makes it once, and again hands it to the worker's replacement. */
export function allocateMeters(config: Config): SharedArrayBuffer {
  return new SharedArrayBuffer(meterLayout(config).bytes);
}

/**
 * The counting side of a buffer. Only one may count at a time: a replacement begins after its predecessor has ended, and
 * goes on where that one stopped, except for what was open, which died with it.
 */
export function createMeters(config: Config, buffer: SharedArrayBuffer): WorkerMeters {
  const layout = meterLayout(config);
  if (buffer.byteLength !== layout.bytes) {
    throw new RangeError(`meters of this configuration need ${layout.bytes} bytes, not ${buffer.byteLength}: the buffer is of another one`);
  }
  const requests = new SeriesWriter(buffer, layout.tables.requests);
  const durations = new SeriesWriter(buffer, layout.tables.durations);
  const answers = new SeriesWriter(buffer, layout.tables.answers);
  const attempts = new SeriesWriter(buffer, layout.tables.attempts);
  const qualities = new SeriesWriter(buffer, layout.tables.quality);
  const fallbacks = new SeriesWriter(buffer, layout.tables.fallbacks);
  const cuts = new SeriesWriter(buffer, layout.tables.cuts);
  const defects = new SeriesWriter(buffer, layout.tables.defects);
  const unjudged = new SeriesWriter(buffer, layout.tables.unjudged);
  const dropped = new SeriesWriter(buffer, layout.tables.dropped);
  const inexpressible = new SeriesWriter(buffer, layout.tables.inexpressible);
  const malformed = new SeriesWriter(buffer, layout.tables.malformed);
  const unarmed = new SeriesWriter(buffer, layout.tables.arms);
  const arms = new ArmWriter(buffer, layout.arms, config.routes.length);
  const gauges = new Float64Array(buffer, 0, GAUGES.length);
  gauges.fill(0);
  let peakWindowEnds = 0;

  return {
    request(route, assigned, served, segment, outcome, status, ms, upstream = -1) {
      const from = ARMS.indexOf(assigned);
      const by = ARMS.indexOf(served);
      requests.increment(route + 1, from, by, segment + 1, OUTCOMES.indexOf(outcome), status);
      durations.observe(ms, route + 1, from, by, segment + 1);
      if (assigned === "none" || status === CLIENT_LEFT || outcome === "cancelled") return;
      const failed = isFailure(outcome, status);
      answers.observe(ms, route + 1, upstream + 1, segment + 1, failed ? 1 : 0);
      const byOther = served !== assigned && served !== "none";
      if (!arms.request(route, assigned, segment, failed, byOther, ms)) unarmed.lose();
    },
    attempt(route, upstream, kind, outcome, ms) {
      attempts.observe(ms, route + 1, upstream, ATTEMPT_KINDS.indexOf(kind), OUTCOMES.indexOf(outcome));
    },
    armAttempt(route, arm, segment, end, ms) {
      if (arm !== "none" && !arms.attempt(route, arm, segment, end, ms)) unarmed.lose();
    },
    quality(route, upstream, arm, segment, ratio) {
      qualities.observe(ratio, route + 1, upstream, segment + 1);
      if (arm !== "none" && !arms.quality(route, arm, segment, ratio)) unarmed.lose();
    },
    fallback(route, reason) {
      fallbacks.increment(route + 1, FALLBACK_REASONS.indexOf(reason));
    },
    observationCut(route) {
      cuts.increment(route + 1);
    },
    defect(route, upstream, defect) {
      defects.increment(route + 1, upstream, DEFECTS.indexOf(defect));
    },
    unjudged(route, upstream) {
      unjudged.increment(route + 1, upstream);
    },
    dropped(route, upstream, count) {
      for (let i = 0; i < count; i++) dropped.increment(route + 1, upstream);
    },
    inexpressible(route, upstream) {
      inexpressible.increment(route + 1, upstream);
    },
    malformed(status) {
      malformed.increment(status);
    },
    recordLag(ms, now) {
      if (now >= peakWindowEnds) {
        set(gauges, "lagPeakBefore", peakWindowEnds === 0 ? 0 : get(gauges, "lagPeak"));
        set(gauges, "lagPeak", 0);
        peakWindowEnds = now + PEAK_WINDOW_MS;
      }
      set(gauges, "lag", ms);
      set(gauges, "lagPeak", Math.max(ms, get(gauges, "lagPeak")));
    },
    recordLoad(connections, exchanges, observing) {
      set(gauges, "connections", connections);
      set(gauges, "exchanges", exchanges);
      set(gauges, "observing", observing);
    },
  };
}

/** The status under which a client that left is filed. */
const CLIENT_LEFT = 499;

/** A 5xx, no answer, or one that broke off. */
function isFailure(outcome: Outcome, status: number): boolean {
  return status >= 500 || (outcome !== "ok" && outcome !== "refused" && outcome !== "degraded");
}

function get(gauges: Float64Array, name: GaugeName): number {
  return gauges[GAUGES.indexOf(name)] ?? 0;
}

function set(gauges: Float64Array, name: GaugeName, value: number): void {
  gauges[GAUGES.indexOf(name)] = value;
}

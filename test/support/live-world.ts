import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ArmPoint, LatencyBins, LivePoint, LiveView } from "../../src/admin/live/view.ts";
import type { ArmSummary, SummaryRow } from "../../src/analysis/windows-summary.ts";
import type { Check, Judged, VerdictWord } from "../../src/analysis/check.ts";
import type { Plan } from "../../src/controller/plan.ts";
import { parsePlan } from "../../src/controller/plan-file/parse.ts";
import type { Rollout, RolloutState } from "../../src/controller/rollout.ts";

/** A world for the dashboard: views of a migration under way that change with time and by nothing else, so that tests know what they must show. */

export const FLAG = "v2_migration";
/** An instant like any other; pages and their world are told what time it is. */
export const NOW = 1_790_000_000_000;
const HOUR_MS = 3_600_000;
const PLAN = readPlan();

function readPlan(): Plan {
  const parsed = parsePlan(readFileSync(join(import.meta.dirname, "../../config/plans/supersmartmatch.yaml"), "utf8"));
  if ("problems" in parsed) throw new Error(parsed.problems.map(({ message }) => message).join("; "));
  return parsed.plan;
}

/** The plan of this world. */
export const planOf = (): Plan => PLAN;

/** A wave between -1 and 1 that looks like nothing in particular. */
function wave(at: number, seed: number): number {
  const seconds = at / 1_000;
  return (Math.sin(seconds / (17 + seed)) + Math.sin(seconds / (5.3 + seed * 0.7) + seed) + Math.sin(seconds / 1.7 + seed * 2)) / 3;
}

function armPoint(at: number, arm: "stable" | "candidate", share: number): ArmPoint {
  const seed = arm === "stable" ? 1 : 4;
  const total = 480 + 60 * wave(at, 9);
  const base = arm === "stable" ? 62 : 38;
  const slow = arm === "stable" ? 1 : 1 + 0.25 * Math.max(0, wave(at, 12));
  return {
    rate: (arm === "candidate" ? share : 1 - share) * total,
    p50: base * (1 + 0.06 * wave(at, seed)),
    p95: base * 1.9 * slow * (1 + 0.1 * wave(at, seed + 1)),
    p99: base * 2.5 * slow * (1 + 0.16 * wave(at, seed + 2)),
    errors: Math.max(0, (arm === "stable" ? 0.003 : 0.005) * (1 + wave(at, seed + 3))),
    quality: (arm === "stable" ? 0.861 : 0.918) + 0.012 * wave(at, seed + 4),
    fallbacks: arm === "stable" ? 0 : Math.max(0, 0.019 * (1 + 0.6 * wave(at, seed + 5))),
  };
}

/** 10 per cent for the first part of the hour before `now`, 25 since then. */
export function percentageAt(at: number, now: number): number {
  return at < now - 0.4 * HOUR_MS ? 10 : 25;
}

export function livePoint(at: number, percentage: number): LivePoint {
  const share = percentage / 100 + 0.012 * wave(at, 3);
  const stable = armPoint(at, "stable", share);
  const candidate = armPoint(at, "candidate", share);
  return {
    at,
    percentage,
    stable,
    candidate,
    segments: {
      none: { stable: Math.round(stable.rate * 7), candidate: Math.round(candidate.rate * 6) },
      beta_users: { stable: 0, candidate: Math.round(candidate.rate * 3) },
      enterprise: { stable: Math.round(stable.rate * 2), candidate: 0 },
      api_partners: { stable: Math.round(stable.rate), candidate: Math.round(candidate.rate) },
    },
  };
}

/** An hour, a point each five seconds. */
export function liveHistory(now: number): readonly LivePoint[] {
  return Array.from({ length: 720 }, (_, index) => {
    const at = now - (720 - index) * 5_000;
    return livePoint(at, percentageAt(at, now));
  });
}

function summary(point: ArmPoint, requests: number): ArmSummary {
  const { p50, p95, p99, errors, quality, fallbacks } = point;
  return { requests, attempts: requests, fallbacks, errors, p50, p95, p99, quality };
}

function rowsOf(point: LivePoint): readonly SummaryRow[] {
  return Object.entries(point.segments).map(([segment, counts]) => ({
    route: "match",
    segment,
    stable: summary(point.stable, counts.stable),
    candidate: summary(point.candidate, counts.candidate),
  }));
}

/** Bins of both arms as a hump with a tail. */
function binsAt(at: number): LatencyBins {
  const edgesMs = [...Array.from({ length: 20 }, (_, index) => (index + 1) * 5), 110, 120, 135, 150, 175, 200, 250, 300, 400, 500, 1_000];
  const hump = (middle: number, spread: number, seed: number): readonly number[] =>
    [...edgesMs, 2_000].map((edge, index) => {
      const from = edgesMs[index - 1] ?? 0;
      const z = Math.log(Math.max(1, (from + edge) / 2) / middle) / spread;
      return Math.max(0, Math.round(900 * (edge - from) * Math.exp(-z * z) * (1 / middle) * (1 + 0.05 * wave(at, seed + index))));
    });
  return { spanMs: 60_000, edgesMs, stable: hump(64, 0.55, 1), candidate: hump(39, 0.5, 5) };
}

function judged(check: Check, index: number): Judged {
  const words: readonly VerdictWord[] = ["pass", "inconclusive", "pass", "no-data"];
  const verdict = words[index % words.length] ?? "pass";
  const isUnknown = verdict === "no-data";
  const { value: limit } = check.limit;
  const value = check.limit.kind === "at-most" ? limit * 0.7 : limit * 1.02;
  return {
    check,
    scope: undefined,
    verdict: {
      verdict,
      value: isUnknown ? undefined : value,
      low: isUnknown ? undefined : value * 0.97,
      high: isUnknown ? undefined : value * 1.03,
      sample: isUnknown ? 12 : 4_210 + index,
      why: isUnknown ? `${check.name}: 12 of ${check.minSample} observations` : `${check.name}: ${value} against ${limit}`,
    },
  };
}

function rolloutAt(now: number, state: RolloutState): Rollout {
  return {
    id: `${PLAN.name}-1a2b`,
    flag: FLAG,
    plan: PLAN,
    startedAt: now - 30 * HOUR_MS,
    startedBy: "amina",
    state,
    stays: [
      { step: 0, from: now - 30 * HOUR_MS, to: now - 0.4 * HOUR_MS },
      { step: 1, from: now - 0.4 * HOUR_MS, to: undefined },
    ],
    approvals: [],
  };
}

/** Everything as it is in the middle of a migration, at 25 per cent. */
export function liveView(now: number, startedAt: number): LiveView {
  const point = livePoint(now, 25);
  const at = new Date(now).toISOString();
  const plan = PLAN;
  return {
    at: now,
    status: {
      instance: "edge-1",
      version: "0.1.0",
      startedAt: new Date(startedAt - 90 * HOUR_MS).toISOString(),
      uptimeSeconds: 324_000,
      draining: false,
      listeners: [{ name: "public", address: "127.0.0.1:8080" }],
      store: { kind: "redis", up: true, message: "", origin: "store" },
      workers: [0, 1].map((index) => ({
        index,
        state: "running" as const,
        restarts: 0,
        lastFailure: undefined,
        eventLoopLagMs: 0.4 + index,
      })),
      upstreams: ["v1", "nexten", "v2"].map((name) => ({ name, endpoint: `http://10.0.0.1/${name}`, healthy: true, detail: "" })),
      flags: [
        {
          flag: FLAG,
          revision: 41,
          enabled: true,
          killed: false,
          percentage: 25,
          segments: [
            { name: "beta_users", percentage: 100, override: true, members: 1_204 },
            { name: "enterprise", percentage: 0, override: true, members: 88 },
            { name: "api_partners", percentage: 50, override: false, members: 17 },
          ],
        },
      ],
      breakers: [
        {
          route: "match",
          flag: FLAG,
          upstream: "v2",
          mode: "auto",
          state: "closed",
          why: undefined,
          since: undefined,
          openings: 1,
          window: { requests: 1_203, extra: 31, extraOpen: 1, budgetUsed: 0.13, judged: 1_190, errors: 6, badQuality: 2 },
        },
      ],
      rejections: [],
      traffic: [],
    },
    readiness: { ready: true, degraded: [], reasons: [] },
    flag: {
      flag: FLAG,
      revision: 41,
      killed: false,
      killedHere: false,
      settings: {
        enabled: "true",
        rollout_percentage: "25",
        kill_switch: "false",
        "fallback.enabled": "true",
        "fallback.response_time": "100ms",
        "fallback.error_rate": "1",
        "fallback.accuracy": "85",
      },
      fields: { rollout_percentage: "25" },
      members: { allow: 2, deny: 0, "segment.beta_users": 1_204 },
      instances: ["edge-1", "edge-2"].map((instance) => ({ instance, revision: 41, at, alive: true })),
      rejections: [],
    },
    rollout: {
      flag: FLAG,
      rollout: rolloutAt(now, { status: "waiting", step: 1 }),
      leader: "edge-1",
      view: {
        at: now,
        leader: "edge-1",
        rollout: `${plan.name}-1a2b`,
        reasons: ["it waits for the gate accuracy: not enough observations yet"],
        triggers: plan.triggers.map(judged),
        gates: [...plan.gates, ...(plan.steps[1]?.gates ?? [])].map(judged),
        webhooks: [],
        calendar: { open: true, why: "", opensAt: undefined },
        figuresAgeMs: 800,
        stable: { healthy: true, detail: "" },
        requestsPerSecond: point.stable.rate + point.candidate.rate,
      },
    },
    figures: { span: "10s", from: now - 10_000, to: now, coveredMs: 10_000, instances: ["edge-1", "edge-2"], rows: rowsOf(point) },
    latencies: binsAt(now),
    fallbacks: { latency: 61, error: 7, quality: 4, breaker: 0, hedge: 33, dialect: 0 },
    audit: [
      {
        id: "1-0",
        at: new Date(now - 0.4 * HOUR_MS).toISOString(),
        who: "crossfade",
        reason: "every gate of sanity passes",
        revision: 41,
        status: "accepted",
        changes: [{ field: "rollout_percentage", from: "10", to: "25" }],
      },
    ],
    notices: undefined,
    sla: undefined,
    incidents: [],
    maintenance: [],
  };
}

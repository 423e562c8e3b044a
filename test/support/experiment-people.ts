import type { BusinessCell, Clustered } from "../../src/analysis/business.ts";
import { NO_CLUSTERS } from "../../src/analysis/business.ts";
import type { ExperimentStratum } from "../../src/analysis/experiment.ts";
import type { AssignedArm } from "../../src/core/words.ts";

/** Reproducible chance, 0 to 1 (xorshift32). */
export function createChance(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e37_79b9) | 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 8; i++) next();
  return next;
}

export interface People {
  readonly users: number;
  /** Share of the candidate at each step, in order; everybody is there at every step. */
  readonly shares: readonly number[];
  /** How likely a match is confirmed, on average over users. */
  readonly stable: number;
  readonly candidate: number;
  /** How much users differ in that, either way. */
  readonly spread: number;
  /** Most matches that one user judges at one step; at least 1. */
  readonly matches: number;
  /** Looks at each step, evenly. */
  readonly looks: number;
  /** Of the candidate's users nothing is heard of this share. */
  readonly lost?: number;
}

export interface Look {
  readonly strata: readonly ExperimentStratum[];
  readonly overall: readonly BusinessCell[];
}

const STEP_MS = 86_400_000;

/** A rollout with feedback on accuracy, seen at every look. Users keep their bucket and their opinion over all steps. */
export function* looksAt(people: People, chance: () => number): Generator<Look> {
  const { users, shares, spread, looks, lost = 0 } = people;
  const buckets = Float64Array.from({ length: users }, chance);
  const leanings = Float64Array.from({ length: users }, () => (chance() * 2 - 1) * spread);
  const silent = Uint8Array.from({ length: users }, () => (chance() < lost ? 1 : 0));
  const totals = { stable: createTotals(users), candidate: createTotals(users) };
  const before: ExperimentStratum[] = [];
  for (const [step, share] of shares.entries()) {
    const sums: Record<AssignedArm, Clustered> = { stable: NO_CLUSTERS, candidate: NO_CLUSTERS };
    for (let look = 1, user = 0; look <= looks; look++) {
      for (const end = Math.round((users * look) / looks); user < end; user++) {
        const arm = (buckets[user] ?? 0) < share ? "candidate" : "stable";
        const n = 1 + Math.floor(chance() * people.matches);
        let y = 0;
        for (let i = 0; i < n; i++) if (chance() < people[arm] + (leanings[user] ?? 0)) y++;
        if (arm === "candidate" && silent[user] === 1) continue;
        sums[arm] = added(sums[arm], y, n);
        totals[arm].add(user, y, n);
      }
      const elapsedMs = (STEP_MS * look) / looks;
      const present = stratumOf({ step, share, elapsedMs, cells: cellsOf(sums) });
      yield { strata: [...before, present], overall: cellsOf({ stable: totals.stable.sums(), candidate: totals.candidate.sums() }) };
    }
    before.push(stratumOf({ step, share, elapsedMs: STEP_MS, cells: cellsOf(sums) }));
  }
}

export function stratumOf(given: {
  readonly step: number;
  readonly share: number | undefined;
  readonly elapsedMs?: number;
  readonly cells: readonly BusinessCell[];
  readonly segmentShares?: ExperimentStratum["segmentShares"];
  readonly figures?: ExperimentStratum["figures"];
}): ExperimentStratum {
  const { step, share, elapsedMs = STEP_MS, cells, segmentShares = {}, figures } = given;
  return { step, name: `step ${step}`, assigned: cells, served: cells, figures, share, segmentShares, elapsedMs };
}

export function cellsOf(sums: Readonly<Record<AssignedArm, Clustered>>, segment = "none"): BusinessCell[] {
  return (["stable", "candidate"] as const).map((arm) => ({ arm, segment, metric: "accuracy", sums: sums[arm] }));
}

/** Users who judged one match each, of which a share was confirmed. */
export function judged(users: number, share: number): Clustered {
  const y = Math.round(users * share);
  return { users, y, n: users, yy: y, nn: users, yn: y };
}

function added({ users, y, n, yy, nn, yn }: Clustered, moreY: number, moreN: number): Clustered {
  return { users: users + 1, y: y + moreY, n: n + moreN, yy: yy + moreY ** 2, nn: nn + moreN ** 2, yn: yn + moreY * moreN };
}

/** Sums user by user, of users who come again. */
function createTotals(users: number) {
  const [ys, ns] = [new Float64Array(users), new Float64Array(users)];
  let sums = NO_CLUSTERS;
  return {
    add(user: number, y: number, n: number) {
      const [oldY, oldN] = [ys[user] ?? 0, ns[user] ?? 0];
      const [newY, newN] = [oldY + y, oldN + n];
      ys[user] = newY;
      ns[user] = newN;
      sums = {
        users: sums.users + (oldN === 0 ? 1 : 0),
        y: sums.y + y,
        n: sums.n + n,
        yy: sums.yy + newY ** 2 - oldY ** 2,
        nn: sums.nn + newN ** 2 - oldN ** 2,
        yn: sums.yn + newY * newN - oldY * oldN,
      };
    },
    sums: () => sums,
  };
}

import t from "tap";
import fc from "fast-check";
import murmurhash from "murmurhash";
import { readFileSync } from "node:fs";
import type { Flag, FlagSettings } from "../src/config/config.ts";
import { bucketOf } from "../src/core/bucket.ts";
import { buildStringSet, StringSet } from "../src/core/string-set.ts";
import { decideArm, type Subject } from "../src/rollout/decide.ts";
import { explainArm } from "../src/rollout/explain.ts";
import { compileRules, type Rules } from "../src/rollout/rules.ts";

const SETTINGS: FlagSettings = {
  enabled: true,
  killSwitch: false,
  weightBp: 0,
  segments: [
    { name: "beta_users", weightBp: 10_000, override: true },
    { name: "enterprise", weightBp: 0, override: true },
    { name: "api_partners", weightBp: 5_000, override: false },
  ],
  fallback: {
    enabled: true,
    responseTimeMs: 100,
    errorRateBp: 100,
    accuracyBp: 8_500,
    hedge: false,
    budgetBp: 2_000,
    breaker: "auto" as const,
  },
  samplingBp: 10_000,
};
const FLAG: Flag = { name: "v2_migration", salt: "v2_migration", settings: SETTINGS, retentionDays: 90 };

function rulesOf(
  settings: Partial<FlagSettings>,
  sets: { allow?: string[]; deny?: string[]; members?: Record<string, string[]> } = {},
): Rules {
  const members = Object.fromEntries(Object.entries(sets.members ?? {}).map(([name, keys]) => [name, buildStringSet(keys)]));
  return compileRules(FLAG, {
    flag: FLAG.name,
    revision: 7,
    settings: { ...SETTINGS, ...settings },
    allow: sets.allow && buildStringSet(sets.allow),
    deny: sets.deny && buildStringSet(sets.deny),
    members,
  });
}

function user(key: string | undefined, more: Partial<Subject> = {}): Subject {
  return { key, segment: undefined, override: undefined, ...more };
}

const weight = fc.integer({ min: 0, max: 10_000 });

t.test("the bucket is murmur3 of salt, colon and key, for any text", async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), fc.string({ unit: "binary", maxLength: 300 }), (salt, key) => {
      const wanted = murmurhash.v3(Buffer.from(`${salt}:${key}`), 0) % 10_000;
      return bucketOf(salt, key) === wanted;
    }),
  );
  t.pass("as the package computes it from the same bytes");
});

t.test("the published test vectors hold", async (t) => {
  const lines = readFileSync(new URL("../docs/bucketing.md", import.meta.url), "utf8").matchAll(
    /^\| `([^`]+)` \| `([^`]+)` \| (\d+) \| (\d+) \|$/gm,
  );
  let checked = 0;
  for (const [, salt = "", key = "", hash, bucket] of lines) {
    t.equal(murmurhash.v3(Buffer.from(`${salt}:${key}`), 0), Number(hash), `${salt}:${key}`);
    t.equal(bucketOf(salt, key), Number(bucket));
    checked++;
  }
  t.ok(checked >= 8, `${checked} vectors`);
});

t.test("raising a percentage moves nobody back, and lowering it gives the earlier users again", async (t) => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), weight, weight, (key, a, b) => {
      const [low, high] = a < b ? [a, b] : [b, a];
      const before = decideArm(rulesOf({ weightBp: low }), false, user(key)).arm;
      const after = decideArm(rulesOf({ weightBp: high }), false, user(key)).arm;
      const back = decideArm(rulesOf({ weightBp: low }), false, user(key)).arm;
      return back === before && (before === "stable" || after === "candidate");
    }),
  );
  t.pass();
});

t.test("100,000 users through 0, 10, 25, 50, 75, 100 and back to 50", async (t) => {
  const users = Array.from({ length: 100_000 }, (_, i) => `user-${i}`);
  const segments = { beta_users: users.slice(0, 1000), enterprise: users.slice(1000, 2000) };
  const others = users.slice(2000);
  const onCandidate = (percentage: number): Set<string> => {
    const rules = rulesOf({ weightBp: percentage * 100 }, { members: segments });
    return new Set(users.filter((key) => decideArm(rules, false, user(key)).arm === "candidate"));
  };
  let before = new Set<string>();
  let at50 = new Set<string>();
  for (const percentage of [0, 10, 25, 50, 75, 100]) {
    const now = onCandidate(percentage);
    const share = (others.filter((key) => now.has(key)).length / others.length) * 100;
    t.ok(Math.abs(share - percentage) <= 0.3, `${percentage} %: ${share.toFixed(2)} % of the users`);
    t.ok(
      [...before].every((key) => now.has(key)),
      "nobody moved back",
    );
    t.ok(
      segments.beta_users.every((key) => now.has(key)),
      "beta users on the candidate throughout",
    );
    t.notOk(
      segments.enterprise.some((key) => now.has(key)),
      "enterprise never",
    );
    before = now;
    if (percentage === 50) at50 = now;
  }
  t.same(onCandidate(50), at50, "the same half as before");
});

t.test("precedence: kill switch, disabled, list, override, segment, percentage", async (t) => {
  const sets = { allow: ["allowed", "both"], deny: ["denied", "both"], members: { enterprise: ["corp", "allowed"], beta_users: ["beta"] } };
  const all = { weightBp: 10_000 };
  const cases: [string, Partial<FlagSettings>, boolean, Subject, string, string][] = [
    ["killed here", all, true, user("allowed"), "stable", "kill-switch"],
    ["killed in the settings", { ...all, killSwitch: true }, false, user("beta"), "stable", "kill-switch"],
    ["disabled beats the lists", { ...all, enabled: false }, false, user("allowed"), "stable", "disabled"],
    ["deny beats allow", all, false, user("both"), "stable", "list"],
    ["deny beats an override", all, false, user("denied", { override: "candidate" }), "stable", "list"],
    ["allow beats the segment", { weightBp: 0 }, false, user("allowed"), "candidate", "list"],
    ["an override beats the segment", all, false, user("corp", { override: "candidate" }), "candidate", "override"],
    ["a segment beats the percentage", all, false, user("corp"), "stable", "segment"],
    ["a segment named by a hop", { weightBp: 0 }, false, user("x", { segment: "beta_users" }), "candidate", "segment"],
    ["the percentage for the rest", all, false, user("x"), "candidate", "percentage"],
    ["a cap above the global figure leaves it", { weightBp: 0 }, false, user("x", { segment: "api_partners" }), "stable", "percentage"],
    ["nobody in particular", { weightBp: 5_000 }, false, user(undefined), "stable", "unkeyed"],
    ["nobody in particular, at 100", all, false, user(undefined), "candidate", "percentage"],
  ];
  for (const [name, settings, killed, subject, arm, reason] of cases) {
    t.match(decideArm(rulesOf(settings, sets), killed, subject), { arm, reason }, name);
  }
});

t.test("a cap follows the global figure until it reaches it", async (t) => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), weight, (key, weightBp) => {
      const decision = decideArm(rulesOf({ weightBp }), false, user(key, { segment: "api_partners" }));
      return (decision.arm === "candidate") === bucketOf(FLAG.salt, key) < Math.min(weightBp, 5_000);
    }),
  );
  t.pass();
});

t.test("one decision is one object: deciding allocates none", async (t) => {
  const rules = rulesOf({ weightBp: 10_000 });
  t.equal(decideArm(rules, false, user("a")), decideArm(rules, false, user("b")));
});

t.test("explain says what decides, and what another percentage would do", async (t) => {
  const rules = rulesOf({ weightBp: 2_500 }, { members: { enterprise: ["corp"] } });
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), weight, (key, atBp) => {
      const explained = explainArm(rules, false, { user: key, segment: undefined, atBp });
      const from = explained.candidateFromPercentage ?? 0;
      const reached = decideArm(rulesOf({ weightBp: Math.round(from * 100) }), false, user(key)).arm;
      const below = decideArm(rulesOf({ weightBp: Math.round(from * 100) - 1 }), false, user(key)).arm;
      return (
        explained.arm === decideArm(rules, false, user(key)).arm &&
        explained.at?.arm === decideArm(rulesOf({ weightBp: atBp }), false, user(key)).arm &&
        reached === "candidate" &&
        below === "stable"
      );
    }),
  );
  t.match(explainArm(rules, false, { user: "corp", segment: undefined, atBp: 10_000 }), {
    arm: "stable",
    reason: "segment",
    segment: "enterprise",
    rule: "segment enterprise 0 (override)",
    revision: 7,
    candidateFromPercentage: undefined,
    at: { percentage: 100, arm: "stable" },
  });
  t.match(explainArm(rules, true, { user: "corp", segment: undefined, atBp: undefined }), {
    reason: "kill-switch",
    rule: "kill switch of this instance",
  });
});

t.test("a shared set holds exactly what was put into it", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.array(fc.string({ unit: "grapheme" })), (inside, asked) => {
      const set = new StringSet(buildStringSet(inside));
      const wanted = new Set(inside);
      return (
        set.size === wanted.size &&
        [...inside, ...asked].every((key) => set.has(key) === wanted.has(key)) &&
        new Set(set.values()).symmetricDifference(wanted).size === 0
      );
    }),
  );
  t.pass();
});

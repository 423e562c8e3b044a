import fc from "fast-check";
import t from "tap";
import type { Rollout, RolloutState } from "../src/controller/rollout.ts";
import { readRollout, UnreadableRollout, writeRollout } from "../src/controller/state-text.ts";
import { planOf, startedAt, T0 } from "./support/rollouts.ts";

const ROLLBACK = {
  step: 1,
  at: T0,
  by: "crossfade",
  why: "trigger slow",
  trigger: undefined,
  shift: [{ percentageBp: 2_000, at: T0 + 1 }],
  traffic: { revision: 3, acknowledged: ["a"], missing: [], ms: 12 },
  hooks: [
    { name: "restore", status: "running", startedAt: T0, ms: undefined, detail: "", by: "one", limitMs: 90_000 },
    { name: "notify", status: "pending", startedAt: undefined, ms: undefined, detail: "" },
  ],
  endedAt: undefined,
} as const;

const STATES: readonly RolloutState[] = [
  { status: "progressing", step: 0 },
  { status: "waiting", step: 2 },
  { status: "held", step: 1, since: T0, cause: "pause", by: "bob", why: "" },
  { status: "held", step: 1, since: T0, cause: "foreign", by: "crossfade", why: "x", edited: true },
  { status: "rolling-back", rollback: ROLLBACK },
  { status: "rolled-back", rollback: { ...ROLLBACK, traffic: undefined, trigger: "slow", endedAt: T0, others: { beta: 10_000 } } },
  { status: "completed", at: T0 },
];

const withState = (state: RolloutState): Rollout => ({
  ...startedAt(),
  state,
  stays: [
    { step: 0, from: T0, to: T0 + 5 },
    { step: -1, from: T0 + 5, to: undefined },
  ],
  approvals: [{ who: "alice", role: "ops", at: T0 }],
});

t.test("a document is read as it was written, in every state", async (t) => {
  for (const state of STATES) {
    const text = writeRollout(withState(state));
    t.strictSame(readRollout(text), withState(state), state.status);
    t.equal(writeRollout(readRollout(text)), text);
  }
});

function refusal(text: string): string {
  try {
    readRollout(text);
  } catch (error) {
    if (error instanceof UnreadableRollout) return error.message;
    throw error;
  }
  return "";
}

t.test("a document of a newer version is refused by name, whatever else is in it", async (t) => {
  const good = writeRollout(startedAt());
  t.match(refusal(good.replace('"version":2', '"version":3')), /version 3 and this program reads version 2.*upgrade this instance/);
  t.match(refusal('{"version":3}'), /upgrade/);
  t.equal(refusal(good.replace('"version":2', '"version":1')), "", "an older one lacks only what may be missing");
});

t.test("a damaged document is refused whole, and says where", async (t) => {
  const good = writeRollout(startedAt());
  const cases: readonly (readonly [what: string, text: string, says: RegExp])[] = [
    ["nothing", "", /not JSON/],
    ["half of it", good.slice(0, -20), /not JSON/],
    ["no object", "7", /no version/],
    ["no version", good.replace('"version":2,', ""), /no version/],
    ["a member that is not known", good.replace(/\}\}$/, ',"mood":1}}'), /mood/],
    ["a member that is missing", good.replace(/,"approvals":\[\]\}\}$/, "}}"), /rollout\.approvals/],
    ["a state that is not known", good.replace('"progressing"', '"dancing"'), /rollout\.state/],
    [
      "a step that the plan does not have",
      good.replace('{"status":"progressing","step":0}', '{"status":"progressing","step":3}'),
      /no step 3/,
    ],
    ["a stay at such a step", good.replace('"stays":[{"step":0', '"stays":[{"step":9'), /no step 9/],
    ["an instant that is none", good.replace(`"startedAt":${T0}`, '"startedAt":null'), /rollout\.startedAt/],
    ["a plan that is none", good.replace('"timezone"', '"timezones"'), /plan/],
  ];
  for (const [what, text, says] of cases) {
    t.not(text, good, what);
    t.match(refusal(text), says, what);
  }
});

t.test("a text that somebody mangled is refused, or is a document that stays what it is", async (t) => {
  const texts = STATES.map((state) => writeRollout(withState(state)));
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.array(fc.tuple(fc.nat(), fc.string({ maxLength: 3 }), fc.nat(4)), { minLength: 1, maxLength: 3 }),
      (text, edits) => {
        let mangled = text;
        for (const [at, piece, cut] of edits) {
          const place = at % mangled.length;
          mangled = mangled.slice(0, place) + piece + mangled.slice(place + cut);
        }
        if (refusal(mangled) !== "") return true;
        const read = readRollout(mangled);
        return writeRollout(readRollout(writeRollout(read))) === writeRollout(read);
      },
    ),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => refusal(text) !== ""));
  t.pass();
});

t.test("a plan with names that objects have anyway is kept", async (t) => {
  const plan = planOf({
    segments: [
      { name: "__proto__", fromBp: 10 },
      { name: "constructor", fromBp: 0 },
    ],
  });
  const rollout = { ...startedAt(), plan };
  t.strictSame(readRollout(writeRollout(rollout)), rollout);
});

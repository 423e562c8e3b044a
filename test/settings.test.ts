import fc from "fast-check";
import t from "tap";
import type { FlagSettings } from "../src/config/config.ts";
import { acceptSettings, type Fields, fieldsOf, readFields } from "../src/config/settings.ts";

const BASE: FlagSettings = Object.freeze({
  enabled: true,
  killSwitch: false,
  weightBp: 1_000,
  segments: Object.freeze([
    { name: "beta_users", weightBp: 10_000, override: true },
    { name: "enterprise", weightBp: 0, override: true },
  ]),
  fallback: Object.freeze({
    enabled: true,
    responseTimeMs: 100,
    errorRateBp: 100,
    accuracyBp: 8_500,
    hedge: false,
    budgetBp: 2_000,
    breaker: "auto" as const,
  }),
  samplingBp: 10_000,
});

const NOTHING = { accepted: {}, seen: {} };

function messages(raw: Fields): readonly string[] {
  return readFields(BASE, raw).rejections.map(({ message }) => message);
}

t.test("an absent field has the file's value", async (t) => {
  t.strictSame(readFields(BASE, {}), { settings: BASE, rejections: [] });
  t.strictSame(readFields(BASE, { rollout_percentage: "25" }).settings, { ...BASE, weightBp: 2_500 });
});

t.test("every field is read, as people write it", async (t) => {
  const { settings, rejections } = readFields(BASE, {
    enabled: "off",
    rollout_percentage: " 12.5 % ",
    kill_switch: "1",
    "segment.enterprise": "75%",
    "fallback.enabled": "no",
    "fallback.response_time": "120",
    "fallback.error_rate": "2",
    "fallback.accuracy": "85%",
    "monitoring.sampling_rate": "0",
  });
  t.strictSame(rejections, []);
  t.strictSame(settings, {
    enabled: false,
    killSwitch: true,
    weightBp: 1_250,
    segments: [
      { name: "beta_users", weightBp: 10_000, override: true },
      { name: "enterprise", weightBp: 7_500, override: true },
    ],
    fallback: {
      enabled: false,
      responseTimeMs: 120,
      errorRateBp: 200,
      accuracyBp: 8_500,
      hedge: false,
      budgetBp: 2_000,
      breaker: "auto" as const,
    },
    samplingBp: 0,
  });
  t.ok(Object.isFrozen(settings) && Object.isFrozen(settings.fallback) && Object.isFrozen(settings.segments[1]));
});

t.test("the fallback time takes a bare number as milliseconds, and has two names", async (t) => {
  const time = (raw: Fields) => readFields(BASE, raw).settings.fallback.responseTimeMs;
  t.equal(time({ "fallback.response_time": "0.2s" }), 200);
  t.equal(time({ "fallback.response_time_ms": "80" }), 80);
  t.equal(time({ "fallback.response_time_ms": "80", "fallback.response_time": "80ms" }), 80);
  const both = readFields(BASE, { "fallback.response_time_ms": "80", "fallback.response_time": "90" });
  t.match(both.rejections, [{ message: /remove one of them/ }, { message: /remove one of them/ }]);
  t.equal(both.settings.fallback.responseTimeMs, 100);
});

t.test("what is wrong is refused with what would be right", async (t) => {
  t.strictSame(messages({ rollout_percentage: "101" }), [
    "rollout_percentage: 101 is out of range; expected a percentage from 0 to 100 with at most two decimals, such as 25 or 12.5%",
  ]);
  t.match(messages({ rollout_percentage: "-1" }), [/out of range/]);
  t.match(messages({ rollout_percentage: "1.234" }), [/two decimals/]);
  t.match(messages({ rollout_percentage: "" }), [/not a percentage/]);
  t.match(messages({ rollout_percentage: "1O" }), [/"1O" is not a percentage/]);
  t.match(messages({ enabled: "perhaps" }), [/neither true nor false/]);
  t.match(messages({ "fallback.response_time": "0" }), [/expected a duration from 1ms to 1m/]);
  t.match(messages({ "fallback.response_time": "2m" }), [/out of range/]);
  t.match(messages({ rollout_percentge: "5" }), ["rollout_percentge: is not a known field; did you mean rollout_percentage?"]);
  t.match(messages({ whatever: "5" }), [/known: enabled, rollout_percentage, kill_switch/]);
  t.match(messages({ "segment.entreprise": "5" }), ['segment.entreprise: there is no segment "entreprise"; known: beta_users, enterprise']);
  t.match(readFields({ ...BASE, segments: [] }, { "segment.x": "5" }).rejections, [
    { kind: "unknown-field", message: /the configuration file defines none/ },
  ]);
  t.match(readFields(BASE, { constructor: "5", ["__proto__"]: "1" }).rejections, [
    { field: "constructor", kind: "unknown-field", value: "5" },
    { field: "__proto__" },
  ]);
});

t.test("0.85 as accuracy is 0.85 percent", async (t) => {
  t.equal(readFields(BASE, { "fallback.accuracy": "0.85" }).settings.fallback.accuracyBp, 85);
});

t.test("an edit with a mistake changes nothing", async (t) => {
  const before = acceptSettings(BASE, NOTHING, { rollout_percentage: "25" });
  const after = acceptSettings(
    BASE,
    { accepted: before.accepted, seen: before.accepted },
    { rollout_percentage: "50", "fallback.accuracy": "850" },
  );
  t.strictSame([after.accepted, after.settings], [before.accepted, before.settings]);
  t.match(after.rejections, [{ field: "fallback.accuracy", value: "850", kind: "invalid-value" }]);
});

t.test("a mistake left in the hash does not stand in the way of a later rollback", async (t) => {
  const seen = { rollout_percentage: "25", rollout_percentge: "50" };
  const { accepted, settings, rejections } = acceptSettings(
    BASE,
    { accepted: { rollout_percentage: "25" }, seen },
    { ...seen, rollout_percentage: "0" },
  );
  t.strictSame([accepted, rejections], [{ rollout_percentage: "0" }, []]);
  t.equal(settings.weightBp, 0);
});

t.test("the valid half of a refused edit comes into force when the other half is mended", async (t) => {
  const refused = acceptSettings(BASE, NOTHING, { rollout_percentage: "50", "fallback.accuracy": "850" });
  t.strictSame(refused.accepted, {});
  const mended = acceptSettings(
    BASE,
    { accepted: refused.accepted, seen: { rollout_percentage: "50", "fallback.accuracy": "850" } },
    { rollout_percentage: "50", "fallback.accuracy": "85" },
  );
  t.strictSame(mended.accepted, { rollout_percentage: "50", "fallback.accuracy": "85" });
});

t.test("taking a field away gives the file's value back, beside an old mistake too", async (t) => {
  const previous = {
    accepted: { rollout_percentage: "25", enabled: "false" },
    seen: { rollout_percentage: "25", enabled: "false", x: "y" },
  };
  const { accepted, settings } = acceptSettings(BASE, previous, { enabled: "false", x: "y" });
  t.strictSame(accepted, { enabled: "false" });
  t.equal(settings.weightBp, BASE.weightBp);
});

t.test("an accepted value survives a later mistake in its own field", async (t) => {
  const first = { rollout_percentage: "25", enabled: "true" };
  const mistaken = acceptSettings(BASE, { accepted: first, seen: first }, { ...first, rollout_percentage: "250" });
  t.strictSame(mistaken.accepted, first);
  const later = acceptSettings(
    BASE,
    { accepted: first, seen: { ...first, rollout_percentage: "250" } },
    { enabled: "false", rollout_percentage: "250" },
  );
  t.strictSame(later.accepted, { rollout_percentage: "25", enabled: "false" });
});

t.test("the kill switch is taken out of an edit that is refused", async (t) => {
  const previous = { accepted: { rollout_percentage: "25" }, seen: { rollout_percentage: "25" } };
  const killed = acceptSettings(BASE, previous, { rollout_percentage: "O", kill_switch: "true" });
  t.strictSame(killed.accepted, { rollout_percentage: "25", kill_switch: "true" });
  t.ok(killed.settings.killSwitch);
  t.match(killed.rejections, [{ field: "rollout_percentage" }]);
  const doubtful = acceptSettings(
    BASE,
    { accepted: killed.accepted, seen: killed.accepted },
    { rollout_percentage: "25", kill_switch: "ture" },
  );
  t.ok(doubtful.settings.killSwitch, "an unreadable kill switch does not revive");
});

t.test("the newer name of the fallback time replaces the older one", async (t) => {
  const previous = { accepted: { "fallback.response_time_ms": "120" }, seen: { "fallback.response_time_ms": "bad", x: "y" } };
  const { accepted, settings } = acceptSettings(BASE, previous, { "fallback.response_time": "80", x: "y" });
  t.strictSame(accepted, { "fallback.response_time": "80" });
  t.equal(settings.fallback.responseTimeMs, 80);
});

const name = fc.constantFrom(
  "enabled",
  "rollout_percentage",
  "kill_switch",
  "segment.beta_users",
  "segment.enterprise",
  "segment.nobody",
  "fallback.enabled",
  "fallback.response_time",
  "fallback.response_time_ms",
  "fallback.error_rate",
  "fallback.accuracy",
  "monitoring.sampling_rate",
  "__proto__",
  "x",
);
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("0", "1", "25", "100", "true", "off", "12.5%", "80ms", "101", "-1", "x", "") },
  { weight: 1, arbitrary: fc.string() },
);
const raws = fc.dictionary(name, value, { maxKeys: 6, noNullPrototype: true });
const memories = fc.record({ accepted: raws, seen: raws });

const shares = ({ weightBp, samplingBp, segments, fallback }: FlagSettings): readonly number[] => [
  weightBp,
  samplingBp,
  fallback.errorRateBp,
  fallback.accuracyBp,
  ...segments.map((rule) => rule.weightBp),
];

t.test("whatever stands in a hash, the settings are within their bounds", async (t) => {
  const any = fc.oneof(raws, fc.dictionary(fc.string(), fc.string()));
  fc.assert(
    fc.property(any, (raw) => {
      const { settings, rejections } = readFields(BASE, raw);
      const bounded = shares(settings).every((share) => Number.isInteger(share) && share >= 0 && share <= 10_000);
      const time = settings.fallback.responseTimeMs;
      return (
        bounded && time >= 1 && time <= 60_000 && rejections.every(({ field, message }) => Object.hasOwn(raw, field) && message !== "")
      );
    }),
  );
  t.pass();
});

t.test("a hash without mistakes is accepted as it is", async (t) => {
  let valid = 0;
  fc.assert(
    fc.property(memories, raws, (memory, raw) => {
      if (readFields(BASE, raw).rejections.length > 0) return;
      valid++;
      const { accepted, settings, rejections } = acceptSettings(BASE, memory, raw);
      t.strictSame([accepted, settings, rejections], [raw, readFields(BASE, raw).settings, []]);
    }),
    { numRuns: 300 },
  );
  t.ok(valid > 20, `${valid} hashes were valid`);
});

t.test("a refused edit changes nothing but the kill switch", async (t) => {
  let refused = 0;
  fc.assert(
    fc.property(memories, raws, (memory, raw) => {
      const { settings, rejections } = acceptSettings(BASE, memory, raw);
      if (rejections.length === 0) return;
      refused++;
      const before = readFields(BASE, memory.accepted).settings;
      t.strictSame({ ...settings, killSwitch: false }, { ...before, killSwitch: false });
    }),
    { numRuns: 300 },
  );
  t.ok(refused > 20, `${refused} edits were refused`);
});

t.test("a valid kill switch is always honoured", async (t) => {
  fc.assert(
    fc.property(
      memories,
      raws,
      fc.constantFrom("true", "1", "on", "yes"),
      (memory, raw, on) => acceptSettings(BASE, memory, { ...raw, kill_switch: on }).settings.killSwitch,
    ),
  );
  t.pass();
});

t.test("following any history, what is accepted is always valid in itself", async (t) => {
  fc.assert(
    fc.property(fc.array(raws, { maxLength: 6 }), (history) => {
      let memory: { accepted: Fields; seen: Fields } = NOTHING;
      for (const raw of history) {
        memory = { accepted: acceptSettings(BASE, memory, raw).accepted, seen: raw };
        if (readFields(BASE, memory.accepted).rejections.length > 0) return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass();
});

t.test("words that every object knows are no values", async (t) => {
  for (const word of ["__proto__", "constructor", "toString"]) {
    t.match(readFields(BASE, { enabled: word }), { settings: { enabled: BASE.enabled }, rejections: [{ field: "enabled", value: word }] });
  }
});

t.test("fieldsOf writes what readFields reads back", async (t) => {
  t.strictSame(fieldsOf(BASE), {
    enabled: "true",
    rollout_percentage: "10",
    kill_switch: "false",
    "fallback.enabled": "true",
    "fallback.response_time": "100ms",
    "fallback.error_rate": "1",
    "fallback.accuracy": "85",
    "fallback.hedge": "false",
    "fallback.budget": "20",
    "fallback.breaker": "auto",
    "monitoring.sampling_rate": "100",
    "segment.beta_users": "100",
    "segment.enterprise": "0",
  });
  fc.assert(
    fc.property(raws, (raw) => {
      const { settings } = readFields(BASE, raw);
      t.strictSame(readFields(BASE, fieldsOf(settings)), { settings, rejections: [] });
    }),
  );
});

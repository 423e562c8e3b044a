import fc from "fast-check";
import t from "tap";
import { candidateShare, splitOf } from "../src/dashboard/charts/split.ts";
import { countOf, isMuch, shareBeyond, stepsOf, WIDTH_MS } from "../src/dashboard/charts/histogram-model.ts";
import { slaParts } from "../src/dashboard/panels/sla-model.ts";
import type { SlaRow } from "../src/sla/sla.ts";
import { thresholdsOf } from "../src/dashboard/charts/thresholds.ts";
import { EN } from "../src/dashboard/words-en.ts";
import { FR } from "../src/dashboard/words-fr.ts";
import { EventReader, type StreamEvent } from "../src/dashboard/live/events.ts";
import { liveView, NOW } from "./support/live-world.ts";

/** What the dashboard reckons by itself, without a browser. */

/** `text` cut at these places. */
function pieces(text: string, cuts: readonly number[]): string[] {
  const at = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((one, other) => one - other), text.length];
  return at.slice(1).map((to, index) => text.slice(at[index], to));
}

t.test("a stream says the same however it is cut into pieces", async (t) => {
  const line = fc.string({ maxLength: 30 }).map((text) => text.replace(/[\r\n]/g, ""));
  const event = fc.record({ name: fc.constantFrom("view", "point", "history"), data: fc.array(line, { minLength: 1, maxLength: 3 }) });
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 6 }),
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.array(fc.nat(2_000), { maxLength: 20 }),
      (events, end, cuts) => {
        const text = events
          .map(({ name, data }) => [`: alive`, `event: ${name}`, ...data.map((each) => `data: ${each}`), "", ""].join(end))
          .join("");
        const reader = new EventReader();
        // What follows shows that a CR was no half of a CRLF.
        const read = [...pieces(text, cuts), ": end"].flatMap((piece): readonly StreamEvent[] => reader.read(piece));
        t.same(
          read,
          events.map(({ name, data }) => ({ name, data: data.join("\n") })),
        );
      },
    ),
    { numRuns: 300 },
  );
});

t.test("an event without its blank line has not come yet", async (t) => {
  const reader = new EventReader();
  t.same(reader.read("event: view\ndata: 1\n"), []);
  t.same(reader.read("\n"), [{ name: "view", data: "1" }]);
  t.same(reader.read("data:2\n\n"), [{ name: "message", data: "2" }], "one without a name");
});

t.test("the steps of a histogram hold the share of each bin, whatever its width", async (t) => {
  const bins = fc.array(fc.record({ width: fc.integer({ min: 1, max: 50 }), stable: fc.nat(1_000), candidate: fc.nat(1_000) }), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(bins, fc.nat(100), (each, beyond) => {
      let edge = 0;
      const edgesMs = each.map(({ width }) => (edge += width));
      const stable = [...each.map((bin) => bin.stable), beyond];
      const steps = stepsOf({ spanMs: 60_000, edgesMs, stable, candidate: [...each.map((bin) => bin.candidate), 0] }, []);
      const all = countOf(stable);
      for (const [index, bin] of each.entries()) {
        const drawn = steps.stable[index];
        if (all === 0) t.equal(drawn, null);
        else t.ok(Math.abs(((drawn ?? 0) * bin.width) / WIDTH_MS - bin.stable / all) < 1e-9);
      }
      if (all > 0) t.equal(shareBeyond({ edgesMs }, stable, edge), beyond / all);
      t.equal(steps.from.length, steps.stable.length);
    }),
    { numRuns: 100 },
  );
});

t.test("the picture of a histogram follows the quicker arm, and says what it leaves out", async (t) => {
  const edgesMs = [...Array.from({ length: 100 }, (_, index) => (index + 1) * 5), 1_000, 5_000];
  const at = (...bins: readonly (readonly [edge: number, count: number])[]): readonly number[] =>
    [...edgesMs, Infinity].map((edge) => bins.find(([own]) => own === edge)?.[1] ?? 0);
  const quick = at([40, 900], [100, 100]);
  const edge = (candidate: readonly number[], limits: readonly number[] = []): number =>
    stepsOf({ spanMs: 60_000, edgesMs, stable: quick, candidate }, limits).to;
  t.equal(edge(at([50, 1_000])), 100, "all of both");
  t.equal(edge(at([50, 980], [5_000, 20])), 250, "a few that hang do not press the rest to the left");
  t.equal(edge(at([5_000, 1_000])), 250, "nor do many");
  t.equal(edge(at()), 100, "one arm alone");
  t.equal(Math.round(edge(at([50, 1_000]), [100, 5_000])), 115, "a threshold that is near is in it, one that is far is not");
  t.ok(isMuch(shareBeyond({ edgesMs }, at([50, 980], [5_000, 20]), 250)), "the picture says so");
  t.notOk(isMuch(shareBeyond({ edgesMs }, quick, 250)));
});

t.test("of the promises the whole and what is worse than the whole come first", async (t) => {
  const row = (promise: SlaRow["promise"], whom: string, state: SlaRow["state"]): SlaRow => {
    const [version = "", segment = ""] = whom.split(" ");
    const of = { value: 1, target: 1, windowMs: 1, coveredMs: 1, sample: 1, budgetLeft: 1, since: 0, limitMs: undefined, p95: undefined };
    return { promise, version, segment, state, direction: "at-least", ...of };
  };
  const { first, rest } = slaParts([
    row("availability", "all all", "met"),
    row("availability", "v2 all", "warning"),
    row("availability", "v1 all", "met"),
    row("errors", "all all", "breached"),
    row("errors", "v2 all", "breached"),
    row("accuracy", "all all", "no-data"),
    row("accuracy", "v2 beta", "met"),
  ]);
  const names = (rows: readonly SlaRow[]): readonly string[] => rows.map(({ promise, version, state }) => `${promise} ${version} ${state}`);
  t.same(names(first), ["errors all breached", "availability v2 warning", "availability all met", "accuracy all no-data"]);
  t.same(names(rest), ["errors v2 breached", "availability v1 met", "accuracy v2 met"]);
});

t.test("thresholds are those of the settings, the plan and the present step, each once", async (t) => {
  const view = liveView(NOW, NOW);
  t.same(thresholdsOf(view, ["p50", "p95", "p99"]), [
    { value: 100, metric: "p99", sources: ["fallback"] },
    { value: 100, metric: "p95", sources: ["gate"] },
    { value: 150, metric: "p95", sources: ["trigger"] },
  ]);
  t.same(thresholdsOf(view, ["errors"]), [
    { value: 0.01, metric: "errors", sources: ["breaker", "gate"] },
    { value: 0.05, metric: "errors", sources: ["trigger"] },
  ]);
  t.same(thresholdsOf({ ...view, rollout: undefined }, ["quality"]), [{ value: 0.85, metric: "quality", sources: ["fallback"] }]);
});

t.test("a share of no requests is not known", async (t) => {
  const view = liveView(NOW, NOW);
  t.equal(splitOf({ ...view, figures: undefined }), undefined);
  t.ok(Number.isNaN(candidateShare(undefined)));
  t.ok(Number.isNaN(candidateShare({ stable: 0, candidate: 0 })));
  t.equal(candidateShare({ stable: 3, candidate: 1 }), 0.25);
});

t.test("both languages fill in the same facts", async (t) => {
  const facts = (text: string): readonly string[] => [...new Set(text.match(/\{\w+\}/g))].sort();
  for (const [key, text] of Object.entries(EN)) {
    const other = Object.entries(FR).find(([name]) => name === key)?.[1] ?? "";
    t.same(facts(other), facts(text), key);
    t.equal(other.includes("|"), text.includes("|"), `${key}: forms`);
  }
});

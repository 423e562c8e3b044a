import fc from "fast-check";
import t from "tap";
import { candidateShare, splitOf } from "../src/dashboard/charts/split.ts";
import { countOf, shareBeyond, stepsOf, WIDTH_MS } from "../src/dashboard/charts/histogram-model.ts";
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

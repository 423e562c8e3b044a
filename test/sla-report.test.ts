import t from "tap";
import { reportContent } from "../src/sla/report-content.ts";
import { toHtml } from "../src/sla/report-html.ts";
import { toMarkdown } from "../src/sla/report-markdown.ts";
import { PROMISES, SLA_STATES, type SlaReport, type SlaRow } from "../src/sla/sla.ts";

const HOUR = 3_600_000;
const AT = Date.parse("2026-11-23T12:30:00Z");

function row(over: Partial<SlaRow> = {}): SlaRow {
  return {
    promise: "availability",
    version: "all",
    segment: "all",
    value: 0.99896,
    target: 0.999,
    direction: "at-least",
    limitMs: undefined,
    p95: undefined,
    windowMs: 720 * HOUR,
    coveredMs: 72 * HOUR,
    sample: 1_234_567,
    budgetLeft: -0.04,
    state: "breached",
    since: AT - HOUR,
    ...over,
  };
}

const REPORT: SlaReport = {
  flag: "v2_migration",
  at: AT,
  warnAt: 0.9,
  recoveredAfterMs: 900_000,
  countedFrom: AT - 72.5 * HOUR,
  rows: [
    row(),
    row({
      promise: "response_time",
      limitMs: 100,
      p95: 87.25,
      value: 0.961,
      target: 0.95,
      budgetLeft: 0.22,
      state: "met",
      windowMs: 24 * HOUR,
    }),
    row({ promise: "accuracy", value: Number.NaN, budgetLeft: Number.NaN, sample: 0, coveredMs: 0, state: "no-data" }),
    row({ version: "v2", keptAgainSince: AT - 60_000 }),
    row({ segment: "none", state: "warning" }),
    row({ version: "v2", segment: "enterprise" }),
  ],
  breaches: [
    { promise: "availability", version: "v2", segment: "all", from: AT - 2 * HOUR, to: undefined, worst: 0.9871 },
    { promise: "errors", version: "all", segment: "none", from: AT - 50 * HOUR, to: AT - 24 * HOUR, worst: 0.02 },
  ],
};

/** The tables of a Markdown text: rows of cells. */
function tablesOf(markdown: string): string[][][] {
  const blocks = markdown.split("\n\n").filter((block) => block.startsWith("|"));
  return blocks.map((block) =>
    block
      .trim()
      .split("\n")
      .map((line) => line.slice(2, -2).split(/(?<!\\) \| /)),
  );
}

t.test("the report has periods, targets, budgets, parts, breaches with times, coverage and method", async (t) => {
  const text = toMarkdown(reportContent(REPORT, "en"));
  t.match(text, /^# Service levels of v2\\_migration\n/);
  t.match(text, "Broken: 1.");
  t.match(text, "There are figures from Nov 20, 2026, 12:00");
  t.match(
    text,
    /\| Availability \| at least 99.9% \| 99.896% \| -4% \| – \| 1,234,567 \| broken \| .* \| Oct 24, 2026, 12:00 – Nov 23, 2026, 12:30 \| 10% \|/,
  );
  t.match(text, "| Response time within 100 ms | at least 95% | 96.1% | 22% | 87.3 ms |");
  t.match(text, "| Accuracy | at least 99.9% | – | – | – | 0 | no verdict |");
  for (const title of ["## By version\n", "## By segment\n", "## By version and segment\n", "## Breaches\n", "## How it was counted\n"])
    t.match(text, title);
  t.match(text, "broken, kept again since");
  t.match(text, "| Availability | v2 | all | Nov 23, 2026, 10:30 | still broken | 2 h 0 min | 98.71% |");
  t.match(text, "| 1 d 2 h | 2% |");
  t.match(text, "90% of its error budget is spent");
  t.match(text, "kept again for 15m");
});

t.test("every row of a table has as many cells as its head, in both languages", async (t) => {
  for (const language of ["en", "fr"] as const) {
    const content = reportContent(REPORT, language);
    const tables = tablesOf(toMarkdown(content));
    t.equal(tables.length, 5);
    for (const table of tables) for (const line of table) t.equal(line.length, table[0]?.length, line.join(" "));
    t.notMatch(JSON.stringify(content), /undefined|NaN|null,|Invalid/);
  }
});

t.test("in French figures and dates are French", async (t) => {
  const text = toMarkdown(reportContent(REPORT, "fr"));
  t.match(text, /^# Niveaux de service de v2/);
  t.match(text, /au moins 99,9\s%/);
  t.match(text, /24 oct\. 2026, 12:00/);
  t.match(text, "rompu, tenu de nouveau depuis le");
  t.match(text, "| 1 j 2 h |");
  t.match(text, "## Manquements");
});

t.test("a report without any figures says so", async (t) => {
  const nothing: SlaReport = { ...REPORT, rows: [], breaches: [], countedFrom: undefined };
  t.match(toMarkdown(reportContent(nothing, "en")), /Nothing has been counted yet\.[\s\S]*No promise was broken in the last 90 days\./);
  // As it comes out of JSON, where what is not a number is null.
  const parsed: SlaReport = JSON.parse(JSON.stringify(REPORT));
  t.equal(toMarkdown(reportContent(parsed, "en")), toMarkdown(reportContent(REPORT, "en")));
});

t.test("names from elsewhere begin no markup, end no cell and no line", async (t) => {
  const nasty = "x | y\n\n# z <script>alert(\"1\")</script> `a` [l](http://b) **c** & 'd'";
  const hostile: SlaReport = {
    ...REPORT,
    flag: nasty,
    rows: [row(), row({ version: nasty }), row({ segment: nasty })],
    breaches: [{ promise: "errors", version: nasty, segment: nasty, from: AT, to: AT, worst: 1 }],
  };
  const content = reportContent(hostile, "en");
  const markdown = toMarkdown(content);
  t.equal(markdown.match(/^# /gm)?.length, 1);
  for (const table of tablesOf(markdown)) for (const line of table) t.equal(line.length, table[0]?.length);
  t.notMatch(markdown, /(?<!\\)[<>`[*]/);
  const html = toHtml(content, "en");
  t.notMatch(html, /<script|<a|"1"|'d'/);
  t.match(html, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;");
});

t.test("the HTML stands alone: nothing is fetched, nothing runs, and it can be printed", async (t) => {
  const html = toHtml(reportContent(REPORT, "fr"), "fr");
  t.match(html, /^<!doctype html>\n<html lang="fr">/);
  t.notMatch(html, /<script|src=|href=|url\(|@import|http:/);
  t.match(html, "@media print");
  t.match(html, "default-src 'none'");
  for (const tag of ["section", "table", "tr", "th", "td", "p", "h2", "thead", "tbody", "div", "main", "body", "html"]) {
    const count = (pattern: string): number => html.match(new RegExp(pattern, "g"))?.length ?? 0;
    t.equal(count(`<${tag}[ >]`), count(`</${tag}>`), tag);
  }
  for (const state of SLA_STATES) t.match(html, `tr.${state}`);
  t.match(html, '<tr class="breached"><th scope="row">');
});

t.test("every promise and every state has a word in both languages", async (t) => {
  for (const language of ["en", "fr"] as const) {
    const rows = PROMISES.flatMap((promise) => SLA_STATES.map((state) => row({ promise, state })));
    t.notMatch(toMarkdown(reportContent({ ...REPORT, rows }, language)), /undefined/);
  }
});

import { z } from "zod";
import { METRICS, type Window } from "../../analysis/check.ts";
import { formatDuration } from "../../core/quantity.ts";
import { defaultWindow, METRIC_FACTS } from "./metric-facts.ts";
import { planSchema } from "./schema.ts";

/** docs/plans.md, generated from the schema of plan files. */

type JsonNode = z.core.JSONSchema.BaseSchema;

const INTRODUCTION = `# Plans

<!-- Generated from src/controller/plan-file by \`node src/controller/plan-file/generate.ts\`; edit the descriptions there. -->

A plan file says in which steps the share of a flag rises, what must hold before each (gates), what takes it back at any time (triggers),
when a step may be entered, and what a rollback does after it has moved the traffic. \`crossfade rollout check PLAN --config FILE\` reports
every mistake in it at once, what contradicts itself or cannot work, and how its steps would go. The smallest plan worth having:

\`\`\`yaml
name: move
flag: v2_migration
steps:
  - { name: first, percentage: 10, dwell: 1d }
  - { name: all, percentage: 100, dwell: 1d }
gates:
  - { metric: errors, at_most: 1% }
triggers:
  - { metric: errors, at_most: 5% }
  - { metric: p95, at_most: 150ms, for: 5m }
\`\`\`

In \`config/plans/\`: \`supersmartmatch.yaml\` (two weeks), \`supersmartmatch-fast.yaml\` (a day), \`seconds.yaml\` (to watch), and
\`as-written.yaml\`, which contradicts itself, to show what the linter says.

## Gates and triggers

Both are written as the limit within which all is well. A verdict is \`pass\` (surely within it), \`fail\` (surely beyond it),
\`inconclusive\` (not sure) or \`no-data\` (fewer observations than \`min_sample\`). "Surely" is a bound that is wrong at most as often as
\`risk\` says; windows that grow have bounds that may be looked at every second.

- A **gate** is asked once its step's \`dwell\` is over. All must pass before the next step. It never rolls back.
- A **trigger** is asked all the time. \`fail\` rolls back at once. \`inconclusive\` holds the rollout where it is, and so does \`no-data\` unless
  \`required: false\`. A trigger whose window never holds enough to be sure would hold for ever: give it a longer window, or a \`min_sample\`
  below which it keeps silent. The linter reckons that out.
- A check that compares (\`ratio\`, \`difference\`) has nothing to compare with at 100 %. Give such gates to the steps below it, and let
  such triggers be \`required: false\` or look at \`window: start\`.

How limits are written follows from the metric: shares with their sign (\`1%\`), durations with their unit (\`150ms\`, \`1s\`), counts as
whole numbers, ratios as a percentage of the stable arm's figure (\`110%\` is ten per cent more), differences with their sign (\`-2%\` is
two points less). A plan has at most 200 gates and triggers, and 64 KiB. Other values are written as in the [configuration](configuration.md); no environment variable is filled in.
`;

const LINTER = `## The linter

Exit code 1 means that there are errors: the plan cannot work as it is, or contradicts itself. Warnings are what is allowed and probably not
meant. Figures come from \`expects\`; what it leaves out is not reckoned, and with \`--config\` the flag's own controls are looked at too.

| Rule | What it says |
|---|---|
| \`steps-rise\`, \`step-zero\`, \`step-over\`, \`last-below-100\` | shares that do not rise, nobody, more than everybody, an end below 100 % |
| \`dwell-missing\`, \`for-over-dwell\` | a step without a time of its own; a trigger that must last longer than its step |
| \`within\`, \`within-calendar\`, \`within-gates\` | the time allowed is less than the steps take: by themselves, with the calendar, with what gates need |
| \`not-reckoned\` | so many comparisons that the time of the last ones was not reckoned |
| \`phase\` | an experiment at each step does not fit into the time |
| \`calendar-never\`, \`freeze-past\` | a calendar that never opens; a freeze that is over |
| \`no-gates\`, \`no-triggers\` | time alone moves the share; nothing rolls back |
| \`direction\` | \`at_least\` for a figure of which less is better, or the other way round |
| \`trigger-inside-gate\` | a trigger that fires at what a gate lets pass |
| \`several-limits\` | a step's gate and a general one with different limits for the same figure |
| \`expected-fails\` | the figure under \`expects\` lies beyond the limit |
| \`no-stable-arm\` | a comparison at 100 % |
| \`silence\` | a trigger without data that nothing else asks for; or one that is required where silence is the rule |
| \`histogram-edge\` | a duration on which no edge of the Prometheus histograms stands, or finer than 0.1 ms |
| \`observed-latency\`, \`blind-trigger\`, \`deadline-over-trigger\`, \`gate-over-deadline\` | latency limits beside the deadline at which the flag falls back |
| \`silent-breaker\` | no trigger on \`fallbacks\`, the only figure that speaks once the breaker has cut the candidate off |
| \`three-controls\` | an error limit at or above the breaker's |
| \`two-accuracies\` | \`accuracy\` (confirmed by users) beside the flag's condition \`accuracy\` (what answers say of themselves: \`quality\`) |
| \`segment-ahead\`, \`segment-stays\`, \`switched-off\` | users whom the plan does not move; a flag that is off |
| \`fallbacks-too-few\`, \`budget\`, \`fallback-cost\` | fallbacks that contradict the P95, exceed the budget, or keep the stable arm busy |
| \`min-sample\`, \`gate-slow\`, \`gate-never\`, \`trigger-slow\`, \`trigger-unsure\` | too little traffic to decide in time, or at all: how long each takes, step by step |
| \`experiment-users\` | fewer users than the experiment needs |
| \`rollback-limits\`, \`hooks-limit\`, \`restart\` | parts of the rollback that take longer than the whole may; a restart under full traffic |
| \`capacity\`, \`capacity-rollback\` | the stable arm cannot carry a step, or everything at once |
| \`unknown-name\`, \`hook-kind\`, \`approvals-nobody\`, \`approvals-unproved\` | names that the configuration does not have; approvals that nobody can give, or anybody |

The table that follows the findings has, for each step, when it is entered at the soonest, what the stable arm answers meanwhile
(those that stay there and those that fall back to it; a rollback gives it everything at once), and how long each gate takes to pass if all
is as expected. Chance makes it sooner in half of all cases.
`;

export function planReferenceText(): string {
  const root: JsonNode = z.toJSONSchema(planSchema, { io: "input" });
  const rows = childrenOf(root).flatMap(([key, node]) => rowsOf(key, node, root.required?.includes(key) ?? false));
  const fields = ["| Field | Type | Default | Meaning |", "|---|---|---|---|", ...rows].join("\n");
  return [INTRODUCTION, `## Metrics\n\n${metricTable()}\n`, `## Fields\n\nUnknown keys are refused.\n\n${fields}\n`, LINTER].join("\n");
}

const MEANINGS: Readonly<Record<(typeof METRICS)[number], string>> = {
  errors: "share of the candidate's attempts without a good answer: none, 5xx, or a failure sign",
  availability: "share of its attempts with any answer that is no 5xx",
  p50: "true duration of its attempts, those that lost against the fallback too",
  p95: "the same",
  p99: "the same",
  fallbacks: "share of the requests assigned to it that the stable arm answered",
  quality: "mean of what its answers say of themselves",
  requests: "how many were assigned to it",
  accuracy: "matches confirmed over matches judged, by user",
  satisfaction: "mean rating, as a share of the best",
  conversion: "conversions over matches judged",
  revenue: "revenue per match",
  data_integrity: "worst share reported by the data sync",
  sync_lag: "lag reported by the data sync; `for`: in every report of that time",
  sessions_lost: "sum of what was reported lost, counted from when it was told (and no later than a day after it happened)",
  security: "incidents of P0 or P1, counted likewise",
};

function metricTable(): string {
  const rows = METRICS.map((metric) => {
    const { unit, minSample, of } = METRIC_FACTS[metric];
    const written = { share: "`1%`", ms: "`150ms`", seconds: "`1s`", count: "`0`", amount: "`2.5`" }[unit];
    const compared = of.length > 1 ? "yes" : "no";
    return `| \`${metric}\` | ${MEANINGS[metric]} | ${written} | ${compared} | ${minSample.gate} / ${minSample.trigger} | ${windowText(defaultWindow("trigger", metric, 0))} |`;
  });
  const head = [
    "| Metric | What it is | Limit | Compared | Smallest sample: gate / trigger | Window of a trigger |",
    "|---|---|---|---|---|---|",
  ];
  return [...head, ...rows].join("\n");
}

function windowText(window: Window): string {
  return window.kind === "last" ? `\`${formatDuration(window.ms)}\`` : `\`${window.kind}\``;
}

/** A field and everything below it. Steps and gates repeat the fields of a gate, so those are told once, under \`gates\`. */
function rowsOf(path: string, node: JsonNode, required: boolean): string[] {
  const meaning = (node.description ?? "").trim().replaceAll("|", "\\|");
  const own = `| \`${path}\` | ${kindOf(node)} | ${required ? "required" : shownDefault(node)} | ${meaning} |`;
  if (path === "steps[].gates") return [own];
  const [below, at] = isNode(node.items)
    ? [node.items, `${path}[]`]
    : isNode(node.additionalProperties)
      ? [node.additionalProperties, `${path}.<name>`]
      : [node, path];
  const children = childrenOf(below).filter(([key]) => path !== "triggers" || key === "for" || key === "required");
  return [own, ...children.flatMap(([key, child]) => rowsOf(`${at}.${key}`, child, below.required?.includes(key) ?? false))];
}

function kindOf(node: JsonNode): string {
  if (node.title !== undefined) return node.title;
  if (!isNode(node.items)) return "mapping";
  return node.items.title === undefined ? "list of mappings" : `list of ${node.items.title === "text" ? "texts" : `${node.items.title}s`}`;
}

function shownDefault(node: JsonNode): string {
  const { default: value } = node;
  if (value === undefined || JSON.stringify(value) === "{}") return "";
  if (value === "" || (Array.isArray(value) && value.length === 0)) return "empty";
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

function childrenOf(node: JsonNode): [string, JsonNode][] {
  return Object.entries(node.properties ?? {}).filter((entry): entry is [string, JsonNode] => isNode(entry[1]));
}

function isNode(value: unknown): value is JsonNode {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

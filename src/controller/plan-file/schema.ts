import type { z } from "zod";
import { METRICS, type Metric } from "../../analysis/check.ts";
import {
  choice,
  defaulted,
  duration,
  nameOf,
  optional,
  required,
  type Scalar,
  share,
  text,
  toggle,
  unknownWord,
  whole,
} from "../../config/scalars.ts";
import { list, mapping, named } from "../../config/shapes.ts";
import { freezeRange, hours, rate, risk, timeZone, weekday, window } from "./scalars.ts";

/** The plan file. What its values mean together is in `checks.ts`, what is made of them in `compile.ts`. */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const YEAR_MS = 366 * DAY_MS;
/** More would not fit into what a state document may reasonably hold. */
const MOST_STEPS = 100;
const MOST_CHECKS = 50;

const metricNames = choice(METRICS, "metric");
const metric: Scalar<Metric> = {
  ...metricNames,
  read(given) {
    const reading = metricNames.read(given);
    return "value" in reading ? reading : { wrong: unknownWord("metric", given, METRICS, "") };
  },
};

/** As in `admin.people` of the configuration. */
const role = text({ expected: "a role in one word, such as ops", pattern: /^[^\s,]+$/, max: 64 });
const limit = text({ kind: "limit", expected: "a limit such as 1%, 110%, 150ms or 1000", max: 40 });

/** Fields that gates and triggers share. */
const check = {
  metric: required(metric, "What is looked at; the table of metrics is below."),
  of: defaulted(
    choice(["candidate", "ratio", "difference"]),
    "candidate",
    "`candidate`: its own figure. `ratio`: its figure as a percentage of the stable arm's in the same time. `difference`: its figure less the stable arm's.",
  ),
  at_most: optional(limit, "A check has either `at_most` or `at_least`.", "All is well up to this."),
  at_least: optional(limit, "", "All is well from this on."),
  window: optional(
    window,
    "Left out: `24h` for `security` and `sessions_lost`, counted from when it was told; `step` for gates and for what people say; for other triggers the last minute, or as long as `for` if that is shorter (5m for `data_integrity`).",
    "Which time is looked at: `step` (since the step began), `start` (since the rollout began), or the last so many seconds or minutes.",
  ),
  min_sample: optional(
    whole({ min: 1, max: 1_000_000_000 }),
    "Left out: see the table of metrics.",
    "Observations of the candidate, and of the stable arm where they are compared, below which there is no verdict.",
  ),
  risk: optional(
    risk,
    "Left out: 5% for gates, 0.1% for triggers.",
    "How often a verdict may be wrong at most, on each side. Less needs more observations.",
  ),
  each: defaulted(
    choice(["all", "route", "segment"]),
    "all",
    "`route` or `segment`: judged for each by itself, and the worst counts. `all`: over all of them.",
  ),
  route: optional(nameOf("the name of a route"), "Left out: all routes.", "Only this route."),
  segment: optional(nameOf("the name of a segment, or none"), "Left out: everybody.", "Only this segment; `none`: users in no segment."),
  name: optional(
    nameOf("the name of a check"),
    "Left out: the metric, with `of`, as in `p95-ratio`.",
    "Name in reasons and logs. Each needs its own.",
  ),
};

export const gate = mapping(check, "metric: errors, at_most: 1%");

export const trigger = mapping(
  {
    ...check,
    for: defaulted(
      duration({ min: 0, max: DAY_MS }),
      "0",
      "How long it must have lasted. 0: one look is enough. Only for windows that slide.",
    ),
    required: optional(
      toggle,
      "Left out: `true`, but `false` for `security` and `sessions_lost`, where silence is the rule.",
      "Whether it holds the rollout when it cannot tell, for want of data or because the figure is too close to the limit. Doubt never rolls back. With `false` the trigger rolls back or keeps silent, and gates alone say that all is well.",
    ),
  },
  "metric: errors, at_most: 5%",
);

const gates = (description: string) =>
  list(gate, "{ metric: errors, at_most: 1% }")
    .max(MOST_CHECKS, { error: `has more than ${MOST_CHECKS} gates` })
    .prefault([])
    .meta({ description });

const step = mapping(
  {
    name: optional(
      nameOf("the name of a step"),
      "Left out: `at-` and the percentage.",
      "Name in commands and logs. Each step needs its own.",
    ),
    percentage: required(share, "Share of the users on the candidate, `rollout_percentage` of the flag, while the step lasts."),
    dwell: defaulted(duration({ min: 0, max: YEAR_MS }), "0", "Shortest stay before the next step, or before the end."),
    gates: gates("Further gates of this step alone."),
    approvals: list(required(role, "A role."), "ops, product")
      .prefault([])
      .meta({ description: "Roles of which each must approve before the step is left, by different people." }),
    webhooks: list(required(nameOf("the name of a hook"), "A hook."), "compliance")
      .prefault([])
      .meta({ description: "Hooks of the configuration (webhooks) that must answer `pass` before the step is left." }),
  },
  "percentage: 10, dwell: 1d",
);

const calendar = mapping(
  {
    days: list(required(weekday, "A day."), "mon, tue, wed, thu")
      .prefault([])
      .meta({ description: "Days on which a step may be entered. Empty: every day." }),
    hours: optional(hours, "Left out: all day.", "Hours within which a step may be entered; the end is not part of them."),
    freeze: list(required(freezeRange, "Days."), "2026-12-24..2027-01-03")
      .prefault([])
      .meta({ description: "Days on which no step is entered: one, or the first and the last." }),
  },
  "days: [mon, tue, wed, thu], hours: 09:00-17:00",
)
  .prefault({})
  .meta({ description: "When a step may be entered, by the clock on the wall in `timezone`. Rollbacks know no calendar." });

const rollback = mapping(
  {
    hooks: list(required(nameOf("the name of a hook"), "A hook."), "restore-data, notify")
      .prefault([])
      .meta({
        description: "Hooks of the configuration, run one after the other once the traffic has been moved. None can stop or delay that.",
      }),
    limit: defaulted(duration({ min: 1, max: DAY_MS }), "2m", "How long the whole rollback may take."),
    traffic_limit: defaulted(
      duration({ min: 1, max: DAY_MS }),
      "1s",
      "How long it may take from the decision until the last instance has confirmed it.",
    ),
    stable_capacity: optional(
      rate(1_000, "120/s"),
      "Left out: it takes everything.",
      "Requests that the stable arm is known to take. If it cannot take everything at once, the traffic comes back in stages.",
    ),
    shift: defaulted(duration({ min: 0, max: DAY_MS }), "30s", "Within how long the last of these stages is reached. 0: always at once."),
  },
  "hooks: [notify], limit: 2m",
)
  .prefault({})
  .meta({ description: "What happens when a trigger fires, or somebody says so." });

const experiment = mapping(
  {
    min_users: defaulted(
      whole({ min: 1, max: 1_000_000_000 }),
      10_000,
      "Users, both arms together, below which the experiment has no verdict.",
    ),
    confidence: defaulted(share, "95%", "Confidence of its intervals."),
    effect: defaulted(share, "2%", "Difference of accuracy that matters, in points."),
    phase: optional(
      duration({ min: 1, max: YEAR_MS }),
      "Left out: the experiment runs over the whole rollout.",
      "How long each step would have to be measured by itself. Read by the linter alone, which says whether that fits.",
    ),
  },
  "min_users: 10000, confidence: 95%",
)
  .prefault({})
  .meta({ description: "The comparison of the two arms over the whole rollout." });

const figure = "Share that people's feedback is expected to give.";

const expects = mapping(
  {
    requests: optional(rate(1_000, "20/s"), "", "Requests on the flag's routes."),
    feedback: optional(rate(DAY_MS, "2000/d"), "", "Events with feedback of users."),
    users: optional(whole({ min: 1, max: 1_000_000_000_000 }), "", "Different users during the whole rollout."),
    p95: optional(duration({ min: 0.1, max: MINUTE_MS }), "", "True P95 of the candidate."),
    fallbacks: optional(share, "", "Share of the candidate's requests that the stable arm answers."),
    errors: optional(share, "", "Share of the candidate's attempts without a good answer."),
    accuracy: optional(share, "", `Accuracy of the candidate. ${figure}`),
    satisfaction: optional(share, "", `Satisfaction with the candidate. ${figure}`),
    stable: mapping(
      {
        p95: optional(duration({ min: 0.1, max: MINUTE_MS }), "", "True P95 of the stable arm."),
        errors: optional(share, "", "Share of its attempts without a good answer."),
        accuracy: optional(share, "", "Its accuracy."),
        satisfaction: optional(share, "", "Satisfaction with it."),
      },
      "p95: 90ms, accuracy: 72%",
    )
      .prefault({})
      .meta({ description: "The same figures of the stable arm, for checks that compare." }),
  },
  "requests: 20/s, feedback: 2000/d",
)
  .prefault({})
  .meta({
    description:
      "What traffic and figures are expected, both arms together where nothing else is said. Only the linter reckons with them; what is left out it cannot reckon.",
  });

export const planSchema = mapping(
  {
    name: required(nameOf("the name of a plan"), "Name in logs and reports."),
    flag: required(nameOf("the name of a flag"), "The flag whose `rollout_percentage` the plan moves."),
    description: defaulted(text({ expected: "text", min: 0, max: 2_000 }), "", "For people."),
    timezone: defaulted(timeZone, "UTC", "Time zone of the calendar."),
    within: defaulted(duration({ min: 0, max: YEAR_MS }), "0", "How long the whole may take. 0: no limit."),
    steps: list(step, "{ percentage: 10, dwell: 1d }", 1)
      .max(MOST_STEPS, { error: `has more than ${MOST_STEPS} steps` })
      .meta({ description: "Shares of the users on the candidate, in order. None is skipped." }),
    segments: named(
      "a segment",
      mapping({ from: required(share, "Percentage of the whole from which on the segment takes part. Below it has 0.") }, "from: 75"),
      "enterprise: { from: 75 }",
    )
      .prefault({})
      .meta({ description: "Segments of the flag that start later. From then on they have as much as the whole." }),
    gates: gates("What must hold at the end of every step before the next, or the end, is reached: each must say `pass`."),
    triggers: list(trigger, "{ metric: errors, at_most: 5% }")
      .max(MOST_CHECKS, { error: `has more than ${MOST_CHECKS} triggers` })
      .prefault([])
      .meta({
        description:
          "What rolls back, at any time, as soon as one of them surely fails. Each is written as the limit within which all is well.",
      }),
    calendar,
    rollback,
    experiment,
    expects,
  },
  "name: move, flag: v2_migration, steps: [...]",
);

/** The file after its scalars have been read and its defaults filled in. */
export type PlanFile = z.output<typeof planSchema>;
export type CheckFile = z.output<typeof gate> & Partial<Pick<z.output<typeof trigger>, "for" | "required">>;

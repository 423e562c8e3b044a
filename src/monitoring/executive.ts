import type { Board } from "./dashboard.ts";
import { above, below, business, FLAG, graph, onlyRed, quantile, query, SPLIT, stat, TRAFFIC } from "./panels.ts";

const STATUS = ["idle", "progressing", "waiting", "held", "rolling-back", "rolled-back", "completed"];

/** One number for each status, so that it can be shown as a word. */
const status = STATUS.map((word, at) => `${at} * max(crossfade_rollout_status{${FLAG},status="${word}"})`).join(" + ");

export const EXECUTIVE: Board = {
  uid: "crossfade-executive",
  title: "Migration: executive",
  about: "How far the migration is, whether users are better off, and whether the promises are kept.",
  from: "now-7d",
  refresh: "1m",
  sections: [
    {
      title: "Where we are",
      panels: [
        stat(
          "Share of the new service",
          "Requests that the split gave to the candidate in the last minute.",
          "percentunit",
          query("migration:traffic_split_v2"),
          { max: 1 },
        ),
        stat("Share in force", "Of the users, by the settings.", "percent", query(`max(crossfade_flag_percentage{${FLAG},segment=""})`), {
          max: 100,
        }),
        stat("Rollout", "What the plan is at.", "none", query(status), { words: Object.fromEntries(STATUS.map((word, at) => [at, word])) }),
        stat("Step", "Of the plan, from 1; 0 while there is none.", "none", query(`max(crossfade_rollout_step{${FLAG}})`)),
        stat(
          "Answered without an error",
          "Requests on split routes without a 5xx, over the time shown.",
          "percentunit",
          query(
            `1 - (sum(increase(crossfade_requests_total{${SPLIT},code=~"5.."}[$__range])) or vector(0)) / sum(increase(crossfade_requests_total{${SPLIT}}[$__range]))`,
          ),
          { limits: below(0.99, 0.999) },
        ),
        stat(
          "Within 100 ms",
          "Requests on split routes answered within 100 ms, over the time shown.",
          "percentunit",
          query(
            `sum(increase(crossfade_request_duration_seconds_bucket{${SPLIT},le="0.1"}[$__range])) / sum(increase(crossfade_request_duration_seconds_count{${SPLIT}}[$__range]))`,
          ),
          { limits: below(0.9, 0.95) },
        ),
        graph(
          "Share over time",
          "Requests by the arm that the split assigned.",
          "reqps",
          [query(`sum by (assigned) (rate(crossfade_requests_total{${SPLIT}}[$__rate_interval]))`, "{{assigned}}")],
          { stacked: true },
        ),
        graph(
          "P95 that customers see",
          "By the upstream that answered; the line is the target.",
          "s",
          [query(quantile(0.95, "supersmartmatch_response_time_seconds", 'endpoint=~"$route"', "version"), "{{version}}")],
          { limits: above(0.1, 0.15) },
        ),
      ],
    },
    {
      title: "What users say",
      panels: [
        stat(
          "Accuracy against V1",
          "Relative, over an hour; +10 % is wanted.",
          "percentunit",
          query("supersmartmatch:accuracy_improvement"),
          { limits: below(0, 0.1) },
        ),
        stat("Speed against V1", "How many times longer V1 takes (P95).", "short", query("supersmartmatch:performance_ratio"), {
          limits: below(0.9, 1),
        }),
        graph(
          "Accuracy",
          "Matches confirmed over matches judged, in the hour before, by assignment.",
          "percentunit",
          [query(business("accuracy"), "{{arm}}")],
          { max: 1, width: 8 },
        ),
        graph(
          "Satisfaction",
          "Mean rating, 0 to 1, in the hour before; below 90 % is a reason to roll back.",
          "percentunit",
          [query(business("satisfaction"), "{{arm}}")],
          { max: 1, width: 8, limits: below(0.9, 0.95) },
        ),
        graph(
          "Conversion",
          "Conversions over matches judged, in the hour before.",
          "percentunit",
          [query(business("conversion"), "{{arm}}")],
          { width: 12 },
        ),
        graph(
          "Revenue per match",
          "In the hour before, in the unit in which it is reported.",
          "short",
          [query(business("revenue"), "{{arm}}")],
          { width: 12 },
        ),
      ],
    },
    {
      title: "Promises",
      panels: [
        graph(
          "Error budget left",
          "1 is all of it, 0 none; below 0 the promise is broken.",
          "percentunit",
          [query(`min by (promise, version) (crossfade_sla_budget_left_ratio{${FLAG},segment="all"})`, "{{promise}} {{version}}")],
          { limits: below(0, 0.1), min: -1, max: 1 },
        ),
        graph(
          "Customers with an error",
          "Requests on any route with a 5xx; the lines are 0.5 % and 1 %.",
          "percentunit",
          [
            query(
              `(sum(rate(crossfade_requests_total{${TRAFFIC},code=~"5.."}[$__rate_interval])) or vector(0)) / sum(rate(crossfade_requests_total{${TRAFFIC}}[$__rate_interval]))`,
              "errors",
            ),
          ],
          { limits: above(0.005, 0.01) },
        ),
        stat(
          "Rolled back",
          "1 while everybody is back on the stable arm after a rollback.",
          "none",
          query(`max(crossfade_rollout_status{${FLAG},status=~"rolling-back|rolled-back"})`),
          { limits: onlyRed(1), words: { 0: "no", 1: "yes" } },
        ),
        stat("Kill switch", "Set on at least one instance.", "none", query(`max(crossfade_kill_switch{${FLAG}})`), {
          limits: onlyRed(1),
          words: { 0: "off", 1: "SET" },
        }),
      ],
    },
  ],
};

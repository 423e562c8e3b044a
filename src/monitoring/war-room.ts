import type { Board } from "./dashboard.ts";
import {
  above,
  ANSWERED,
  ATTEMPTS,
  below,
  FAILED,
  FLAG,
  graph,
  heatmap,
  onlyRed,
  quantile,
  query,
  SPLIT,
  stat,
  table,
  TRAFFIC,
} from "./panels.ts";

const attempts = (part: number) => quantile(part, "crossfade_attempt_duration_seconds", `${ATTEMPTS},${ANSWERED}`, "upstream");
const buckets = (side: "stable" | "candidate") =>
  `sum by (le) (increase(crossfade_attempt_duration_seconds_bucket{${ATTEMPTS},${ANSWERED}}[$__rate_interval])
   * on (route, upstream) group_left () max by (route, upstream) (label_replace(crossfade_split_info{${FLAG}}, "upstream", "$1", "${side}", "(.*)")))`;

export const WAR_ROOM: Board = {
  uid: "crossfade-war-room",
  title: "Migration: war room",
  about: "Everything that can be in the way while users are moved.",
  from: "now-30m",
  refresh: "5s",
  sections: [
    {
      title: "Now",
      panels: [
        table(
          "Alerts that fire",
          "By Prometheus's own rules; each has a runbook.",
          query('max by (alertname, severity, flag, upstream, route) (ALERTS{alertstate="firing"})'),
          { width: 8 },
        ),
        stat("Share", "Requests given to the candidate.", "percentunit", query("migration:traffic_split_v2"), { max: 1 }),
        stat("Breaker", "The candidate's, the worst of all instances.", "none", query(`max(crossfade_breaker_state{${ATTEMPTS}})`), {
          words: { 0: "closed", 1: "returning", 2: "half-open", 3: "open" },
          limits: above(1, 2),
        }),
        stat(
          "Budget used",
          "Of the extra requests that the stable arm may be sent.",
          "percentunit",
          query(`max(crossfade_fallback_budget_ratio{${ATTEMPTS}})`),
          { limits: above(0.7, 1) },
        ),
        stat("Store", "On the instance that fares worst.", "none", query("min(crossfade_store_up)"), {
          words: { 0: "AWAY", 1: "reached" },
          limits: below(0.5, 1),
        }),
        graph(
          "Share in force",
          "Of the users, by segment; the empty one is the global figure.",
          "percent",
          [query(`max by (flag, segment) (crossfade_flag_percentage{${FLAG}})`, "{{flag}} {{segment}}")],
          { max: 100 },
        ),
        graph(
          "Requests by arm and segment",
          "As the split assigned them.",
          "reqps",
          [query(`sum by (assigned, segment) (rate(crossfade_requests_total{${SPLIT}}[$__rate_interval]))`, "{{assigned}} {{segment}}")],
          { stacked: true },
        ),
      ],
    },
    {
      title: "How long it truly takes",
      panels: [
        graph(
          "P50",
          "Of what was sent to each upstream, whether or not its answer was used.",
          "s",
          [query(attempts(0.5), "{{upstream}}")],
          { width: 8, limits: above(0.05, 0.1) },
        ),
        graph("P95", "The lines are the gate (100 ms) and the trigger (150 ms).", "s", [query(attempts(0.95), "{{upstream}}")], {
          width: 8,
          limits: above(0.1, 0.15),
        }),
        graph("P99", "Of what was sent to each upstream.", "s", [query(attempts(0.99), "{{upstream}}")], {
          width: 8,
          limits: above(0.15, 0.3),
        }),
        heatmap("Stable arm", "Distribution of its durations.", query(buckets("stable"), "{{le}}")),
        heatmap("Candidate", "Distribution of its durations.", query(buckets("candidate"), "{{le}}")),
        graph(
          "P95 that customers see, by segment",
          "After fallbacks.",
          "s",
          [query(quantile(0.95, "crossfade_request_duration_seconds", SPLIT, "assigned, segment"), "{{assigned}} {{segment}}")],
          { limits: above(0.1, 0.15) },
        ),
        graph(
          "P95 that customers see, by route",
          "After fallbacks.",
          "s",
          [query(quantile(0.95, "crossfade_request_duration_seconds", SPLIT, "route, served"), "{{route}} {{served}}")],
          { limits: above(0.1, 0.15) },
        ),
      ],
    },
    {
      title: "What goes wrong",
      panels: [
        graph(
          "Failed sends",
          "Of what was sent to each upstream; the lines are the gate (1 %) and the trigger (5 %).",
          "percentunit",
          [
            query(
              `(sum by (upstream) (rate(crossfade_attempt_duration_seconds_count{${ATTEMPTS},${FAILED}}[$__rate_interval]))
            or 0 * sum by (upstream) (rate(crossfade_attempt_duration_seconds_count{${ATTEMPTS}}[$__rate_interval])))
            / sum by (upstream) (rate(crossfade_attempt_duration_seconds_count{${ATTEMPTS},outcome!~"cancelled|refused"}[$__rate_interval]))`,
              "{{upstream}}",
            ),
          ],
          { limits: above(0.01, 0.05) },
        ),
        graph("Sends by outcome", "How each send ended.", "reqps", [
          query(
            `sum by (upstream, outcome) (rate(crossfade_attempt_duration_seconds_count{${ATTEMPTS}}[$__rate_interval]))`,
            "{{upstream}} {{outcome}}",
          ),
        ]),
        graph(
          "Errors that customers see",
          "Share of 5xx by route and segment.",
          "percentunit",
          [
            query(
              `(sum by (route, segment) (rate(crossfade_requests_total{${TRAFFIC},code=~"5.."}[$__rate_interval]))
            or 0 * sum by (route, segment) (rate(crossfade_requests_total{${TRAFFIC}}[$__rate_interval])))
            / sum by (route, segment) (rate(crossfade_requests_total{${TRAFFIC}}[$__rate_interval]))`,
              "{{route}} {{segment}}",
            ),
          ],
          { limits: above(0.01, 0.05) },
        ),
        graph(
          "Fallbacks by reason",
          "Requests of the candidate that the stable arm had to answer.",
          "reqps",
          [query(`sum by (reason) (rate(crossfade_fallbacks_total{${ATTEMPTS}}[$__rate_interval]))`, "{{reason}}")],
          { stacked: true },
        ),
        graph(
          "Quality",
          "Mean of what answers say of themselves; the line is the floor.",
          "percentunit",
          [
            query(
              `sum by (upstream) (rate(crossfade_quality_ratio_sum{${TRAFFIC}}[$__rate_interval])) / sum by (upstream) (rate(crossfade_quality_ratio_count{${TRAFFIC}}[$__rate_interval]))`,
              "{{upstream}}",
            ),
          ],
          { max: 1, limits: below(0.8, 0.85) },
        ),
        graph(
          "Breaker and budget",
          "Breaker: 0 closed, 1 returning, 2 half-open, 3 open. Budget: 1 is all of it.",
          "none",
          [
            query(`max by (route, upstream) (crossfade_breaker_state{${ATTEMPTS}})`, "breaker {{route}} {{upstream}}"),
            query(`max by (route) (crossfade_fallback_budget_ratio{${ATTEMPTS}})`, "budget {{route}}"),
          ],
          { max: 3 },
        ),
      ],
    },
    {
      title: "Who serves",
      panels: [
        graph(
          "Endpoints",
          "1 while the health check succeeds.",
          "none",
          [query("min by (upstream, endpoint) (crossfade_upstream_up)", "{{upstream}} {{endpoint}}")],
          { width: 8, max: 1 },
        ),
        graph(
          "Revision in force",
          "By instance: they should be one line.",
          "none",
          [query(`max by (flag, instance) (crossfade_config_revision{${FLAG}})`, "{{flag}} {{instance}}")],
          { width: 8 },
        ),
        graph(
          "Who leads the rollout",
          "The sum is 1, or for a moment 0.",
          "none",
          [query(`sum by (flag, instance) (crossfade_rollout_leader{${FLAG}})`, "{{flag}} {{instance}}")],
          { width: 8, max: 1 },
        ),
        graph(
          "Hold-ups",
          "The latest that a worker's timer ran, in the last minute.",
          "s",
          [query("max by (instance, worker) (crossfade_event_loop_lag_peak_seconds)", "{{instance}} {{worker}}")],
          { width: 8, limits: above(0.05, 0.2) },
        ),
        graph(
          "Open",
          "Client connections and requests under way.",
          "short",
          [
            query("sum by (instance) (crossfade_open_connections)", "connections {{instance}}"),
            query("sum by (instance) (crossfade_open_exchanges)", "requests {{instance}}"),
          ],
          { width: 8 },
        ),
        graph(
          "CPU",
          "Of the whole process; 1 is one core.",
          "short",
          [query('rate(process_cpu_seconds_total{job="crossfade"}[$__rate_interval])', "{{instance}}")],
          { width: 8 },
        ),
        graph(
          "Memory",
          "Resident, of the whole process.",
          "bytes",
          [query('process_resident_memory_bytes{job="crossfade"}', "{{instance}}")],
          { width: 8 },
        ),
        graph(
          "Workers replaced",
          "In the last ten minutes.",
          "short",
          [query("sum by (instance) (increase(crossfade_worker_restarts_total[10m]))", "{{instance}}")],
          { width: 8, limits: onlyRed(1) },
        ),
        graph("Instances that answer", "Prometheus's own word.", "none", [query('up{job="crossfade"}', "{{instance}}")], {
          width: 8,
          max: 1,
        }),
      ],
    },
  ],
};

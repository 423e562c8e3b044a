import type { Board } from "./dashboard.ts";
import { ATTEMPTS, below, FLAG, graph, onlyRed, query, SPLIT, stat, USERS } from "./panels.ts";

export const DATA: Board = {
  uid: "crossfade-data",
  title: "Migration: data",
  about:
    "Whether the data of both services agree, and what is known of the users. Lag, integrity and lost sessions are what other systems report.",
  from: "now-6h",
  refresh: "10s",
  sections: [
    {
      title: "Data of both services",
      panels: [
        graph(
          "Lag of the synchronisation",
          "Last report. The lines: wanted (100 ms), alert (500 ms), rollback (1 s).",
          "s",
          [query(`max by (flag) (crossfade_sync_lag_seconds{${FLAG}})`, "{{flag}}")],
          {
            limits: [
              { at: 0.1, colour: "orange" },
              { at: 0.5, colour: "red" },
              { at: 1, colour: "red" },
            ],
          },
        ),
        graph(
          "Data found intact",
          "Last report; below 95 % is a reason to roll back.",
          "percentunit",
          [query(`min by (flag) (crossfade_data_integrity_ratio{${FLAG}})`, "{{flag}}")],
          { max: 1, limits: below(0.95, 0.999) },
        ),
        stat(
          "Sessions lost",
          "Over the time shown; one is too many.",
          "short",
          query(`max(increase(crossfade_sessions_lost_total{${FLAG}}[$__range]))`),
          { limits: onlyRed(1) },
        ),
        stat("Store", "Of the live settings, on the instance that fares worst.", "none", query("min(crossfade_store_up)"), {
          words: { 0: "AWAY", 1: "reached" },
          limits: below(0.5, 1),
        }),
        stat(
          "Figures lost",
          "Records that were not counted since the start; anything but 0 means that figures are too low.",
          "short",
          query("sum(crossfade_records_lost_total)"),
          { limits: onlyRed(1) },
        ),
        graph("What dialects drop", "Kinds of fields without a counterpart, and requests that could not be said at all.", "reqps", [
          query(`sum by (upstream) (rate(crossfade_dialect_dropped_total{${ATTEMPTS}}[$__rate_interval]))`, "dropped {{upstream}}"),
          query(
            `sum by (reason) (rate(crossfade_fallbacks_total{${ATTEMPTS},reason="dialect"}[$__rate_interval]))`,
            "fallbacks: {{reason}}",
          ),
        ]),
      ],
    },
    {
      title: "What is known of users",
      panels: [
        graph("Events taken in", "By what became of them.", "reqps", [
          query(`sum by (result) (rate(crossfade_events_total{${FLAG}}[$__rate_interval]))`, "{{result}}"),
        ]),
        graph("Matches judged", "In the hour before, by arm: what accuracy, conversion and revenue rest on.", "short", [
          query(`sum by (arm) (max by (flag, arm, segment) (crossfade_business_denominator{${USERS},metric="accuracy"}))`, "{{arm}}"),
        ]),
        graph("Ratings", "In the hour before, by arm.", "short", [
          query(`sum by (arm) (max by (flag, arm, segment) (crossfade_business_denominator{${USERS},metric="satisfaction"}))`, "{{arm}}"),
        ]),
        graph(
          "Adoption",
          "Share of each segment's requests that the split gave to the candidate.",
          "percentunit",
          [
            query(
              `(sum by (segment) (rate(crossfade_requests_total{${SPLIT},assigned="candidate"}[$__rate_interval])) or 0 * sum by (segment) (rate(crossfade_requests_total{${SPLIT}}[$__rate_interval])))
            / sum by (segment) (rate(crossfade_requests_total{${SPLIT}}[$__rate_interval]))`,
              "{{segment}}",
            ),
          ],
          { max: 1 },
        ),
        graph(
          "Answers that were none",
          "With a status of success, by what was wrong with them.",
          "reqps",
          [
            query(
              `sum by (upstream, defect) (rate(crossfade_answer_defects_total{${ATTEMPTS}}[$__rate_interval]))`,
              "{{upstream}} {{defect}}",
            ),
          ],
          { width: 24 },
        ),
      ],
    },
  ],
};

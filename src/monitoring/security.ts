import type { Board } from "./dashboard.ts";
import { above, FLAG, graph, onlyRed, query, stat } from "./panels.ts";

export const SECURITY: Board = {
  uid: "crossfade-security",
  title: "Migration: security",
  about: "Who was refused, what was malformed, what was reported, and who changed what.",
  from: "now-6h",
  refresh: "10s",
  sections: [
    {
      title: "Refused",
      panels: [
        stat("Failed authentications", "A second, over the last minute.", "reqps", query("sum(rate(auth_failures_total[1m]))"), {
          limits: above(1, 10),
        }),
        stat(
          "Beyond their rights",
          "Over the time shown; one is too many.",
          "short",
          query("sum(increase(unauthorized_access_attempts_total[$__range]))"),
          { limits: onlyRed(1) },
        ),
        stat("Malformed", "Requests a second, over the last minute.", "reqps", query("sum(rate(malformed_requests_total[1m]))"), {
          limits: above(1, 5),
        }),
        stat(
          "Incidents P0, P1",
          "Reported over the time shown.",
          "short",
          query(`sum(max by (flag, priority) (increase(crossfade_security_incidents_total{${FLAG},priority=~"P0|P1"}[$__range])))`),
          { limits: onlyRed(1) },
        ),
        stat("Kill switch", "Set on at least one instance.", "none", query(`max(crossfade_kill_switch{${FLAG}})`), {
          words: { 0: "off", 1: "SET" },
          limits: onlyRed(1),
        }),
        graph(
          "Admin API, refused",
          "By the reason.",
          "reqps",
          [query("sum by (code) (rate(crossfade_admin_refused_total[$__rate_interval]))", "{{code}}")],
          { limits: onlyRed(10) },
        ),
        graph(
          "Refused before any route",
          "By the status of the answer.",
          "reqps",
          [query("sum by (code) (rate(crossfade_malformed_requests_total[$__rate_interval]))", "{{code}}")],
          { limits: onlyRed(5) },
        ),
        graph(
          "Answers 4xx",
          "By route and status: 401 and 403 are those whom a service refused, 404 those who look for something.",
          "reqps",
          [
            query(
              'sum by (route, code) (rate(crossfade_requests_total{route=~"$route",segment=~"$segment",code=~"4.."}[$__rate_interval]))',
              "{{route}} {{code}}",
            ),
          ],
        ),
        graph("Incidents", "Reported by other systems, by priority.", "short", [
          query(
            `max by (flag, priority) (increase(crossfade_security_incidents_total{${FLAG}}[$__rate_interval]))`,
            "{{flag}} {{priority}}",
          ),
        ]),
      ],
    },
    {
      title: "Changes",
      panels: [
        graph("Revisions", "Each step is a change of settings; who made it is in the audit.", "none", [
          query(`max by (flag) (crossfade_config_revision{${FLAG}})`, "{{flag}}"),
        ]),
        graph("Settings refused", "By kind.", "short", [
          query("max by (reason) (increase(crossfade_config_rejected_total[$__rate_interval]))", "{{reason}}"),
        ]),
      ],
    },
  ],
};

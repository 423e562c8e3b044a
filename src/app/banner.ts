import { urlOf } from "./binding.ts";
import type { RunningServer } from "./server.ts";

/** What somebody at a terminal wants to know when the program has started. */
export function bannerOf({ control, listeners, admin, statusPage }: RunningServer): string {
  const { version, workers, store, flags, upstreams } = control.status();
  const { ready, reasons, degraded } = control.readiness();
  const lines = [
    `crossfade ${version}, ${workers.length} ${workers.length === 1 ? "worker" : "workers"}`,
    ...listeners.map((listener) => row(listener.name, urlOf(listener))),
    row("dashboard", `${admin.url}/  (also /readyz, /metrics, /api)`),
    row("status page", statusPage?.url ?? `${admin.url}/status`),
    row("store", store.up ? store.kind : `${store.kind}, not reached: settings from ${store.origin}`),
    ...upstreams.map(({ name, endpoint, healthy, detail }) => row(name, `${endpoint}  ${healthy === true ? "up" : "DOWN"}: ${detail}`)),
    ...flags.map(({ flag, enabled, killed, percentage, segments }) => {
      const state = killed ? "killed" : enabled ? `${percentage} % on the candidate` : "disabled";
      const own = segments.map((segment) => `${segment.name} ${segment.override ? "" : "at most "}${segment.percentage} %`);
      return row(`flag ${flag}`, [state, ...own].join(", "));
    }),
    ...reasons.map((reason) => row("not ready", reason)),
    ...degraded.map((remark) => row("note", remark)),
    ready ? "Serving. Ctrl-C drains and ends." : "Serving what can be served. Ctrl-C drains and ends.",
  ];
  return `\n${lines.join("\n")}\n\n`;
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(20)} ${text}`;
}

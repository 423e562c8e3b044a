import type { Command } from "commander";
import type { BreakerStatus, FlagStatus, Status } from "../admin/operations.ts";
import type { RouteTraffic } from "../telemetry/reading.ts";
import { parseStatus } from "./answers.ts";
import { type ClientOptions, addClientOptions, chooseTarget } from "./client-options.ts";
import { ask } from "./client.ts";
import { bad, bold, good, percent, print, span, table } from "./output.ts";

export function addStatus(program: Command): void {
  const command = program
    .command("status")
    .description("show listeners, workers, upstreams, store, flags and traffic of a running instance");
  addClientOptions(command).addHelpText("after", "\nExamples:\n  crossfade status\n  crossfade status --json --admin http://10.0.0.7:9090");
  command.action(async (options: ClientOptions) => {
    const answer = await ask(await chooseTarget(options), "/api/status");
    if (options.json) print(answer.text);
    else print(...describeStatus(parseStatus(answer.value)));
  });
}

function describeStatus(status: Status): string[] {
  const { store, workers, upstreams, flags, breakers, traffic, rejections } = status;
  const running = workers.filter(({ state }) => state === "running").length;
  const lag = Math.max(0, ...workers.map(({ eventLoopLagMs }) => eventLoopLagMs));
  return [
    bold(`crossfade ${status.version} on ${status.instance}, up ${span(status.uptimeSeconds)}${status.draining ? ", draining" : ""}`),
    `  listening  ${status.listeners.map(({ name, address }) => `${name} ${address}`).join(", ") || "nowhere"}`,
    `  workers    ${running} of ${workers.length} running, event loop lag ${milliseconds(lag)}`,
    ...workers
      .filter(({ lastFailure }) => lastFailure)
      .map((w) => `             worker ${w.index} restarted ${times(w.restarts)}: ${w.lastFailure}`),
    `  store      ${store.kind}, ${store.up ? good("up") : bad("down")}; settings from ${ORIGINS[store.origin]}${store.message && `. ${store.message}`}`,
    ...section("Upstreams", describeUpstreams(upstreams)),
    ...section("Flags", flags.length === 0 ? [] : describeFlags(flags)),
    ...section("Breakers", breakers.length === 0 ? [] : describeBreakers(breakers)),
    ...traffic.filter(({ requests }) => requests > 0).flatMap(describeTraffic),
    ...describeQuiet(traffic.filter(({ requests }) => requests === 0)),
    ...section(
      "Refused settings",
      rejections.map(({ flag, message }) => bad(`  ${flag}: ${message}`)),
    ),
  ];
}

const ORIGINS: Readonly<Record<Status["store"]["origin"], string>> = {
  store: "the store",
  disk: "the last good copy on disk",
  file: "the configuration file",
};

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", bold(title), ...lines];
}

function describeUpstreams(upstreams: Status["upstreams"]): string[] {
  if (upstreams.length === 0) return [];
  const rows = upstreams.map(({ name, endpoint, healthy, detail }) => [name, endpoint, health(healthy), detail]);
  return table([["NAME", "ENDPOINT", "HEALTH", "DETAIL"], ...rows]);
}

function health(healthy: boolean | undefined): string {
  return healthy === undefined ? "unknown" : healthy ? "healthy" : "unhealthy";
}

function describeFlags(flags: readonly FlagStatus[]): string[] {
  const rows = flags.map((flag) => {
    const state = flag.killed ? "killed" : flag.enabled ? "enabled" : "disabled";
    const segments = flag.segments.map((s) => `${s.name} ${s.override ? "" : "at most "}${percent(s.percentage)} (${s.members} users)`);
    return [flag.flag, String(flag.revision), state, percent(flag.percentage), segments.join(", ")];
  });
  return table([["FLAG", "REVISION", "STATE", "PERCENTAGE", "SEGMENTS"], ...rows]);
}

const REASONS: Readonly<Record<NonNullable<BreakerStatus["why"]>, string>> = {
  budget: "the budget of extra requests was spent",
  errors: "too many errors",
  accuracy: "too many answers below the quality floor",
  connect: "the candidate could not be reached",
  hand: "set by hand",
};

function describeBreakers(breakers: readonly BreakerStatus[]): string[] {
  const rows = breakers.map(({ route, upstream, mode, state, why, window }) => [
    route,
    upstream,
    mode === "off" ? "off" : state === "closed" ? good(state) : bad(state),
    mode,
    `${window.extra} of ${window.requests} in 10 s, ${percent(Math.round(window.budgetUsed * 100))} of the budget`,
    why === undefined ? "" : REASONS[why],
  ]);
  return table([["ROUTE", "CANDIDATE", "STATE", "SET TO", "EXTRA REQUESTS", "WHY"], ...rows]);
}

function describeTraffic(route: RouteTraffic): string[] {
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count.toLocaleString("en")}`)
      .join(", ") || "none";
  const attempts = route.attempts.filter(({ count }) => count > 0);
  const rows = attempts.map((a) => [
    a.upstream,
    a.count.toLocaleString("en"),
    milliseconds(a.p50),
    milliseconds(a.p95),
    milliseconds(a.p99),
  ]);
  return [
    "",
    bold(`Route ${route.route}: ${route.requests.toLocaleString("en")} requests`),
    `  assigned   ${counts(route.byAssigned)}`,
    `  served     ${counts(route.byServed)}`,
    `  outcome    ${counts(route.byOutcome)}`,
    `  fallbacks  ${counts(route.fallbacks)}`,
    ...(rows.length === 0 ? [] : table([["UPSTREAM", "ATTEMPTS", "P50", "P95", "P99"], ...rows])),
  ];
}

function describeQuiet(routes: readonly RouteTraffic[]): string[] {
  return routes.length === 0 ? [] : ["", `No requests yet: ${routes.map(({ route }) => route).join(", ")}`];
}

function milliseconds(ms: number): string {
  return Number.isFinite(ms) ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : "-";
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

import t from "tap";
import { readdirSync, readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parse } from "yaml";
import { ask, until } from "./support/backend.ts";
import { seen, startMonitored } from "./support/monitored.ts";
import { WITHOUT_PROMETHEUS } from "./support/prometheus.ts";

// A real Prometheus watches for half a minute and more.
t.setTimeout(300_000);

const ROOT = join(import.meta.dirname, "..");
const FOLDER = join(ROOT, "config/grafana/dashboards");

interface Board {
  readonly uid: string;
  readonly title: string;
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: { readonly query: string } }[] };
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly description?: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly datasource?: { readonly uid: string };
    readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
    readonly fieldConfig?: { readonly defaults: { readonly thresholds: { readonly steps: readonly { readonly value: number | null }[] } } };
  }[];
}

const boards = readdirSync(FOLDER).map((name) => JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as Board); // made by src/monitoring

t.test("the dashboards are those that the sources make", async () => {
  execFileSync(process.execPath, [join(ROOT, "src/monitoring/generate.ts"), "--check"]);
});

t.test("executives, war room, data and security each have a board", async (t) => {
  t.same(boards.map(({ uid }) => uid).toSorted(), ["crossfade-data", "crossfade-executive", "crossfade-security", "crossfade-war-room"]);
});

t.test("panels have ids of their own, lie beside each other and ask the provisioned source", async (t) => {
  const { datasources } = parse(readFileSync(join(ROOT, "config/grafana/provisioning/datasources/prometheus.yml"), "utf8"));
  for (const { title, panels, templating } of boards) {
    t.same(
      templating.list.map(({ name }) => name),
      ["flag", "route", "segment"],
      title,
    );
    t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, `${title}: ids`);
    const taken = new Set<string>();
    for (const { title: panel, type, gridPos, description, targets = [], datasource, fieldConfig } of panels) {
      const { x, y, w, h } = gridPos;
      t.ok(x >= 0 && w > 0 && x + w <= 24, `${title}: ${panel} lies within the grid`);
      for (let column = x; column < x + w; column++) {
        for (let row = y; row < y + h; row++) {
          if (taken.has(`${column}:${row}`)) t.fail(`${title}: ${panel} covers another one at ${column}:${row}`);
          taken.add(`${column}:${row}`);
        }
      }
      if (type === "row") continue;
      t.ok((description ?? "").length > 5, `${title}: ${panel} says what it means`);
      t.ok(targets.length > 0, `${title}: ${panel} asks something`);
      t.same(
        new Set([datasource, ...targets.map((target) => target.datasource)].map((source) => source?.uid)),
        new Set([datasources[0].uid]),
      );
      const steps = (fieldConfig?.defaults.thresholds.steps ?? []).map(({ value }) => value ?? -Infinity);
      t.same(
        steps,
        steps.toSorted((a, b) => a - b),
        `${title}: ${panel}: limits rise`,
      );
    }
  }
});

/** What Grafana puts in for the variables: all of them. */
function filled(expr: string): string {
  return expr
    .replaceAll(/\$(?:flag|route|segment)\b/g, ".*")
    .replaceAll("$__rate_interval", "20s")
    .replaceAll("$__range", "5m");
}

t.test("every expression is answered by a Prometheus that has watched the real proxy", { skip: WITHOUT_PROMETHEUS }, async (t) => {
  const { prometheus, admin, port, v2 } = await startMonitored(t, { hasten: 10 });
  // A little of everything that can happen.
  const users = Array.from({ length: 400 }, (_, at) => `user-${at}`);
  const events = [
    ...users.flatMap((user, at) => [
      { type: "match", user, confirmed: at % 4 > 0, id: `m${at}` },
      { type: "rating", user, rating: 5, of: 5, id: `r${at}` },
      { type: "conversion", user, id: `c${at}` },
      { type: "revenue", user, amount: 10, id: `v${at}` },
    ]),
    { type: "sync_lag", seconds: 0.05, id: "lag" },
    { type: "data_integrity", ratio: 1, id: "whole" },
  ];
  for (let at = 0; at < events.length; at += 500) {
    const sent = await admin("/api/events?flag=v2_migration", { events: events.slice(at, at + 500) });
    t.match(JSON.parse(sent.body), { refused: [] });
  }
  await ask(port, { path: "/api/auth/nothing" });
  await malformed(port);
  await seen(prometheus, "supersmartmatch:performance_ratio > 0");
  v2.set({ fault: "low-quality" });
  await seen(prometheus, "sum(rate(crossfade_answer_defects_total[20s])) > 0");
  v2.set({ fault: "none" });
  await seen(prometheus, 'count(crossfade_business_denominator{metric="accuracy"}) > 1');
  await admin("/api/flags/v2_migration/kill", { killed: true, reason: "trial" });
  await admin("/api/flags/v2_migration/kill", { killed: false, reason: "trial" });
  await seen(prometheus, "changes(crossfade_config_revision[1m]) > 0");
  await admin("/api/flags/v2_migration/kill", { killed: true, reason: "trial" });
  await seen(prometheus, 'ALERTS{alertname="KillSwitchSet"}');

  // What is told of the last seconds only is seen in the first round, what takes time in a later one.
  const empty = new Map(boards.flatMap(expressionsOf));
  const all = async (): Promise<boolean> => {
    for (const [place, expr] of empty) {
      const figures = await prometheus.query(filled(expr));
      if (figures.some(({ value: [, figure] }) => figure !== "NaN")) empty.delete(place);
    }
    return empty.size === 0;
  };
  await until("every panel shows something", async () => (await all()) || delay(500, false), 60_000).catch(() => {});
  t.same([...empty], []);
});

function expressionsOf({ title, panels, annotations, templating }: Board): (readonly [string, string])[] {
  return [
    ...annotations.list.map(({ expr }, at) => [`${title}: annotation ${at}`, expr] as const),
    ...templating.list.map(({ name, query }) => [`${title}: $${name}`, /label_values\((.*), \w+\)/.exec(query.query)?.[1] ?? ""] as const),
    ...panels.flatMap(({ id, title: panel, targets = [] }) =>
      targets.map(({ expr }, at) => [`${title}: ${panel} (${id}.${at})`, expr] as const),
    ),
  ];
}

/** Sends what is no request, and waits for the refusal. */
async function malformed(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
  await once(socket, "data");
  socket.destroy();
}

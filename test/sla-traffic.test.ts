import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t, { type Test } from "tap";
import { run } from "../src/cli/program.ts";
import type { SlaReport, SlaRow, SlaView } from "../src/sla/sla.ts";
import { type App, configOf, configText, startApp, temporaryDirectory } from "./support/app.ts";
import { ask, startBackend, until } from "./support/backend.ts";
import { redisFor } from "./support/events.ts";
import { Load } from "./support/load.ts";

t.setTimeout(300_000);

const SLA = "sla: { recovered_after: 1s, errors: { target: 25, window: 1h }, availability: { target: 90 }, accuracy: { enabled: false } }";
/** A machine with too much to do takes so long for what takes two seconds otherwise. */
const PATIENCE_MS = 60_000;

async function get(app: App, path: string): Promise<string> {
  const { status, body } = await ask(app.admin.port, { path });
  if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
  return body;
}

async function errorsOf(app: App, version = "old"): Promise<SlaRow | undefined> {
  // Not asked for all the time: that would be most of what a slow machine does.
  await delay(100);
  const { rows }: SlaView = JSON.parse(await get(app, "/api/sla?flag=move"));
  return rows.find((row) => row.promise === "errors" && row.version === version && row.segment === "all");
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
}

/** The command line of a user, in this process. */
async function crossfade(scope: Test, words: readonly string[]): Promise<Ran> {
  const [out, err] = [scope.capture(process.stdout, "write", () => true), scope.capture(process.stderr, "write", () => true)];
  try {
    const code = await run(words);
    return { code, stdout: out.args().flat().join("") };
  } finally {
    out.restore();
    err.restore();
  }
}

t.test("a promise is broken by real failures and recovers by real answers, on every instance, and is reported", async (t) => {
  const redis = await redisFor(t);
  let broken = false;
  const old = await startBackend(
    t,
    "old",
    (_, res) => void res.writeHead(broken ? 500 : 200, { "content-type": "application/json" }).end("{}"),
  );
  const config = configOf(configText({ stable: old.origin, candidate: old.origin, store: redis.url, workers: 1, more: SLA }));
  const one = await startApp(t, config, { instance: "one" });
  const other = await startApp(t, config, { instance: "other" });
  const loads = [one, other].map(({ port }) => new Load(port, { connections: 4, perSecond: 60 }).start());
  t.teardown(() => Promise.all(loads.map((load) => load.stop())));

  await until("it is kept", async () => (await errorsOf(one))?.state === "met", PATIENCE_MS);
  broken = true;
  await until("it is broken", async () => (await errorsOf(one))?.state === "breached", PATIENCE_MS);
  await until("the other one sees it as well", async () => (await errorsOf(other))?.state === "breached", PATIENCE_MS);
  broken = false;
  // Answers enough to make up for what failed.
  await until("it is kept again", async () => (await errorsOf(one))?.state !== "breached", 3 * PATIENCE_MS);
  await Promise.all(loads.map((load) => load.stop()));

  const counted = loads.reduce((sum, { replies }) => sum + replies.values().reduce((total, count) => total + count, 0), 0);
  await until("everything is counted", async () => ((await errorsOf(one))?.sample ?? 0) >= counted, PATIENCE_MS);
  const seen = await errorsOf(one);
  const failures = loads.reduce(
    (sum, { replies }) => sum + [...replies].reduce((all, [reply, count]) => all + (reply.startsWith("500") ? count : 0), 0),
    0,
  );
  t.equal(seen?.sample, counted, "each request once, of both instances");
  t.equal(seen?.value, failures / counted, "as the clients saw it");

  const metrics = await get(one, "/metrics");
  const line = metrics
    .split("\n")
    .find((text) => text.startsWith('crossfade_sla_ratio{flag="move",promise="errors",version="old",segment="all"}'));
  t.equal(Number(line?.split(" ")[1]), seen?.value, "Prometheus is told the same");
  t.match(metrics, 'crossfade_sla_target_ratio{flag="move",promise="errors"} 0.25');
  t.match(metrics, 'crossfade_sla_budget_left_ratio{flag="move",promise="errors",version="old",segment="all"}');

  const report: SlaReport = JSON.parse(await get(one, "/api/sla/report"));
  const breach = report.breaches.find(({ promise, version, segment }) => promise === "errors" && version === "old" && segment === "all");
  t.ok(breach !== undefined && breach.to !== undefined && breach.to > breach.from && breach.worst > 0.25, JSON.stringify(breach));

  const folder = await temporaryDirectory(t);
  const file = join(folder, "sla.html");
  const admin = ["--admin", one.admin.url, "--timeout", "30s"];
  const html = await crossfade(t, ["sla", "report", "--format", "html", "--lang", "fr", "--out", file, ...admin]);
  t.equal(html.code, 0);
  t.match(await readFile(file, "utf8"), /<html lang="fr">[\s\S]*Niveaux de service de move[\s\S]*Manquements/);
  const markdown = await crossfade(t, ["sla", "report", ...admin]);
  t.match(markdown.stdout, /^# Service levels of move\n/);
  const json = await crossfade(t, ["sla", "report", "--format", "json", ...admin]);
  t.match(JSON.parse(json.stdout), { flag: "move", recoveredAfterMs: 1_000 });
  const status = await crossfade(t, ["sla", "status", ...admin]);
  t.match(status.stdout, /PROMISE +VERSION[\s\S]*errors +old +all/);
});

import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import t, { type Test } from "tap";
import { configOf, configText, startApp, temporaryDirectory } from "./support/app.ts";
import {
  begin,
  BY,
  HALF,
  looked,
  lostBy,
  patientText,
  planText,
  QUICK,
  rollbackOf,
  startCandidate,
  startFleet,
} from "./support/running-rollout.ts";
import { startBackend, until } from "./support/backend.ts";
import { Load } from "./support/load.ts";

/** One answer in eight takes `ms`, the others 20 ms: whatever stretch of it is looked at, the 95th percentile is `ms`. */
const oneInEight =
  (ms: number) =>
  (request: number): number =>
    request % 8 === 0 ? ms : 20;

const P95 = "triggers: [ { metric: p95, at_most: 150ms, for: 5s, window: 1s } ]";
const BEHIND = "conditions: { response_time: 100ms }, breaker: off, budget: 100%";

t.test("a candidate whose true P95 is 161 ms behind a fallback at 100 ms is rolled back once it has lasted", async (t) => {
  const fleet = await startFleet(t, { fallback: BEHIND });
  fleet.fresh.become(oneInEight(161));
  await begin(fleet, planText([HALF], P95));
  const load = fleet.load(100);
  const rolledBack = await fleet.reached("rolled-back");
  const { at, why, trigger } = rollbackOf(rolledBack);
  t.equal(trigger, "p95");
  t.match(why, /over the limit of 150 ms.*all through the last 5s/);
  // Nobody asked the candidate before the rollout began, so what lasted five seconds began after that.
  t.ok(at - rolledBack.startedAt >= 4_000, `it has to last: ${at - rolledBack.startedAt} ms`);
  t.comment(`${why}; after ${at - rolledBack.startedAt} ms`);
  t.same(lostBy(load), []);
});

t.test("a candidate whose true P95 is 135 ms stays", async (t) => {
  const fleet = await startFleet(t, { fallback: BEHIND });
  const { fresh } = fleet;
  fresh.become(oneInEight(135));
  await begin(fleet, planText([HALF], P95));
  const load = fleet.load(100);
  await until("it is used", () => fresh.requests > 50, 60_000);
  await looked(fleet, 7_000);
  const { rollout, view } = await fleet.one.control.rollouts.status("move");
  const late = fresh.took.filter((ms) => ms > 140).length / fresh.took.length;
  t.ok(fresh.took.length > 100, `${fresh.took.length} answers`);
  t.same(lostBy(load), []);
  t.comment(view?.triggers[0]?.verdict.why ?? "nothing was judged");
  // Where the candidate's own clock was late there was no P95 of 135 ms, and nothing is to be said about one.
  const skip = late < 0.02 ? false : `the machine is too busy: ${Math.round(late * 100)} % took longer than 140 ms`;
  t.match(rollout, { state: { status: "progressing" } }, "it is not rolled back", { skip });
});

/** The binary of $PROMETHEUS, or on the PATH. */
function prometheusBinary(): string | undefined {
  const given = process.env["PROMETHEUS"];
  const paths = given === undefined ? (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "prometheus")) : [given];
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A port that was free just now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function runPrometheus(t: Test, binary: string, port: number, target: number): Promise<void> {
  const cwd = await temporaryDirectory(t);
  const scrape = "global: { scrape_interval: 500ms, scrape_timeout: 500ms }";
  const targets = `scrape_configs: [ { job_name: crossfade, static_configs: [ { targets: [ "127.0.0.1:${target}" ] } ] } ]`;
  await writeFile(join(cwd, "prometheus.yml"), `${scrape}\n${targets}\n`);
  const args = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", `--web.listen-address=127.0.0.1:${port}`];
  const child = spawn(binary, args, { cwd, stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("close", resolve));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await ended;
  });
}

const BINARY = prometheusBinary();
const skip = BINARY === undefined ? "no prometheus, neither $PROMETHEUS nor on the PATH" : false;

t.test(
  "a plan goes by the figures of a Prometheus: on while they are good, held without them, back when they are bad",
  { skip },
  async (t) => {
    const port = await freePort();
    const old = await startBackend(t, "old");
    const fresh = await startCandidate(t);
    const more = QUICK.replace("{ ", `{ prometheus: "http://127.0.0.1:${port}", `);
    const app = await startApp(t, configOf(patientText(configText({ stable: old.origin, candidate: fresh.origin, workers: 1, more }))));
    const load = new Load(app.port, { connections: 10, perSecond: 60 }).start();
    t.teardown(() => load.stop());
    const { rollouts } = app.control;
    const plan = planText(
      ["{ name: half, percentage: 50, dwell: 1s }", "{ name: most, percentage: 90, dwell: 1h }"],
      "gates: [ { metric: errors, at_most: 30%, min_sample: 20 } ]\ntriggers: [ { metric: errors, at_most: 30%, window: 10s, min_sample: 20 } ]",
    );
    await rollouts.start("move", plan, BY, true, 0);
    await until(
      "it says that there are no figures",
      async () => (await rollouts.status("move")).view?.reasons.some((why) => /there are no figures/.test(why)) === true,
      30_000,
    );
    t.match(await rollouts.status("move"), { rollout: { state: { step: 0 } } }, "nothing moves without them");

    await runPrometheus(t, BINARY ?? "", port, app.admin.port);
    await until("the step is left", () => app.control.status().flags[0]?.percentage === 90, 60_000);
    t.match((await app.control.store.audit("move", 1))[0], { who: "crossfade", reason: /errors 0 %.* within the limit of 30 %/ });
    fresh.become("broken");
    await until("it is rolled back", () => app.control.status().flags[0]?.percentage === 0, 60_000);
    t.match((await rollouts.status("move")).rollout?.state, { rollback: { trigger: "errors" } });
  },
);

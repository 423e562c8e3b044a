import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { run } from "../src/cli/program.ts";
import { temporaryDirectory } from "./support/app.ts";
import { ask, until } from "./support/backend.ts";
import { type Fleet, looked, planText, QUICK, rollbackOf, startFleet } from "./support/running-rollout.ts";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line of a user, in this process; words are parted by spaces. */
async function crossfade(t: Test, line: string, more: readonly string[] = []): Promise<Ran> {
  const [out, err] = [t.capture(process.stdout, "write", () => true), t.capture(process.stderr, "write", () => true)];
  const told = (captured: typeof out): string =>
    captured
      .args()
      .map(([text]) => String(text))
      .join("");
  try {
    const code = await run([...line.split(" "), ...more]);
    return { code, stdout: told(out), stderr: told(err) };
  } finally {
    out.restore();
    err.restore();
  }
}

const NOTE = 'echo \\"$0 by=$CROSSFADE_BY reason=$CROSSFADE_REASON drill=$CROSSFADE_DRILL\\" >> told';
const HOOKS = `
hooks:
  restore: { command: [ sh, -c, "${NOTE}", restore ], timeout: 10s }
  verify: { command: [ sh, -c, "${NOTE}", verify ], timeout: 10s, drill: true }
  slow: { command: [ sh, -c, "sleep 0.4" ], timeout: 10s, drill: true }
`;

interface World extends Fleet {
  readonly files: string;
  /** `rollout COMMAND` against the first instance. */
  rollout$(line: string, ...more: string[]): Promise<Ran>;
  plan(name: string, text: string): Promise<string>;
}

async function open(t: Test): Promise<World> {
  const fleet = await startFleet(t, { instances: 1, more: QUICK + HOOKS });
  const files = await temporaryDirectory(t);
  return {
    ...fleet,
    files,
    rollout$: (line, ...more) => crossfade(t, `rollout ${line} --admin ${fleet.one.admin.url}`, more),
    async plan(name, text) {
      await writeFile(join(files, name), text);
      return join(files, name);
    },
  };
}

const STEPS = ["{ name: ten, percentage: 10, dwell: 1h, approvals: [ops] }", "{ name: fifty, percentage: 50, dwell: 1h }"];
const GOOD = planText(STEPS, "rollback: { hooks: [restore, verify] }");

t.test("wrong usage ends with 2 and says what would be right", async (t) => {
  const cases: readonly (readonly [line: string, message: RegExp])[] = [
    ["rollout", /Usage: crossfade rollout/],
    ["rollout stat", /unknown command 'stat'\n\(Did you mean .*start/],
    ["rollout start", /missing required argument 'plan'/],
    ["rollout start nowhere.yaml", /There is no file nowhere\.yaml; examples are in config\/plans/],
    ["rollout start a.yaml --forse", /unknown option '--forse'\n\(Did you mean --force\?\)/],
    ["rollout start a.yaml b.yaml", /too many arguments/],
    ["rollout check", /missing required argument 'plan'/],
    ["rollout pause --wait soon", /not a duration such as/],
    ["rollout resume ten", /too many arguments/],
    ["rollout figures --span 7m", /Allowed choices are 10s, 1m, 5m, step, start/],
    ["rollout drill --lve", /Did you mean --live/],
    ["rollout status --admin ftp://x", /not the address of an admin API/],
    ["rollout replay", /missing required argument 'plan'/],
    ["rollout replay nowhere.yaml", /There is no file nowhere\.yaml/],
    ["rollout rollback --reason", /argument missing/],
  ];
  for (const [line, message] of cases) t.match(await crossfade(t, line), { code: 2, stdout: "", stderr: message }, line);
  const commands = [
    "check",
    "start",
    "status",
    "approve",
    "pause",
    "resume",
    "advance",
    "rollback",
    "drill",
    "figures",
    "experiment",
    "replay",
  ];
  for (const command of commands)
    t.match(
      await crossfade(t, `rollout ${command} --help`),
      { code: 0, stdout: new RegExp(`Examples?:\n  crossfade rollout ${command}`) },
      command,
    );
});

t.test("where nobody answers it says how to go on", async (t) => {
  const file = join(await temporaryDirectory(t), "plan.yaml");
  await writeFile(file, GOOD);
  for (const line of ["status", "pause", "drill", "figures", "experiment", `start ${file}`, `replay ${file}`]) {
    const ran = await crossfade(t, `rollout ${line} --admin http://127.0.0.1:1`);
    t.match(ran, { code: 1, stdout: "", stderr: /No admin API answers at .*\(connection refused\)[^]*crossfade serve/ }, line);
    const asJson = await crossfade(t, `rollout ${line} --admin http://127.0.0.1:1 --json`);
    t.match(JSON.parse(asJson.stdout), { detail: /No admin API answers/ }, `${line} --json`);
  }
});

t.test("a bad plan is refused with its lines, and before anything was started every command says so", async (t) => {
  const world = await open(t);
  const bad = await world.plan("bad.yaml", "name: bad\nflag: move\nsteps:\n  - { percentage: 10, dwel: 1h }\n  - { percentage: 120 }\n");
  const checked = await crossfade(t, `rollout check ${bad}`);
  t.match(checked, {
    code: 1,
    stdout: /bad\.yaml:4:23 .*dwel: .*did you mean dwell[^]*bad\.yaml:5:19 .*120 is out of range/,
    stderr: /cannot be used/,
  });
  t.match(JSON.parse((await crossfade(t, `rollout check ${bad} --json`)).stdout), { valid: false, problems: [{ line: 4 }, { line: 5 }] });
  t.match(await world.rollout$(`start ${bad}`), { code: 1, stderr: /plan:4:23 .*dwel: [^]*plan:5:19 / });
  const broken = await world.plan("broken.yaml", "name: [\n");
  t.match(await world.rollout$(`start ${broken}`), { code: 1, stderr: /plan:2:1: is not YAML/ });
  const foreign = await world.plan("foreign.yaml", GOOD.replace("flag: move", "flag: moove"));
  t.match(await world.rollout$(`start ${foreign}`), { code: 1, stderr: /moove[^]*move/ });
  const hookless = await world.plan("hookless.yaml", GOOD.replace("[restore, verify]", "[restor]"));
  t.match(await world.rollout$(`start ${hookless}`), { code: 1, stderr: /restor[^]*restore/ });
  const careless = await world.plan("careless.yaml", planText(["{ percentage: 50, dwell: 1h }", "{ percentage: 20, dwell: 1h }"]));
  t.match(await world.rollout$(`start ${careless}`), { code: 1, stderr: /plan:5:\d+ [^]*to start it all the same: --force/ });
  t.match(await world.rollout$(`start ${careless} --force`), { code: 1, stderr: /must rise/ });

  t.match(await world.rollout$("rollback"), { code: 1, stdout: "", stderr: /no rollout of move[^]*crossfade kill/ });
  for (const command of ["pause", "resume", "advance", "approve --role ops"])
    t.match(await world.rollout$(command), { code: 1, stdout: "", stderr: /no rollout of move[^]*crossfade rollout start PLAN/ }, command);
  t.match(await world.rollout$("status"), { code: 0, stdout: /move has no rollout yet[^]*crossfade rollout start PLAN/, stderr: "" });
  t.match(JSON.parse((await world.rollout$("status --json")).stdout), { flag: "move" });
  t.match(await world.rollout$("experiment"), { code: 1, stderr: /nothing to compare yet/ });
  t.match(await world.rollout$("figures --span step"), { code: 1, stderr: /ask for 10s, 1m or 5m/ });
  t.match(await world.rollout$("figures --span 10s"), { code: 0 });
  const good = await world.plan("good.yaml", GOOD);
  t.match(await world.rollout$(`replay ${good}`), { code: 1, stderr: /no record to replay/ });
  t.match(await world.rollout$("pause --flag moove"), { code: 1, stderr: /no flag "moove"\. Did you mean move\?/ });
});

t.test("from start to rollback and back again, by command", async (t) => {
  const world = await open(t);
  const good = await world.plan("good.yaml", GOOD);
  t.match(await world.rollout$(`start ${good} --force`, "--reason", "go of the 7th"), {
    code: 0,
    stdout: /move: progressing\n {2}quick started at ten \(10 %\)[^]*confirmed by 1 of 1 instance/,
  });
  t.match(await world.rollout$(`start ${good} --force`), { code: 1, stderr: /is under way[^]*roll it back, or let it end, first/ });
  await looked(world, 400);
  t.match(await world.rollout$("status"), {
    code: 0,
    stdout:
      /move: quick, progressing at ten \(10%?[^]*led by one[^]*because[^]*ten \(10 %\) has[^]*Steps[^]*now +ten[^]*Approvals[^]*ops +missing/,
  });
  t.match(JSON.parse((await world.rollout$("status --json")).stdout), {
    leader: "one",
    rollout: { state: { status: "progressing", step: 0 } },
  });

  t.match(await world.rollout$("advance"), { code: 1, stderr: /needs a reason/ });
  t.match(await world.rollout$("advance --reason hurry"), { code: 1, stderr: /approvals are not skipped: still to approve: ops/i });
  t.match(await world.rollout$("approve"), { code: 1, stderr: /Say in which role/ });
  t.match(await world.rollout$("approve --role opps"), { code: 1, stderr: /"opps", but by: ops/ });
  t.match(await world.rollout$("approve --role ops"), { code: 0, stdout: /all approvals are there/ });
  t.match(await world.rollout$("pause", "--reason", "trade fair"), { code: 0, stdout: /held\n.*trade fair/ });
  t.match(await world.rollout$("pause"), { code: 1, stderr: /paused already, by .*trade fair/ });
  t.match(await world.rollout$("resume --at fifty"), { code: 1 });
  t.match(await world.rollout$("resume"), { code: 0, stdout: /progressing/ });
  t.match(await world.rollout$("advance --reason decided --json"), { code: 0, stdout: /"status": "progressing"/ });
  t.equal(world.one.control.status().flags[0]?.percentage, 50);
  t.match(await world.rollout$("advance --reason more"), { code: 0, stdout: /completed/ });

  t.match(await world.rollout$("rollback", "--reason", "sessions lost"), { code: 0, stdout: /move: rolling-back\n.*sessions lost/ });
  const { hooks } = rollbackOf(await world.reached("rolled-back"));
  t.match(hooks, [
    { name: "restore", status: "done" },
    { name: "verify", status: "done" },
  ]);
  t.match(
    await readFile(join(world.folder, "told"), "utf8"),
    /^restore by=.* reason=sessions lost drill=\nverify by=.* reason=sessions lost drill=\n$/,
  );
  t.match(await world.rollout$("status"), {
    code: 0,
    stdout: /rolled-back: sessions lost[^]*confirmed by 1 of 1[^]*restore: done in[^]*verify: done in/,
  });
  t.match(await world.rollout$("rollback"), { code: 1, stderr: /already/ });
  t.match(await world.rollout$("resume --at eleven"), { code: 1, stderr: /no step "eleven"; its steps are 1 ten, 2 fifty/ });
  t.match(await world.rollout$("resume --at 1 --reason fixed"), { code: 0, stdout: /resumed by .* at ten \(10 %\) after the rollback/ });
  t.equal(world.one.control.status().flags[0]?.percentage, 10);
});

t.test("figures, experiment, record and replay of a rollout with traffic", async (t) => {
  const world = await open(t);
  const good = await world.plan("good.yaml", GOOD);
  world.load(60);
  t.match(await world.rollout$(`start ${good} --force`), { code: 0 });
  const recorded = async (): Promise<boolean> => (await world.one.control.rollouts.recorded("move", "", 10)).length >= 3;
  await until("something is recorded", recorded, 30_000);
  t.match(await world.rollout$("figures --span step"), { code: 0, stdout: /match[^]*stable/i });
  t.match(JSON.parse((await world.rollout$("figures --json")).stdout), { span: "1m", instances: ["one"] });
  const experiment = await world.rollout$("experiment");
  t.equal(experiment.code, 0, experiment.stderr);
  t.match(JSON.parse((await world.rollout$("experiment --json")).stdout), { assigned: Object, served: Object });
  const kept = join(world.files, "record.jsonl");
  const online = await world.rollout$(`replay ${good} --save ${kept}`);
  t.equal(online.code, 0, online.stderr);
  const offline = await crossfade(t, `rollout replay ${good} --record ${kept} --json`);
  t.equal(offline.code, 0, offline.stderr);
  t.equal(typeof JSON.parse(offline.stdout), "object");
});

t.test("a drill says what it took; over its limit it ends with 1", async (t) => {
  const world = await open(t);
  const plan = await world.plan("plan.yaml", GOOD.replace("[restore, verify] }", "[restore, verify], traffic_limit: 30s }"));
  t.match(await world.rollout$(`start ${plan} --force`), { code: 0 });
  const before = world.one.control.status().flags[0];
  t.match(await world.rollout$("drill --reason monday"), {
    code: 0,
    stdout: /shadow drill of move: ok[^]*restore .*not rehearsed[^]*verify .*done[^]*confirmed by one/,
  });
  const after = world.one.control.status().flags[0];
  t.equal(after?.percentage, before?.percentage, "nobody's arm has changed");
  t.ok((after?.revision ?? 0) > (before?.revision ?? 0), "a revision went the whole way");
  t.match(JSON.parse((await world.rollout$("drill --json")).stdout), { ok: true, kind: "shadow" });

  world.load(60);
  await until("the candidate is used", () => world.fresh.requests > 3);
  t.match(await world.rollout$("drill --live"), { code: 0, stdout: /live drill of move: ok[^]*put back/ });
  t.equal(world.one.control.status().flags[0]?.percentage, 10);
  t.match((await world.rollout()).state, { status: "progressing", step: 0 });
  t.match(await readFile(join(world.folder, "told"), "utf8"), /restore .* drill=1\nverify .* drill=1\n$/);

  t.match(await world.rollout$("rollback"), { code: 0 });
  await world.reached("rolled-back");
  const tight = await world.plan("tight.yaml", GOOD.replace("[restore, verify] }", "[slow], traffic_limit: 30s, limit: 300ms }"));
  t.match(await world.rollout$(`start ${tight} --force`), { code: 0 });
  t.match(await world.rollout$("drill"), { code: 1, stdout: /NOT OK[^]*everything .*late[^]*over the limit of 300ms/, stderr: "" });
  t.match(JSON.parse((await world.rollout$("drill --json")).stdout), { ok: false });
});

t.test("without the store nothing is changed, and it says so", async (t) => {
  const world = await open(t);
  const good = await world.plan("good.yaml", GOOD);
  t.match(await world.rollout$(`start ${good} --force`), { code: 0 });
  await world.redis.kill();
  await until("it is noticed", () => !world.one.control.status().store.up);
  for (const line of [
    "status",
    "pause",
    "resume",
    "advance --reason x",
    "rollback",
    "approve --role ops",
    "figures --span step",
    "experiment",
  ]) {
    const ran = await world.rollout$(line);
    t.match(ran, { code: 1, stdout: "", stderr: /cannot be reached|store|redis/i }, line);
  }
  t.match(await world.rollout$("drill"), { code: 1 });
  t.match(JSON.parse((await world.rollout$("pause --json")).stdout), { code: "store-unavailable" });
  t.match(await world.rollout$("rollback"), { stderr: /a kill works on this instance/ }, "what works all the same is named");
  t.match(await crossfade(t, `kill --admin ${world.one.admin.url}`), { code: 0 });
  const { body } = await ask(world.one.port, { headers: { "x-user-id": "ann" } });
  t.match(body, /old/);
});

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { type AdminServer, startAdmin } from "../src/admin/server.ts";
import { versionProblem } from "../src/cli/node-version.ts";
import { run } from "../src/cli/program.ts";
import { printable, span, table } from "../src/cli/output.ts";
import { receiptInWords } from "../src/cli/receipt.ts";
import { type FakeOperations, createFakeOperations } from "./support/fake-operations.ts";

const MAIN = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));

// Many programs start at once here: a busy machine takes its time.
t.setTimeout(300_000);

/** Compiled code is kept between the many short runs of this file; it halves their time. */
const COMPILED = t.testdir({});

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Place {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the command line as a user would, without a terminal. */
function crossfade(words: readonly string[], { cwd, env = {} }: Place): Promise<Ran> {
  const { CROSSFADE_ADMIN_URL: _, CROSSFADE_ADMIN_TOKEN: __, ...inherited } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...words], {
      cwd,
      env: { ...inherited, ...env, NODE_OPTIONS: "", NODE_COMPILE_CACHE: COMPILED },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const out: Record<"stdout" | "stderr", string> = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => (out[stream] += text));
    child.on("error", reject).on("close", (code) => resolve({ code, ...out }));
  });
}

const GOOD = `
listeners:
  - { name: public, address: 127.0.0.1:8080 }
admin: { address: 127.0.0.1:ADMIN_PORT }
store: redis://ops:verysecret@127.0.0.1:6379/2
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062], health: { path: /api/health } }
  v2: { endpoints: [http://127.0.0.1:5070] }
routes:
  - name: match
    match: { methods: [POST], path: /api/match }
    stable: v1
    candidate: { upstream: v2, path: /api/v2/match }
    flag: v2_migration
  - { name: rest, match: { path: /api/v1/** }, upstream: v1 }
flags:
  v2_migration:
    rollout_percentage: 25
    user_segments:
      enterprise: { percentage: 0, override_global: true }
      api_partners: { percentage: 50, override_global: false }
`;

function writeConfig(test: Test, change: (text: string) => string = (text) => text): { readonly file: string; readonly cwd: string } {
  const cwd = test.testdir({});
  const file = join(cwd, "crossfade.yaml");
  // Port 1 answers nobody.
  writeFileSync(file, change(GOOD).replace("ADMIN_PORT", "1"));
  return { file, cwd };
}

interface World extends Place {
  readonly admin: AdminServer;
  readonly operations: FakeOperations;
}

async function open(test: Test, options: { token?: string; flags?: string[] } = {}): Promise<World> {
  const operations = createFakeOperations(options.flags);
  const admin = await startAdmin(operations, { host: "127.0.0.1", port: 0, token: options.token });
  test.teardown(() => admin.close());
  return { admin, operations, cwd: test.testdir({}), env: { CROSSFADE_ADMIN_URL: admin.url } };
}

t.test("help and version", async (t) => {
  const here = { cwd: t.testdir({}) };
  const commands = ["demo", "serve", "check", "flags get", "flags set", "explain", "kill", "unkill", "status"];
  const [alone, version, ...helps] = await Promise.all([
    crossfade([], here),
    crossfade(["--version"], here),
    ...commands.map((command) => crossfade([...command.split(" "), "--help"], here)),
  ]);
  t.match(alone, { code: 0, stdout: /Usage: crossfade/, stderr: "" });
  t.match(version, { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  for (const [i, command] of commands.entries()) {
    t.match(helps[i], { code: 0, stdout: new RegExp(`Examples?:\n  crossfade ${command}`) }, command);
  }
});

t.test("wrong usage ends with 2 and says what would be right", async (t) => {
  const here = { cwd: t.testdir({}) };
  const cases: [string, RegExp][] = [
    ["chek", /unknown command 'chek'\n\(Did you mean check\?\)/],
    ["status --admn x", /unknown option '--admn'\n\(Did you mean --admin\?\)/],
    ["status extra", /too many arguments[^]*--help/],
    ["status --timeout 5", /not a duration such as 500ms/],
    ["status --admin ftp://host", /not the address of an admin API/],
    ["check crossfade.yaml", /too many arguments[^]*given with --config FILE/],
    ["serve crossfade.yaml", /too many arguments[^]*given with --config FILE/],
    ["flags", /Usage: crossfade flags/],
    ["flags set", /rollout_percentage=25/],
    ["flags set rollout_percentage", /is not KEY=VALUE/],
    ["flags set =25", /is not KEY=VALUE/],
    ["flags set a=1 a=2", /a is given twice/],
    ["flags set a=1 --if-revision x", /--if-revision: "x" is not a whole number/],
    ["flags set a=1 --wait soon", /--wait: "soon" is not a duration/],
    ["kill --wait 5", /not a duration/],
    ["explain", /required option '--user <id>'/],
    ["explain --user 1 --at 101", /--at: "101" is not a percentage from 0 to 100/],
    ["serve --log-level loud", /Allowed choices are trace, debug/],
    ["demo --port 99999", /not a port/],
  ];
  for (const [line, message] of cases) {
    const written = t.capture(process.stderr, "write");
    const code = await run(line.split(" "));
    written.restore();
    t.equal(code, 2, `crossfade ${line}`);
    t.match(written.args().flat().join(""), message);
  }
  // The same through the program itself, where no file stands in the folder.
  t.match(await crossfade(["chek"], here), { code: 2, stdout: "", stderr: /Did you mean check/ });
  for (const command of ["check", "serve"])
    t.match(await crossfade([command], here), { code: 2, stdout: "", stderr: /there is no crossfade\.yaml in / });
});

t.test("check prints what the file means, and no password", async (t) => {
  const { file, cwd } = writeConfig(t);
  const [named, found, json] = await Promise.all([
    crossfade(["check", "--config", file], { cwd: "/" }),
    crossfade(["check"], { cwd }),
    crossfade(["check", "--json"], { cwd }),
  ]);
  t.match(named, { code: 0, stdout: `${file} is valid\n` });
  t.match(named.stdout, /public +127\.0\.0\.1:8080/);
  t.match(named.stdout, /match +POST +\/api\/match +- +v1 or v2 at \/api\/v2\/match, by v2_migration/);
  t.match(named.stdout, /rest +any +\/api\/v1\/\*\* +- +v1/);
  t.match(named.stdout, /rollout +25 % of the users/);
  t.match(named.stdout, /api_partners +at most 50 %/);
  t.match(named.stdout, "redis://ops:***@127.0.0.1:6379/2");
  t.notMatch(named.stdout + named.stderr, /verysecret/);
  t.match(found, { code: 0, stdout: /^crossfade\.yaml is valid/ });
  t.match(
    named.stdout,
    /fallback +to the stable arm after 100ms[^]*but on match, without idempotent: true, only if no connection comes about/,
  );
  t.match(JSON.parse(json.stdout), { file: "crossfade.yaml", valid: true, problems: [] });
});

t.test("check says where customers look, and which channels are on", async (t) => {
  const plain = writeConfig(t);
  const none = await crossfade(["check"], { cwd: plain.cwd });
  t.match(none.stdout, /status page +at \/status of the admin address/);
  t.match(none.stdout, /people told +nobody/);
  const told =
    "notifications: { channels: { team: { slack: '${SLACK_URL:-}' }, pager: { webhook: 'https://pager.example/verysecretpath' } } }\n";
  const { cwd } = writeConfig(t, (text) => `${text}\nstatus_page: { address: 127.0.0.1:8090 }\n${told}`);
  const some = await crossfade(["check"], { cwd });
  t.match(some.stdout, /status page +127\.0\.0\.1:8090/);
  t.match(some.stdout, /people told +by pager \(webhook\)\n/, "one whose variable is empty is off");
  t.notMatch(some.stdout, "verysecretpath");
});

t.test("check prints every problem at its place", async (t) => {
  const { cwd } = writeConfig(t, (text) => text.replace("rollout_percentage: 25", "rollout_percentage: 101").replace("health:", "helth:"));
  const [plain, json, absent, serve, status] = await Promise.all([
    crossfade(["check"], { cwd }),
    crossfade(["check", "--json"], { cwd }),
    crossfade(["check", "--config", "none.yaml"], { cwd }),
    crossfade(["serve"], { cwd }),
    crossfade(["status", "--config", "crossfade.yaml"], { cwd }),
  ]);
  t.match(plain, { code: 1, stderr: /crossfade\.yaml cannot be used/ });
  t.match(plain.stdout, /^crossfade\.yaml:7:\d+ upstreams\.v1\.helth: .*did you mean health/m);
  t.match(plain.stdout, /^crossfade\.yaml:18:\d+ flags\.v2_migration\.rollout_percentage: .*101/m);
  t.equal(json.code, 1);
  t.match(JSON.parse(json.stdout), { valid: false, problems: [{ line: 7 }, { line: 18 }] });
  t.match(absent, { code: 1, stdout: /none\.yaml: does not exist/ });
  for (const other of [serve, status])
    t.match(other, { code: 1, stdout: "", stderr: /^crossfade\.yaml:7:/ }, "whoever needs the file says the same");
});

t.test("nothing runs: the answer is what to start", async (t) => {
  const here = { cwd: t.testdir({}), env: { CROSSFADE_ADMIN_URL: "http://127.0.0.1:1" } };
  const notCrossfade = createServer((_, response) => response.writeHead(404).end("nothing here"));
  const silent = createServer(() => undefined);
  const ports: number[] = [];
  for (const server of [notCrossfade, silent]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (typeof address === "object" && address !== null) ports.push(address.port);
    t.teardown(() => {
      server.close();
      server.closeAllConnections();
    });
  }
  const [refused, asJson, foreign, slow] = await Promise.all([
    crossfade(["kill", "--reason", "x"], here),
    crossfade(["status", "--json"], here),
    crossfade(["status", "--admin", `127.0.0.1:${ports[0]}`], here),
    crossfade(["status", "--admin", `127.0.0.1:${ports[1]}`, "--timeout", "50ms"], here),
  ]);
  t.match(refused, {
    code: 1,
    stderr: /No admin API answers at http:\/\/127\.0\.0\.1:1 \(connection refused\)[^]*crossfade serve --config FILE/,
  });
  t.match(refused.stderr, "redis-cli HSET 'crossfade:{FLAG}:flags' kill_switch true", "who wants to kill is told another way");
  t.equal(asJson.code, 1);
  t.match(JSON.parse(asJson.stdout), { detail: /connection refused/ });
  t.match(foreign, { code: 1, stderr: /is not crossfade's admin API/ });
  t.match(slow, { code: 1, stderr: /did not answer within 50ms/ });
});

t.test("flags are read, set and set back", async (t) => {
  const { operations, ...here } = await open(t);
  const set = await crossfade(["flags", "set", "rollout_percentage=25", "segment.enterprise=5", "--reason", "second step", "--wait"], here);
  t.match(set, { code: 0, stdout: "revision 1: confirmed by 1 of 1 instance\n", stderr: "" });
  t.match(operations.writes, [
    {
      reason: "second step",
      changes: [
        { field: "rollout_percentage", to: "25" },
        { field: "segment.enterprise", to: "5" },
      ],
    },
  ]);
  t.not(operations.writes[0]?.who, "admin", "the audit names the user of this machine");
  const [get, json] = await Promise.all([crossfade(["flags", "get"], here), crossfade(["flags", "get", "--json"], here)]);
  t.match(get, { code: 0, stdout: /^v2_migration at revision 1\n/ });
  t.match(get.stdout, /rollout_percentage +25 +live/);
  t.match(get.stdout, /fallback\.response_time +100ms +file/);
  t.match(get.stdout, /segment\.beta_users +100 +file +2\n/);
  t.match(get.stdout, /refused: .*"\\u001b\[31m101"/, "what stands in the store cannot steer the terminal");
  t.match(JSON.parse(json.stdout), { revision: 1, fields: { rollout_percentage: "25" } });
  const back = await crossfade(["flags", "set", "--wait", "rollout_percentage=", "--if-revision", "1", "--json"], here);
  t.match(JSON.parse(back.stdout), { revision: 2, acknowledged: ["host-a"] }, "a setting right after --wait is a setting");
  t.equal(operations.flag("v2_migration")?.settings.weightBp, 1_000);
});

t.test("what the admin API refuses is told in its words", async (t) => {
  const { operations, ...here } = await open(t);
  operations.faults.missing.push("host-b");
  const [invalid, unknown, stale, noFlag] = await Promise.all([
    crossfade(["flags", "set", "rollout_percentage=101"], here),
    crossfade(["flags", "set", "rollout_percentag=10"], here),
    crossfade(["flags", "set", "enabled=false", "--if-revision", "7"], here),
    crossfade(["flags", "get", "--flag", "v2_migratio", "--json"], here),
  ]);
  t.match(invalid, { code: 1, stderr: /rollout_percentage: .*101.*0 to 100/ });
  t.match(unknown, { code: 1, stderr: /did you mean rollout_percentage/ });
  t.match(stale, { code: 1, stderr: /revision 0 by now[^]*--if-revision 0/ });
  t.equal(noFlag.code, 1);
  t.match(JSON.parse(noFlag.stdout), { code: "unknown-flag", known: ["v2_migration"] });
  t.strictSame(operations.writes, []);
  const partly = await crossfade(["flags", "set", "enabled=false", "--wait", "1s"], here);
  t.match(partly, { code: 1, stdout: "revision 1: confirmed by 1 of 2 instances; missing: host-b\n", stderr: "" });
  const unwaited = await crossfade(["flags", "set", "enabled=true"], here);
  t.match(unwaited, { code: 0, stdout: /^revision 2: written/ });
});

t.test("kill and unkill", async (t) => {
  const { operations, ...here } = await open(t);
  t.match(await crossfade(["kill", "--reason", "errors on checkout"], here), {
    code: 0,
    stdout: "revision 1: confirmed by 1 of 1 instance\n",
  });
  t.equal(operations.flag("v2_migration")?.settings.killSwitch, true);
  t.match(operations.writes, [{ reason: "errors on checkout" }]);
  t.match((await crossfade(["flags", "get"], here)).stdout, /kill_switch +true +live[^]*killed: everybody is on the stable arm\n/);
  operations.faults.storeDown = true;
  t.match(await crossfade(["unkill"], here), { code: 0, stdout: /no store can be reached, so other instances learn of it later/ });
  t.equal(operations.flag("v2_migration")?.settings.killSwitch, false);
});

t.test("with several flags one must be named", async (t) => {
  const { operations, ...here } = await open(t, { flags: ["v2_migration", "other"] });
  const [killAll, killOne, explain] = await Promise.all([
    crossfade(["kill"], here),
    crossfade(["kill", "--flag", "other"], here),
    crossfade(["explain", "--user", "ann"], here),
  ]);
  t.match(killAll, { code: 2, stderr: /--flag: v2_migration, other/ });
  t.equal(killOne.code, 0);
  t.equal(operations.flag("v2_migration")?.settings.killSwitch, false);
  t.equal(operations.flag("other")?.settings.killSwitch, true);
  t.match(explain, { code: 1, stderr: /v2_migration, other/ });
});

t.test("explain, from a running instance and from a file alone", async (t) => {
  const { ...here } = await open(t);
  const { file, cwd } = writeConfig(t);
  const [live, json, segment, offline, offlineJson, wrongSegment] = await Promise.all([
    crossfade(["explain", "--user", "bea", "--at", "50"], here),
    crossfade(["explain", "--user", "bea", "--json"], here),
    crossfade(["explain", "--user", "ann", "--segment", "enterprise"], here),
    crossfade(["explain", "--user", "ann", "--at", "100", "--config", file], { cwd }),
    crossfade(["explain", "--user", "ann", "--segment", "enterprise", "--json", "--config", file], { cwd }),
    crossfade(["explain", "--user", "ann", "--segment", "enterprize", "--config", file], { cwd }),
  ]);
  t.match(live, {
    code: 0,
    stdout: /^bea is on the candidate arm of v2_migration\n[^]*segment beta_users 100 \(override\)[^]*at 50 % +candidate/,
    stderr: "",
  });
  t.match(JSON.parse(json.stdout), { flag: "v2_migration", user: "bea", arm: "candidate", reason: "segment", revision: 0 });
  t.match(segment.stdout, /^ann is on the stable arm[^]*segment +enterprise/);
  t.match(offline, {
    code: 0,
    stdout: /rollout_percentage 25[^]*candidate +from [\d.]+ % on[^]*at 100 % +candidate/,
    stderr: /No instance answers[^]*comes from .*crossfade\.yaml alone/,
  });
  t.match(JSON.parse(offlineJson.stdout), { arm: "stable", segment: "enterprise", source: file });
  t.match(wrongSegment, { code: 1, stderr: /no segment "enterprize"; did you mean "enterprise"\?/ });
});

t.test("status", async (t) => {
  const { ...here } = await open(t);
  const [plain, json] = await Promise.all([crossfade(["status"], here), crossfade(["status", "--json"], here)]);
  t.match(plain, { code: 0, stdout: /^crossfade 1\.2\.3 on host-a, up 1 h 2 min\n/ });
  for (const part of [
    /listening +public 127\.0\.0\.1:8080/,
    /worker 0 restarted once: heap limit/,
    /store +redis, up; settings from the store/,
    /v2 +http:\/\/127\.0\.0\.1:5070 +unhealthy +connection refused/,
    /v2_migration +0 +enabled +10 % +beta_users 100 % \(2 users\)/,
    /Route match: 1,234 requests/,
    /fallbacks +latency 10/,
    /v1 +1,010 +12 ms +40 ms +80 ms/,
    /\nNo requests yet: auth, health\n/,
    /Refused settings\n.*\\u001b/,
  ]) {
    t.match(plain.stdout, part);
  }
  t.notMatch(plain.stdout, /\u001b/, "no colour without a terminal");
  t.match(JSON.parse(json.stdout), { instance: "host-a", traffic: [{ route: "match" }] });
});

t.test("the token comes from the option, the environment or the file", async (t) => {
  const { admin, ...here } = await open(t, { token: "correct-horse" });
  const { file } = writeConfig(t, (text) => text.replace("127.0.0.1:ADMIN_PORT }", `127.0.0.1:${admin.port}, token: correct-horse }`));
  const [none, wrong, option, environment, fromFile] = await Promise.all([
    crossfade(["status"], here),
    crossfade(["status", "--token", "wrong"], here),
    crossfade(["status", "--token", "correct-horse"], here),
    crossfade(["status"], { ...here, env: { ...here.env, CROSSFADE_ADMIN_TOKEN: "correct-horse" } }),
    crossfade(["status", "--config", file], { cwd: here.cwd }),
  ]);
  t.match(none, { code: 1, stderr: /wants its token[^]*--token or \$CROSSFADE_ADMIN_TOKEN/ });
  t.match(wrong, { code: 1, stderr: /The one given is not it/ });
  for (const ran of [option, environment, fromFile]) t.match(ran, { code: 0, stdout: /^crossfade 1\.2\.3/ });
});

t.test("an old Node is told apart from a new one", (t) => {
  for (const old of ["20.20.2", "22.19.0", "24.0.0", "24.11.9", "18.0.0"])
    t.match(versionProblem(old, "/usr/bin/node"), /24\.12 or newer; this is .* \(\/usr\/bin\/node\)/, old);
  for (const fit of ["24.12.0", "24.21.0", "25.0.0", "26.1.0", "26.0.0-nightly"]) t.equal(versionProblem(fit, "node"), undefined, fit);
  t.end();
});

t.test("words and columns", (t) => {
  const receipt = { flag: "f", revision: 12, acknowledged: ["a", "c"], missing: ["host-b"], shared: true };
  t.equal(receiptInWords(receipt, true), "revision 12: confirmed by 2 of 3 instances; missing: host-b");
  t.equal(span(0), "0 s");
  t.equal(span(59.9), "59 s");
  t.equal(span(86_400), "1 d");
  t.equal(span(90_061), "1 d 1 h");
  t.strictSame(
    table([
      ["A", "B"],
      ["long", "x"],
    ]),
    ["  A     B", "  long  x"],
  );
  t.equal(printable("a\u0007b\u202ec\u009bd é"), "a\\u0007b\\u202ec\\u009bd é");
  t.end();
});

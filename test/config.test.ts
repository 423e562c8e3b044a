import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { stringify } from "yaml";
import type { Config } from "../src/config/config.ts";
import { formatProblems, loadConfig, parseConfig, type ParsedConfig, type Problem } from "../src/config/parse.ts";
import { jsonSchemaText, referenceText } from "../src/config/reference.ts";

const ENVIRONMENT = { HOME: "/home/ada" };

const MINIMAL = `
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062] }
  v2: { endpoints: [http://127.0.0.1:5070] }
routes:
  - { name: all, match: { path: /** }, stable: v1, candidate: v2, flag: move }
flags:
  move: { rollout_percentage: 10 }
`;

function configOf(parsed: ParsedConfig): Config {
  if ("problems" in parsed) throw new Error(formatProblems("config.yaml", parsed.problems));
  return parsed.config;
}

function parse(text: string, environment: Record<string, string> = ENVIRONMENT): Config {
  return configOf(parseConfig(text, environment));
}

function problemsOf(text: string, environment: Record<string, string> = ENVIRONMENT): readonly Problem[] {
  const parsed = parseConfig(text, environment);
  return "problems" in parsed ? parsed.problems : [];
}

function warningsOf(text: string): readonly Problem[] {
  const parsed = parseConfig(text, ENVIRONMENT);
  return "warnings" in parsed ? parsed.warnings : [];
}

/** `path: message` of each problem that is expected to be the only one at its path. */
function messageAt(problems: readonly Problem[], path: string): string {
  return problems.find((problem) => problem.path === path)?.message ?? `nothing at ${path}, only ${formatProblems("f", problems)}`;
}

/** A valid file with some of its top-level keys replaced or added; undefined takes one away. */
function file(change: Record<string, unknown>): string {
  const base = {
    upstreams: { v1: { endpoints: ["http://127.0.0.1:5062"] }, v2: { endpoints: ["http://127.0.0.1:5070"] } },
    routes: [{ name: "all", match: { path: "/**" }, stable: "v1", candidate: "v2", flag: "move" }],
    flags: { move: { rollout_percentage: 10 } },
  };
  return stringify({ ...base, ...change });
}

const route = (change: Record<string, unknown>): Record<string, unknown> => ({ name: "r", match: { path: "/r" }, ...change });

for (const name of readdirSync("config").filter((entry) => entry.endsWith(".yaml"))) {
  t.test(`config/${name} is valid without any environment variable and has no warnings`, async (t) => {
    const parsed = await loadConfig(`config/${name}`, {});
    t.match(parsed, { warnings: [] }, "problems" in parsed ? formatProblems(name, parsed.problems) : "");
    t.notMatch(parsed, { problems: [] });
  });
}

t.test("the smallest file gets every default", async (t) => {
  const config = parse(MINIMAL);
  t.strictSame(config.listeners, [{ name: "public", host: "127.0.0.1", port: 8080, tls: undefined }]);
  t.equal(config.transport, "wire");
  t.strictSame(config.admin, { host: "127.0.0.1", port: 9090, token: undefined, people: [] });
  t.strictSame(config.store, { kind: "memory" });
  t.equal(config.name, "crossfade");
  t.equal(config.workers, 0);
  t.equal(config.workerHeapMb, 512);
  t.equal(config.stateDirectory, "/home/ada/.local/state/crossfade");
  t.strictSame(config.identity, [{ kind: "header", name: "x-user-id", trustedOnly: false }, { kind: "cookie" }, { kind: "address" }]);
  t.strictSame(config.identityIgnore, ["anonymous", "none", "null", "undefined", "guest", "unknown"]);
  t.strictSame(config.sticky, { cookie: "crossfade_id", secret: undefined, maxAgeMs: 90 * 86_400_000 });
  t.strictSame(config.limits, {
    headerBytes: 16_384,
    bodyBytes: 104_857_600,
    replayBytes: 1_048_576,
    answerBytes: 4_194_304,
    connections: 10_000,
    headerTimeoutMs: 10_000,
    bodyTimeoutMs: 30_000,
    keepAliveMs: 75_000,
    observedAttempts: 256,
    observedForMs: 5_000,
    idempotencyTtlMs: 86_400_000,
  });
  t.strictSame([config.drainTimeoutMs, config.drainDelayMs], [30_000, 0]);
  t.strictSame(config.accessLog, { enabled: true, samplingBp: 100, user: "hash" });
  t.strictSame(
    [config.trustedHops, config.overrides, config.segmentHeader, config.metricsPrefix, config.responseHeaders],
    [[], [], undefined, undefined, "all"],
  );
  t.strictSame(config.upstreams[0], {
    name: "v1",
    endpoints: [{ secure: false, host: "127.0.0.1", port: 5062, origin: "http://127.0.0.1:5062", ca: undefined }],
    dialect: undefined,
    health: undefined,
    outliers: { consecutive: 5, ejectedForMs: 10_000, mostEjectedBp: 5_000 },
    quality: undefined,
    signs: undefined,
    connectTimeoutMs: 1_000,
    keepAliveMs: 30_000,
    maxConnections: 1_024,
  });
  t.strictSame(config.routes, [
    {
      name: "all",
      match: { methods: [], path: "/", prefix: true },
      action: {
        kind: "split",
        flag: "move",
        stable: { upstream: "v1", path: undefined },
        stableFor: [],
        candidate: { upstream: "v2", path: undefined },
      },
      dialect: undefined,
      idempotent: false,
      timeoutMs: 30_000,
    },
  ]);
  t.strictSame(config.flags, [
    {
      name: "move",
      salt: "move",
      settings: {
        enabled: true,
        killSwitch: false,
        weightBp: 1_000,
        segments: [],
        fallback: {
          enabled: true,
          responseTimeMs: 100,
          errorRateBp: 100,
          accuracyBp: 8_500,
          hedge: false,
          budgetBp: 2_000,
          breaker: "auto",
        },
        samplingBp: 10_000,
      },
      retentionDays: 90,
    },
  ]);
});

t.test("supersmartmatch.yaml routes as its clients expect", async (t) => {
  const config = configOf(
    await loadConfig("config/supersmartmatch.yaml", { V1_URL: "http://v1:5062", CROSSFADE_LISTEN: "[::]:80", CROSSFADE_STORE: "memory" }),
  );
  t.strictSame(config.listeners, [{ name: "public", host: "::", port: 80, tls: undefined }]);
  t.strictSame(config.store, { kind: "memory" });
  t.equal(config.upstreams.find(({ name }) => name === "v1")?.endpoints[0]?.origin, "http://v1:5062");
  const routes = new Map(config.routes.map((entry) => [entry.name, entry]));
  t.strictSame(routes.get("match"), {
    name: "match",
    match: { methods: ["POST"], path: "/api/match", prefix: false },
    action: {
      kind: "split",
      flag: "v2_migration",
      stable: { upstream: "v1", path: "/api/match" },
      stableFor: [],
      candidate: { upstream: "v2", path: "/api/v2/match" },
    },
    dialect: "v1",
    idempotent: true,
    timeoutMs: 5_000,
  });
  t.strictSame(routes.get("nexten")?.match, { methods: [], path: "/api/nexten/", prefix: true });
  t.equal(routes.get("nexten")?.idempotent, false);
  t.strictSame(routes.get("auth")?.action, { kind: "forward", target: { upstream: "v1", path: undefined } });
  t.strictSame(routes.get("health-v1")?.action, { kind: "forward", target: { upstream: "v1", path: "/api/health" } });
  t.match(routes.get("health")?.action, { kind: "respond", status: 200, contentType: "application/json" });
  t.strictSame(config.segmentHeader, {
    name: "x-user-segment",
    values: { beta: "beta_users", enterprise: "enterprise", api_partner: "api_partners" },
  });
  t.strictSame(config.flags[0]?.settings.segments, [
    { name: "beta_users", weightBp: 10_000, override: true },
    { name: "enterprise", weightBp: 0, override: true },
    { name: "api_partners", weightBp: 5_000, override: false },
  ]);
  t.equal(config.metricsPrefix, "supersmartmatch");
});

t.test("a configuration is frozen to its depths and can be handed to a worker", async (t) => {
  const config = configOf(await loadConfig("config/supersmartmatch.yaml", {}));
  const thawed = (value: unknown): boolean =>
    typeof value === "object" && value !== null && (!Object.isFrozen(value) || Object.values(value).some(thawed));
  t.notOk(thawed(config));
  t.strictSame(structuredClone(config), config);
});

t.test("every mistake is reported at once, in the order of the file, at its line", async (t) => {
  const problems = problemsOf(`listeners:
  - { address: 8080 }
worker: 4
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062], helth: { path: / } }
routes:
  - name: match
    match: { path: /api/match }
    stable: v1
    candidate: v2
    flag: move
    timeout: 5
flags:
  move:
    rollout_percentage: 101
`);
  t.strictSame(
    problems.map(({ path, line, column }) => `${line}:${column} ${path}`),
    [
      "2:16 listeners[0].address",
      "3:1 worker",
      "5:45 upstreams.v1.helth",
      "10:16 routes[0].candidate",
      "12:14 routes[0].timeout",
      "15:25 flags.move.rollout_percentage",
    ],
  );
  t.match(messageAt(problems, "listeners[0].address"), "write 127.0.0.1:8080 for this machine only or 0.0.0.0:8080 for all");
  t.match(messageAt(problems, "worker"), "did you mean workers?");
  t.match(messageAt(problems, "upstreams.v1.helth"), "did you mean health?");
  t.match(messageAt(problems, "routes[0].candidate"), 'upstream "v2" is not known; known: v1');
  t.match(messageAt(problems, "routes[0].timeout"), "5 has no unit; write 5ms, 5s or 5m");
  t.match(messageAt(problems, "flags.move.rollout_percentage"), "101 is out of range; expected a percentage from 0 to 100");
  t.equal(formatProblems("c.yaml", problems).split("\n")[1], "c.yaml:3:1 worker: is not a known key; did you mean workers?");
});

t.test("what is not YAML is a problem with a place", async (t) => {
  t.match(problemsOf(`${MINIMAL}name: a\nname: b\n`), [{ line: 10, message: "this key is given twice; keep one of the two" }]);
  t.match(problemsOf("routes: [\n"), [{ line: 2, message: /^is not YAML/ }]);
  t.match(problemsOf("\troutes: 5\n"), [{ line: 1, message: /use spaces/ }]);
  t.match(problemsOf("a: 1\n---\nb: 2\n"), [{ message: /second document/ }]);
  t.match(problemsOf("admin: { address: ${A:-b} }\n"), [{ line: 1, message: /a placeholder needs quotes/ }]);
  t.match(problemsOf("a: &x [*x]\n"), [{ path: "a", message: /nested too deeply/ }]);
  t.match(problemsOf(`${MINIMAL}name: *nobody\n`), [{ path: "name", message: /has no anchor/ }]);
  t.match(problemsOf("[".repeat(5_000)), [{}]);
  t.match(problemsOf(""), [{ path: "", message: /is empty/ }]);
  t.match(problemsOf("5"), [{ path: "", message: /is not a mapping/ }]);
  t.match(problemsOf(`${MINIMAL}__proto__: { name: x }\n`), [{ path: "__proto__", message: /cannot be a key/ }]);
});

t.test("a key given twice does not hide other mistakes", async (t) => {
  const problems = problemsOf(`${MINIMAL}name: a\nname: b\nworkers: many\n`);
  t.equal(problems.length, 2);
  t.match(messageAt(problems, "workers"), "from 1 to 64, or auto");
});

t.test("placeholders are filled in from the environment", async (t) => {
  const text = `${MINIMAL}name: \${NAME}\nworkers: \${WORKERS:-3}\naccess_log: { enabled: "\${LOG:-false}" }\nstate_directory: /\${A:-}x$\${y}\n`;
  const config = parse(text, { NAME: "edge", WORKERS: "" });
  t.equal(config.name, "edge");
  t.equal(config.workers, 3, "an empty variable counts as missing where there is a default");
  t.equal(config.accessLog.enabled, false);
  t.equal(config.stateDirectory, "/x${y}");
  t.equal(parse(text, { NAME: "edge", WORKERS: "5", LOG: "true" }).workers, 5);
});

t.test("a placeholder that cannot be filled is one problem, not two", async (t) => {
  t.match(problemsOf(`${MINIMAL}workers: \${WORKERZ}\n`, { WORKERS: "4" }), [
    {
      path: "workers",
      line: 9,
      message: 'the environment variable WORKERZ is not set; set it, or write ${WORKERZ:-default} (did you mean "WORKERS"?)',
    },
  ]);
  t.match(problemsOf(`${MINIMAL}name: \${A\n`), [{ path: "name", message: /begins no placeholder/ }]);
  t.match(problemsOf(`${MINIMAL}name: \${A:-\${HOME}}\n`), [{ path: "name", message: /not nested/ }]);
  t.match(problemsOf(`${MINIMAL}name: \${toString}\n`), [{ path: "name", message: /toString is not set/ }]);
});

t.test("each store is understood, and a cluster refused", async (t) => {
  const store = (given: unknown) => parse(file({ store: given })).store;
  t.strictSame(store("memory"), { kind: "memory" });
  t.strictSame(store("redis://127.0.0.1:6379"), { kind: "redis", url: "redis://127.0.0.1:6379" });
  t.strictSame(store("rediss://user:secret@redis.internal/2"), { kind: "redis", url: "rediss://user:secret@redis.internal/2" });
  t.strictSame(store("redis://my-cluster.internal"), { kind: "redis", url: "redis://my-cluster.internal" });
  t.strictSame(store({ sentinels: ["10.0.0.1:26379", "[::1]:26380"], master: "mymaster", password: "" }), {
    kind: "sentinel",
    sentinels: [
      { host: "10.0.0.1", port: 26_379 },
      { host: "::1", port: 26_380 },
    ],
    master: "mymaster",
    username: undefined,
    password: undefined,
    sentinelPassword: undefined,
    db: 0,
  });
  const refused = (given: unknown, path = "store") => messageAt(problemsOf(file({ store: given })), path);
  t.match(refused("redis://a:1,redis://b:2"), "Redis Cluster");
  t.match(refused({ cluster: ["a:1"] }, "store.cluster"), "Redis Cluster is not supported in this version");
  t.match(refused({ master: "m" }, "store.sentinels"), "is missing; expected a list");
  t.match(refused("redis.internal:6379"), "write redis://redis.internal:6379");
  t.match(refused("redis://h/x"), "must be the number of a database");
  t.match(refused(["redis://h"]), "found a list");
  t.match(refused("http://h"), "is not a store");
});

t.test("no message repeats a password", async (t) => {
  for (const store of ["redis://:hunter2/x@h:1", "redis://u:hunter2@h/x", "http://u:hunter2@h", "redis://u:hunter2@"]) {
    const problems = problemsOf(
      file({
        store,
        admin: { token: "hunter2" },
        sticky: { secret: "hunter2 and a blank" },
        upstreams: { v1: { endpoints: ["http://u:hunter2@h"] } },
      }),
    );
    t.match(problems, { length: 5 });
    t.notMatch(formatProblems("f", problems), "hunter2");
  }
});

t.test("addresses are checked against each other", async (t) => {
  const at = (change: Record<string, unknown>, path: string) => messageAt(problemsOf(file(change)), path);
  const listeners = (...addresses: string[]) => addresses.map((address, index) => ({ name: `l${index}`, address }));
  t.match(at({ listeners: listeners("127.0.0.1:80", "localhost:80") }, "listeners[1].address"), "localhost:80 collides with listeners[0]");
  t.match(at({ listeners: listeners("0.0.0.0:80", "127.0.0.1:80") }, "listeners[1].address"), "use another port");
  t.match(at({ listeners: listeners("0.0.0.0:9090") }, "admin.address"), "collides with listeners[0] on 0.0.0.0:9090");
  t.match(at({ admin: { address: "127.0.0.1:8080" } }, "admin.address"), "collides with listeners[0] on 127.0.0.1:8080");
  t.match(at({ listeners: [{ address: "a:1" }, { address: "b:1" }] }, "listeners[1].name"), "already the name of listeners[0]");
  t.match(at({ listeners: [] }, "listeners"), "is empty; expected a list");
  t.strictSame(problemsOf(file({ listeners: listeners("127.0.0.1:0", "127.0.0.1:0"), admin: { address: "127.0.0.1:0" } })), []);
  t.strictSame(problemsOf(file({ listeners: listeners("10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:81") })), []);
  for (const address of ["h", "h:", "h:70000", "256.1.1.1:80", "::1:80", "[v]:1", ":80", "a b:1"])
    t.not(problemsOf(file({ listeners: [{ name: "x", address }] })).length, 0, address);
});

t.test("an admin side that others can reach needs a token", async (t) => {
  for (const address of ["0.0.0.0:9090", "10.1.2.3:9090", "[::]:9090", "admin.internal:9090"]) {
    t.match(messageAt(problemsOf(file({ admin: { address } })), "admin.address"), "set admin.token, or use 127.0.0.1:9090");
    t.match(messageAt(problemsOf(file({ admin: { address, token: "" } })), "admin.address"), "set admin.token");
    t.equal(parse(file({ admin: { address, token: "correct-horse" } })).admin.token, "correct-horse");
  }
  for (const address of ["127.0.0.1:9090", "127.8.8.8:9090", "[::1]:9090", "localhost:9090"])
    t.strictSame(problemsOf(file({ admin: { address } })), []);
});

t.test("a route does one thing, and wholly", async (t) => {
  const refused = (change: Record<string, unknown>, path: string) => messageAt(problemsOf(file({ routes: [route(change)] })), path);
  t.match(refused({}, "routes[0]"), "says nothing about what to do; a route either splits");
  t.match(refused({ upstream: "v1", respond: {} }, "routes[0]"), "has upstream and respond");
  t.match(
    refused({ upstream: "v1", stable: "v1", candidate: "v2", flag: "move" }, "routes[0]"),
    "has stable and candidate and flag and upstream",
  );
  for (const missing of ["stable", "candidate", "flag"]) {
    const { [missing]: _, ...rest } = { stable: "v1", candidate: "v2", flag: "move" } as Record<string, string>;
    t.match(refused(rest, `routes[0].${missing}`), "a route that splits needs stable, candidate and flag");
  }
  t.match(refused({ respond: {}, path: "/x" }, "routes[0].path"), "leave it out");
  t.match(refused({ respond: { status: 204, body: "x" } }, "routes[0].respond.body"), "has no body");
  t.match(refused({ stable: "v1", candidate: { upstrem: "v2" }, flag: "move" }, "routes[0].candidate.upstrem"), "did you mean upstream?");
  t.match(
    refused({ stable: 5, candidate: ["v2"], flag: "move" }, "routes[0].candidate"),
    "expected the name of an upstream, or a mapping such as { upstream: v2, path: /api/v2/match }, found a list",
  );
  t.match(refused({ upstream: "v1", name: "a b" }, "routes[0].name"), "a letter, then letters");
});

t.test("a route names only what exists", async (t) => {
  const problems = problemsOf(
    file({
      routes: [
        route({ stable: "v1", candidate: { upstream: "vv2" }, flag: "mvoe" }),
        route({ name: "s", match: { path: "/s" }, upstream: "legacy" }),
      ],
    }),
  );
  t.match(messageAt(problems, "routes[0].candidate.upstream"), 'upstream "vv2" is not known; did you mean "v2"?');
  t.match(messageAt(problems, "routes[0].flag"), 'flag "mvoe" is not known');
  t.match(messageAt(problems, "routes[1].upstream"), "known: v1, v2");
  t.match(messageAt(problemsOf(file({ flags: undefined })), "routes[0].flag"), "define it: flags: { move:");
  const broken = problemsOf(file({ upstreams: { v1: { endpoints: [] }, v2: 5 } })).map(({ path }) => path);
  t.strictSame(broken, ["upstreams.v1.endpoints", "upstreams.v2"], "an upstream with a mistake is still known by name");
});

t.test("paths are rewritten like for like", async (t) => {
  const refused = (match: string, path: string) =>
    messageAt(
      problemsOf(
        file({ routes: [{ name: "r", match: { path: match }, stable: "v1", candidate: { upstream: "v2", path }, flag: "move" }] }),
      ),
      "routes[0].candidate.path",
    );
  t.match(refused("/a", "/b/**"), "leave /** out here, or match a prefix");
  t.match(refused("/a/**", "/b"), "must end in /**");
  t.match(refused("/a", "b"), "does not start with /");
  t.match(refused("/a", "/b/*"), "the only wildcard is /** at the end");
  t.match(refused("/a", "/b?c=d"), "is not a plain path");
  t.match(refused("/a", "/é"), "is not a plain path");
  const config = parse(file({ routes: [route({ match: { path: "/a/**" }, upstream: "v1", path: "/b/c/**" })] }));
  t.strictSame(config.routes[0]?.action, { kind: "forward", target: { upstream: "v1", path: "/b/c/" } });
});

t.test("a route that an earlier one shadows is an error", async (t) => {
  const shadowed = (...matches: Record<string, unknown>[]) =>
    problemsOf(file({ routes: matches.map((match, index) => ({ name: `r${index}`, match, upstream: "v1" })) })).map(
      ({ path, message }) => `${path} ${/routes\[\d\]/.exec(message)?.[0] ?? message}`,
    );
  t.strictSame(shadowed({ path: "/api/**" }, { path: "/api/match" }), ["routes[1].match routes[0]"]);
  t.strictSame(shadowed({ path: "/**" }, { path: "/api/**" }), ["routes[1].match routes[0]"]);
  t.strictSame(shadowed({ path: "/a" }, { methods: ["GET"], path: "/a" }), ["routes[1].match routes[0]"]);
  t.strictSame(shadowed({ methods: ["get"], path: "/**" }, { methods: ["POST"], path: "/a" }, { methods: ["GET", "POST"], path: "/a" }), [
    "routes[2].match routes[1]",
  ]);
  t.strictSame(shadowed({ path: "/api/match" }, { path: "/api/**" }, { path: "/**" }), []);
  t.strictSame(shadowed({ methods: ["GET"], path: "/a" }, { path: "/a" }), []);
  t.strictSame(shadowed({ path: "/api/**" }, { path: "/api" }, { path: "/apis" }), ["routes[1].match routes[0]"]);
  const named = problemsOf(file({ routes: [route({ upstream: "v1" }), route({ upstream: "v2", match: { path: "/q" } })] }));
  t.match(named, [{ path: "routes[1].name", message: /already the name of routes\[0\]/ }]);
});

const spoken = (text: string, more = ""): string => `
upstreams: { v1: { endpoints: [http://a]${text} }, v2: { endpoints: [http://b], dialect: v2 } }
routes: [{ name: match, match: { path: /m }, dialect: v1, stable: v1, candidate: { upstream: v2 }, flag: move }]
flags: { move: {} }
${more}`;

t.test("a dialect must be known, and both sides should say what they speak", async (t) => {
  t.strictSame(warningsOf(spoken(", dialect: v1")), []);
  t.match(warningsOf(spoken("")), [{ path: "routes[0].dialect", message: /nothing says what v1 speaks/ }]);
  t.match(messageAt(problemsOf(spoken(", dialect: v3")), "upstreams.v1.dialect"), /"v3" is not known; known: v1, v1-offers/);
  t.match(messageAt(problemsOf(spoken(", dialect: ours", "dialects: { ours: no/such.mjs }")), "dialects.ours"), /no\/such\.mjs/);
  t.match(messageAt(problemsOf(spoken(", dialect: v1", "dialects: { v2: ours.mjs }")), "dialects.v2"), /comes with the program/);
});

t.test("signs must know where to look", async (t) => {
  const signs = (text: string): string => spoken(`, signs: { ${text} }`);
  t.match(messageAt(problemsOf(signs("enabled: [success-false]")), "upstreams.v1.signs.enabled[0]"), /paths: \{ success: \.\.\. \}/);
  t.match(
    messageAt(problemsOf(signs("enabled: [foreign-ids]")), "upstreams.v1.signs.enabled[0]"),
    /answer_ids: \.\.\., request_ids: \.\.\./,
  );
  t.match(parse(signs("enabled: [not-json, success-false], paths: { success: /ok }")).upstreams[0]?.signs, {
    enabled: ["not-json", "success-false"],
    paths: { success: "/ok" },
    confidenceAtMost: 0.6,
  });
  t.match(messageAt(problemsOf(signs("enabled: [succes-false]")), "upstreams.v1.signs.enabled[0]"), /expected/);
});

t.test("another stable upstream has one condition and must exist", async (t) => {
  const routed = (text: string): string => `
upstreams: { v1: { endpoints: [http://a] }, v2: { endpoints: [http://b] }, nexten: { endpoints: [http://c] } }
routes: [{ name: match, match: { path: /m }, stable: v1, stable_for: [{ ${text} }], candidate: v2, flag: move }]
flags: { move: {} }`;
  t.match(parse(routed("body: /questionnaire, upstream: nexten, path: /match")).routes[0]?.action, {
    stableFor: [{ when: { kind: "body", pointer: "/questionnaire" }, target: { upstream: "nexten", path: "/match" } }],
  });
  t.match(messageAt(problemsOf(routed("upstream: nexten")), "routes[0].stable_for[0]"), /has none of body, header and query/);
  t.match(messageAt(problemsOf(routed("body: /a, header: x, upstream: nexten")), "routes[0].stable_for[0]"), /has body and header/);
  t.match(messageAt(problemsOf(routed("query: q, upstream: nextem")), "routes[0].stable_for[0].upstream"), /nexten/);
  t.match(messageAt(problemsOf(routed("query: q, upstream: nexten, path: /a/**")), "routes[0].stable_for[0].path"), /single path/);
});

t.test("a healthy endpoint may have to answer more than 2xx", async (t) => {
  const checked = (health: string) => parse(spoken(`, dialect: v1, health: { path: /h, ${health} }`)).upstreams[0]?.health;
  t.match(checked("status: [200, 204], field: { pointer: /status, equals: healthy }"), {
    statuses: [200, 204],
    field: { pointer: "/status", equals: "healthy" },
  });
  t.equal(checked("field: { pointer: /ok, equals: true }")?.field?.equals, true);
  t.equal(checked("field: { pointer: /version, equals: '007' }")?.field?.equals, "007");
});

t.test("who is asked for a key", async (t) => {
  const identity = (...sources: unknown[]) => file({ identity: sources });
  t.strictSame(parse(identity("trusted-header:X-User", "query:user_id", "cookie", "address")).identity, [
    { kind: "header", name: "x-user", trustedOnly: true },
    { kind: "query", name: "user_id" },
    { kind: "cookie" },
    { kind: "address" },
  ]);
  const refused = (source: unknown) => messageAt(problemsOf(identity(source)), "identity[0]");
  const passedOver = (...sources: unknown[]) => warningsOf(identity(...sources));
  t.match(passedOver("claim:user_id", "cookie"), [{ path: "identity[0]", message: /tokens are not verified in this version/ }]);
  t.strictSame(parse(identity("claim:user_id", "cookie")).identity, [{ kind: "cookie" }]);
  t.match(refused("claim:user_id"), "no source is left");
  t.match(refused("heder:x"), "did you mean header?");
  t.match(refused("header:"), "write it like header:x-user-id");
  t.match(refused("header:a b"), "write it like header:x-user-id");
  t.match(refused("cookie:x"), "write cookie");
  t.match(refused({ header: "x" }), "expected header:NAME");
  t.match(messageAt(problemsOf(identity("header:A", "header:a")), "identity[1]"), "is in the list twice");
  t.strictSame(parse(`${MINIMAL}identity_ignore: [Nobody, null, ~, "", 0]\n`).identityIgnore, ["nobody", "null", "null", "0"]);
});

t.test("trusted networks are kept in CIDR form", async (t) => {
  t.strictSame(parse(file({ trusted_hops: ["10.0.0.7", "10.0.0.0/8", "::1", "fd00::/8"] })).trustedHops, [
    "10.0.0.7/32",
    "10.0.0.0/8",
    "::1/128",
    "fd00::/8",
  ]);
  for (const bad of ["10.0.0.0/33", "10.1", "10.0.0.0/", "::/129", "host", "1.2.3.4/8/8", 7]) {
    t.match(problemsOf(file({ trusted_hops: [bad] })), [{ path: "trusted_hops[0]" }], String(bad));
  }
});

t.test("segments and overrides", async (t) => {
  const flags = { move: { user_segments: { beta_users: { percentage: "12.5%" }, partners: { percentage: 50, override_global: true } } } };
  const good = parse(
    file({
      flags,
      trusted_hops: ["10.0.0.0/8"],
      segment_header: { name: "X-Seg", values: { Beta: "beta_users" } },
      overrides: [{ header: "X-Arm", value: "V2", arm: "candidate" }],
    }),
  );
  t.strictSame(good.flags[0]?.settings.segments, [
    { name: "beta_users", weightBp: 1_250, override: false },
    { name: "partners", weightBp: 5_000, override: true },
  ]);
  t.strictSame(good.segmentHeader, { name: "x-seg", values: { beta: "beta_users" } });
  t.strictSame(good.overrides, [{ source: "header", name: "x-arm", value: "V2", arm: "candidate" }]);
  const problems = problemsOf(
    file({
      flags: { move: { user_segments: { ...flags.move.user_segments, none: { percentage: 5 } } } },
      segment_header: { name: "x", values: { a: "beta_user", b: "partners", B: "partners" } },
      overrides: [
        { value: "v", arm: "stable" },
        { query: "q", header: "h", value: "v", arm: "stable" },
        { query: "q", value: "v", arm: "both" },
        { query: "q", value: "v", arm: "stable" },
      ],
    }),
  );
  t.match(messageAt(problems, "flags.move.user_segments.none"), "choose another");
  t.match(messageAt(problems, "segment_header.values.a"), 'did you mean "beta_users"?');
  t.match(messageAt(problems, "segment_header.values.B"), "is given twice");
  t.match(messageAt(problems, "overrides[0]"), "neither header nor query");
  t.match(messageAt(problems, "overrides[1]"), "both header and query");
  t.match(messageAt(problems, "overrides[2].arm"), "expected stable or candidate");
  t.match(messageAt(problems, "overrides[3]"), "the same as overrides[2]");
});

t.test("backends are addresses and nothing else", async (t) => {
  const refused = (url: unknown) =>
    messageAt(problemsOf(file({ upstreams: { v1: { endpoints: [url] }, v2: { endpoints: ["http://h"] } } })), "upstreams.v1.endpoints[0]");
  t.match(refused("127.0.0.1:5062"), "write http://127.0.0.1:5062 or https://127.0.0.1:5062");
  t.match(refused("http://h/api"), "has a path");
  t.match(refused("http://h/?a=b"), "has a query");
  t.match(refused("http://u:p@h"), "holds credentials");
  t.match(refused("ftp://h"), "is not a backend's address");
  t.match(refused("http://h:99999"), "is not a backend's address");
  t.match(refused("http://h:0"), "has port 0");
  const endpoints = parse(file({ upstreams: { v1: { endpoints: ["https://h", "http://[::1]:81"] }, v2: { endpoints: ["http://h"] } } }))
    .upstreams[0]?.endpoints;
  t.strictSame(endpoints, [
    { secure: true, host: "h", port: 443, origin: "https://h", ca: undefined },
    { secure: false, host: "::1", port: 81, origin: "http://[::1]:81", ca: undefined },
  ]);
  t.match(
    messageAt(problemsOf(file({ upstreams: { v1: { endpoints: ["http://h", "http://h"] }, v2: 5 } })), "upstreams.v1.endpoints[1]"),
    "twice",
  );
});

t.test("values out of range, absent and zero", async (t) => {
  const limits = (change: Record<string, unknown>) => file({ limits: change });
  t.equal(parse(limits({ body_bytes: 0, replay_bytes: 0, observed_attempts: 0 })).limits.bodyBytes, 0);
  t.match(messageAt(problemsOf(limits({ connections: 0 })), "limits.connections"), "0 is out of range; expected a whole number from 1");
  t.match(
    messageAt(problemsOf(limits({ header_timeout: 0 })), "limits.header_timeout"),
    "0 is out of range; expected a duration from 100ms",
  );
  // Without keep-alive the engine would keep idle clients for ever, and could not open a connection to an upstream.
  t.match(messageAt(problemsOf(limits({ keep_alive: 0 })), "limits.keep_alive"), "0 is out of range; expected a duration from 1s");
  const idle = { endpoints: ["http://127.0.0.1:5062"], keep_alive: 0 };
  t.match(messageAt(problemsOf(file({ upstreams: { v1: idle, v2: idle } })), "upstreams.v1.keep_alive"), "expected a duration from 1ms");
  t.match(messageAt(problemsOf(limits({ header_bytes: "16KB2" })), "limits.header_bytes"), "is not a size");
  t.match(messageAt(problemsOf(limits({ connections: null })), "limits.connections"), "is empty; expected a whole number");
  t.match(messageAt(problemsOf(file({ limits: null })), "limits"), "is empty; expected a mapping such as");
  t.match(messageAt(problemsOf(file({ worker_heap: "1MiB" })), "worker_heap"), "out of range");
  t.match(messageAt(problemsOf(file({ transport: "io_uring" })), "transport"), "expected wire or node");
  t.equal(parse(file({ transport: "node" })).transport, "node");
  t.match(messageAt(problemsOf(file({ sticky: { secret: "short" } })), "sticky.secret"), "has 5 characters; expected at least 16");
  t.match(messageAt(problemsOf(file({ metrics: { prefix: "crossfade" } })), "metrics.prefix"), "not crossfade");
  t.match(messageAt(problemsOf(file({ access_log: { enabled: "perhaps" } })), "access_log.enabled"), "neither true nor false");
  t.strictSame(
    [0, 100, "0.01", "99.99%"].map(
      (percentage) => parse(file({ flags: { move: { rollout_percentage: percentage } } })).flags[0]?.settings.weightBp,
    ),
    [0, 10_000, 1, 9_999],
  );
  t.equal(parse(file({ flags: { move: { monitoring_enhanced: { enabled: false } } } })).flags[0]?.settings.samplingBp, 0);
  t.equal(parse(file({ workers: 64 })).workers, 64);
  t.equal(parse(file({ workers: "auto" })).workers, 0);
});

t.test("the state directory follows the XDG rules", async (t) => {
  const directory = (environment: Record<string, string>, given?: string) =>
    parse(file({ state_directory: given }), environment).stateDirectory;
  t.equal(directory({ XDG_STATE_HOME: "/x", HOME: "/h" }), "/x/crossfade");
  t.equal(directory({ XDG_STATE_HOME: "x", HOME: "/h" }), "/h/.local/state/crossfade");
  t.equal(directory({}), "/var/lib/crossfade");
  t.equal(directory({ HOME: "/h" }, "~/state"), "/h/state");
  t.equal(directory({ HOME: "/h" }, "/srv/state"), "/srv/state");
});

t.test("what is allowed but probably not meant is a warning", async (t) => {
  const warned = (change: Record<string, unknown>) => warningsOf(file(change)).map(({ path }) => path);
  t.strictSame(warned({}), []);
  t.strictSame(warned({ trusted_hops: ["0.0.0.0/0"] }), ["trusted_hops[0]"]);
  t.strictSame(warned({ overrides: [{ query: "v", value: "2", arm: "stable" }] }), ["overrides"]);
  t.strictSame(warned({ identity: ["trusted-header:x"] }), ["identity[0]"]);
  const accuracy = (given: unknown) => warned({ flags: { move: { fallback_system: { conditions: { accuracy: given } } } } });
  t.strictSame(accuracy(0.85), ["flags.move.fallback_system.conditions.accuracy"], "0.85 was to mean 85 %");
  t.strictSame([...accuracy(0), ...accuracy(50), ...accuracy("85%")], []);
  t.strictSame(warned({ identity: ["address", "cookie"] }), ["identity[1]"]);
  t.strictSame(
    warned({
      upstreams: { v1: { endpoints: ["http://a"] }, v2: { endpoints: ["http://b"] }, v3: { endpoints: ["http://c"] } },
      flags: { move: {}, other: {} },
    }),
    ["upstreams.v3", "flags.other"],
  );
  t.strictSame(
    warned({
      routes: [{ name: "all", match: { path: "/**" }, stable: "v1", candidate: "v1", flag: "move", timeout: "50ms" }],
      upstreams: { v1: { endpoints: ["http://a"] } },
    }),
    ["routes[0].candidate", "routes[0].timeout"],
  );
});

t.test("a file that cannot be read says why", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "crossfade-config-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  t.match(await loadConfig(join(directory, "none.yaml"), {}), { problems: [{ path: "", line: 0, message: /does not exist/ }] });
  t.match(await loadConfig(directory, {}), { problems: [{ message: /is a directory/ }] });
  const path = join(directory, "config.yaml");
  writeFileSync(path, MINIMAL);
  t.match(await loadConfig(path, {}), { config: { name: "crossfade" } });
  writeFileSync(path, Buffer.from(MINIMAL, "utf16le").fill(0xff, 0, 1));
  t.match(await loadConfig(path, {}), { problems: [{ message: /is not text in UTF-8; save it as UTF-8/ }] });
  writeFileSync(path, `\ufeff${MINIMAL.replaceAll("\n", "\r\n")}`);
  t.match(await loadConfig(path, {}), { config: { name: "crossfade" } }, "a byte order mark and CRLF do no harm");
  t.equal(formatProblems("none.yaml", [{ path: "", line: 0, column: 0, message: "does not exist" }]), "none.yaml: does not exist");
});

t.test("docs/configuration.md and the JSON Schema are current", async (t) => {
  t.equal(readFileSync("docs/configuration.md", "utf8"), referenceText(), "run: node src/config/generate.ts");
  t.equal(readFileSync("config/crossfade.schema.json", "utf8"), jsonSchemaText(), "run: node src/config/generate.ts");
  t.doesNotThrow(() => execFileSync(process.execPath, ["src/config/generate.ts", "--check"]));
});

t.test("every field of the JSON Schema has a description", async (t) => {
  const bare: string[] = [];
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== "object" || node === null) return;
    for (const [key, child] of Object.entries(
      "properties" in node && typeof node.properties === "object" && node.properties !== null ? node.properties : {},
    )) {
      if (typeof child !== "object" || child === null || !("description" in child)) bare.push(`${path}.${key}`);
      walk(child, `${path}.${key}`);
    }
    if ("items" in node) walk(node.items, `${path}[]`);
    if ("additionalProperties" in node) walk(node.additionalProperties, `${path}.*`);
    if ("anyOf" in node && Array.isArray(node.anyOf)) for (const form of node.anyOf) walk(form, path);
  };
  walk(JSON.parse(jsonSchemaText()), "");
  t.strictSame(bare, []);
});

/** Whatever the text, the answer is a frozen configuration or a list of problems in people's words. */
function isAnswered(text: string): boolean {
  const parsed = parseConfig(text, ENVIRONMENT);
  if ("config" in parsed) return Object.isFrozen(parsed.config) && Object.isFrozen(parsed.config.routes);
  const inOrder = parsed.problems.every(({ line }, index) => index === 0 || (parsed.problems[index - 1]?.line ?? 0) <= line);
  const inWords = parsed.problems.every(
    ({ message }) => message !== "" && !/Invalid (input|key|option)|Unrecognized|Too (small|big)|undefined|\[object/i.test(message),
  );
  return parsed.problems.length > 0 && inOrder && inWords;
}

const SEED = readFileSync("config/supersmartmatch.yaml", "utf8");

t.test("no text makes the parser throw", async (t) => {
  const fragment = fc.constantFrom(
    "${",
    "${X:-",
    "}",
    "{",
    "[",
    "]",
    "&a ",
    "*a",
    "? ",
    "- ",
    ": ",
    "\n",
    "\t",
    "!!binary ",
    "!x ",
    '"',
    "'",
    "|",
    ">",
    "~",
    "<<: ",
    "---\n",
    "#",
    "routes",
    "flags",
    "0x1F",
    ".nan",
    "1e999",
    "\u0000",
    "😀",
    "constructor",
  );
  const noise = fc.array(fc.oneof(fragment, fc.string({ maxLength: 8 })), { maxLength: 30 }).map((parts) => parts.join(""));
  fc.assert(fc.property(noise, isAnswered), { numRuns: 200 });
  const edit = fc.record({ at: fc.nat(SEED.length), length: fc.nat(40), insert: fc.oneof(fragment, fc.string({ maxLength: 8 })) });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let text = SEED;
      for (const { at, length, insert } of edits) text = text.slice(0, at) + insert + text.slice(at + length);
      return isAnswered(text);
    }),
    { numRuns: 150 },
  );
  t.pass();
});

t.test("no value in place of another makes the parser throw", async (t) => {
  const value = fc.oneof(
    fc.constantFrom(null, true, 0, -1, 101, 1.5, "", "x", [], {}, ["x"], { x: 1 }, [[]], "constructor", "${HOME}"),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const seed = { ...JSON.parse(JSON.stringify(parseToData())), store: { sentinels: ["h:1"], master: "m" } };
  const paths = pathsOf(seed);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...paths), value), { minLength: 1, maxLength: 3 }), (changes) => {
      let data: unknown = seed;
      for (const [path, replacement] of changes) data = replaced(data, path, replacement);
      return isAnswered(JSON.stringify(data));
    }),
    { numRuns: 200 },
  );
  t.pass();
});

/** A file in which every kind of section occurs. */
function parseToData(): unknown {
  return {
    name: "n",
    listeners: [{ name: "l", address: "127.0.0.1:1" }],
    admin: { address: "127.0.0.1:2", token: "12345678" },
    trusted_hops: ["10.0.0.0/8"],
    upstreams: { v1: { endpoints: ["http://h"], health: { path: "/" }, quality: { pointer: "/a" } } },
    routes: [
      { name: "a", match: { methods: ["GET"], path: "/a/**" }, stable: { upstream: "v1", path: "/b/**" }, candidate: "v1", flag: "f" },
      { name: "b", match: { path: "/c" }, upstream: "v1", path: "/d" },
      { name: "c", match: { path: "/e" }, respond: { status: 200, body: "x" } },
    ],
    identity: ["header:x"],
    identity_ignore: ["x"],
    sticky: { secret: "1234567890123456" },
    segment_header: { name: "s", values: { a: "seg" } },
    overrides: [{ header: "h", value: "v", arm: "stable" }],
    limits: { body_bytes: 5 },
    flags: { f: { user_segments: { seg: { percentage: 5 } }, fallback_system: { conditions: { response_time: "1s" } } } },
  };
}

function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [...(path.length > 0 ? [path] : []), ...Object.entries(value).flatMap(([key, child]) => pathsOf(child, [...path, key]))];
}

function replaced(data: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  if (Array.isArray(data)) return data.map((item, index) => (String(index) === key ? replaced(item, rest, value) : item));
  if (typeof data === "object" && data !== null)
    return Object.fromEntries(Object.entries(data).map(([name, child]) => [name, name === key ? replaced(child, rest, value) : child]));
  return data;
}

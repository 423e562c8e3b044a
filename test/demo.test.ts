import { createTranslation, type Translation } from "../src/dialects/translation.ts";
import { v1 as v1Dialect } from "../src/dialects/v1.ts";
import { v2 as v2Dialect } from "../src/dialects/v2.ts";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { runDemo } from "../src/demo/demo.ts";
import { createPeople, sampleBody } from "../src/demo/people.ts";
import { describeMoves } from "../src/demo/ports.ts";
import { demoConfig } from "../src/demo/settings.ts";
import { startSimulator } from "../src/demo/simulators/simulator.ts";
import { Tally, type Seen } from "../src/demo/tally.ts";
import { Traffic } from "../src/demo/traffic.ts";
import { renderLine, renderView, type ViewModel } from "../src/demo/view.ts";

const QUIET = {
  seconds: 0,
  requests: 0,
  failed: 0,
  byArm: {},
  byServed: {},
  byReason: {},
  fallbacks: {},
  bySegment: [],
  p50: Number.NaN,
  p95: Number.NaN,
  p99: Number.NaN,
};

const MODEL: ViewModel = {
  proxyUrl: "http://127.0.0.1:8080",
  adminUrl: "http://127.0.0.1:9090",
  notes: ["port 5062 is taken, so v1 runs on 40001"],
  flag: {
    flag: "v2_migration",
    revision: 3,
    enabled: true,
    killed: false,
    percentage: 25,
    segments: [
      { name: "beta_users", percentage: 100, override: true, members: 0 },
      { name: "api_partners", percentage: 50, override: false, members: 0 },
    ],
  },
  traffic: {
    route: "match",
    requests: 5_000,
    byAssigned: { stable: 3_700, candidate: 1_300 },
    byServed: { stable: 3_720, candidate: 1_280 },
    bySegment: [],
    byOutcome: { ok: 5_000 },
    fallbacks: { latency: 12, quality: 8 },
    attempts: [
      { upstream: "v1", count: 3_720, p50: 41.2, p95: 88, p99: 120 },
      { upstream: "v2", count: 1_300, p50: 29, p95: 64, p99: 91 },
    ],
  },
  recent: {
    seconds: 30,
    requests: 1_200,
    failed: 0,
    byArm: { stable: 900, candidate: 300 },
    byServed: { v1: 910, v2: 290 },
    byReason: { percentage: 1_000, segment: 200 },
    fallbacks: { quality: 10 },
    bySegment: [
      { segment: "beta_users", stable: 0, candidate: 60 },
      { segment: "none", stable: 900, candidate: 240 },
    ],
    p50: 38.4,
    p95: 86,
    p99: 133,
  },
  backends: [
    { name: "v1", url: "http://127.0.0.1:5062", fault: "none" },
    { name: "v2", url: "http://127.0.0.1:5070", fault: "hang" },
  ],
  tries: [{ about: "break V2", command: [`curl ${"x".repeat(200)}`] }],
};

t.test("the view shows split, percentiles, fallbacks, revision and what to try", async (t) => {
  const view = renderView(MODEL, 100);
  for (const expected of [
    /flag +v2_migration +25 % of users on candidate +revision 3/,
    /note: port 5062 is taken/,
    /\(no segment\) +25 % +█{4}░{16} +21\.1 % +900 +240/,
    /beta_users +100 % +█{20} +100\.0 % +0 +60/,
    /^all +█{5}░{15} +25\.0 %/m,
    /v1, since the start +41 +88 +120 +3720/,
    /v2, since the start +29 +64 +91 +1300/,
    /clients, last 30 s +38 +86 +133 +1200/,
    /fallbacks +last 30 s: quality 10 +since the start: 20/,
    /answers +last 30 s: v1 910, v2 290; failed 0 +broken: v2 HANG/,
  ]) {
    t.match(view, expected);
  }
});

t.test("lines fit the terminal, except commands, which are never cut", async (t) => {
  for (const width of [20, 60, 80, 200]) {
    const lines = renderView(MODEL, width).split("\n");
    const tooLong = lines.filter(
      (line) => line.length > width && !line.startsWith("    curl") && !line.startsWith("  break") && !line.startsWith("Try"),
    );
    t.same(tooLong, [], `${width} columns`);
    t.ok(lines.some((line) => line.endsWith("x".repeat(200))));
  }
});

t.test("a low terminal costs the blank lines first", async (t) => {
  const [roomy, tight] = [renderView(MODEL, 100, 50), renderView(MODEL, 100, 20)];
  t.match(roomy, "\n\n");
  t.notMatch(tight, "\n\n");
  t.same(
    tight.split("\n"),
    roomy.split("\n").filter((line) => line !== ""),
  );
});

t.test("a command that is too long for the terminal is broken as a shell understands it", async (t) => {
  const tries = [{ about: "ask", command: ["curl -s", "-H 'X-User-ID: alice'", "-d @/tmp/request.json", "127.0.0.1:8080/api/match"] }];
  t.match(renderView({ ...MODEL, tries }, 100), "    curl -s -H 'X-User-ID: alice' -d @/tmp/request.json 127.0.0.1:8080/api/match");
  t.match(
    renderView({ ...MODEL, tries }, 60),
    "    curl -s -H 'X-User-ID: alice' -d @/tmp/request.json \\\n      127.0.0.1:8080/api/match",
  );
});

t.test("on the smallest of usual terminals the first line is still there", async (t) => {
  const about = "what it does";
  const command = ["curl ".padEnd(50, "x"), "-d ".padEnd(60, "y")];
  const segments = ["none", "api_partners", "beta_users", "enterprise"].map((segment) => ({ segment, stable: 1, candidate: 1 }));
  const model = {
    ...MODEL,
    notes: [],
    recent: { ...MODEL.recent, bySegment: segments },
    tries: [
      { about, command },
      { about, command },
      { about, command: ["curl -d"] },
    ],
  };
  const rows = (notes: readonly string[]) => renderView({ ...model, notes }, 80, 24).split("\n");
  t.ok(rows([]).length < 24, "a row stays for the cursor, or the terminal scrolls");
  t.match(rows([]).join("\n"), about);
  t.ok(rows(["port 8080 is taken, so the proxy runs on 40000"]).length < 24);
  t.match(rows(["a note"]).at(-1), "curl -d");
});

t.test("counts stand in one order, whoever answered first", async (t) => {
  const recent = { ...MODEL.recent, byServed: { v2: 1, v1: 2 }, fallbacks: { quality: 1, latency: 2 } };
  t.match(renderView({ ...MODEL, recent }, 100), /latency 2, quality 1[^]*v1 2, v2 1/);
});

t.test("ports that were taken make one line", async (t) => {
  t.same(describeMoves([]), []);
  t.same(describeMoves([{ who: "v1", from: 5062, to: 40001 }]), ["port 5062 is taken, so v1 runs on 40001"]);
  t.same(
    describeMoves([
      { who: "v1", from: 5062, to: 40001 },
      { who: "the proxy", from: 8080, to: 40002 },
    ]),
    ["ports are taken, so v1 runs on 40001, the proxy runs on 40002"],
  );
});

t.test("a view without data says so instead of NaN", async (t) => {
  const empty: ViewModel = { ...MODEL, flag: undefined, traffic: undefined, recent: QUIET };
  t.notMatch(renderView(empty, 80), /NaN|undefined/);
  t.notMatch(renderLine(empty), /NaN|undefined/);
  t.match(
    renderLine(MODEL),
    "last 30 s: 1200 requests, 0 failed, candidate 25.0 % (set to 25 %), clients p50 38 p95 86 p99 133 ms, fallbacks quality 10, revision 3",
  );
});

t.test("a killed flag cannot be overlooked", async (t) => {
  t.match(renderView({ ...MODEL, flag: MODEL.flag && { ...MODEL.flag, killed: true } }, 100), "KILLED: everybody on stable");
});

function seen(at: number, rest: Partial<Seen> = {}): Seen {
  return { at, segment: "none", ms: 10, status: 200, arm: "stable", servedBy: "v1", fallback: undefined, reason: "percentage", ...rest };
}

t.test("the tally counts by arm, segment and reason, and forgets what is old", async (t) => {
  const tally = new Tally(1_000, 0);
  tally.add(seen(100));
  tally.add(seen(500, { arm: "candidate", segment: "beta_users", reason: "segment", servedBy: "v1", fallback: "quality", ms: 30 }));
  tally.add(seen(600, { status: 0, arm: undefined, servedBy: undefined, reason: undefined }));
  t.match(tally.recent(900), {
    seconds: 0.9,
    requests: 3,
    failed: 1,
    byArm: { stable: 1, candidate: 1 },
    byServed: { v1: 2 },
    fallbacks: { quality: 1 },
    byReason: { percentage: 1, segment: 1 },
    bySegment: [
      { segment: "beta_users", stable: 0, candidate: 1 },
      { segment: "none", stable: 1, candidate: 0 },
    ],
    p50: 10,
    p99: 30,
  });
  t.equal(tally.recent(1_200).requests, 2, "the first is too old by now");
  t.equal(tally.recent(9_000).requests, 0);
});

t.test("the people are the same at every start, some of them in a segment", async (t) => {
  const people = createPeople(1_000);
  t.same(createPeople(1_000), people);
  t.equal(new Set(people.map((person) => person.id)).size, 1_000);
  const share = (segment: string | undefined) => people.filter((person) => person.segment === segment).length;
  for (const segment of ["beta", "enterprise", "api_partner"])
    t.ok(share(segment) > 30 && share(segment) < 200, `${segment}: ${share(segment)}`);
  t.ok(share(undefined) > 600);
});

function translated(translation: Translation, body: string): Buffer {
  const request = translation.request(Buffer.from(body));
  if ("inexpressible" in request) throw new Error(request.inexpressible);
  return request.body;
}

t.test("what the people send is understood by both services, and V2 is sure of most of it", async (t) => {
  const [v1, v2] = [
    await startSimulator("v1", { behaviour: { latencyMs: 0 } }),
    await startSimulator("v2", { behaviour: { latencyMs: 0 } }),
  ];
  t.teardown(() => Promise.all([v1.close(), v2.close()]));
  const translation = createTranslation(v1Dialect, v2Dialect);
  let unsure = 0;
  for (const body of [sampleBody(), ...createPeople(200).map((person) => person.body)]) {
    const [byV1, byV2] = await Promise.all([
      fetch(`${v1.url}/api/match`, { method: "POST", body }),
      fetch(`${v2.url}/api/v2/match`, { method: "POST", body: translated(translation, body) }),
    ]);
    t.equal(byV1.status + byV2.status, 400, "both 200");
    const { matches } = (await byV2.json()) as { readonly matches: readonly { readonly confidence: number }[] };
    await byV1.arrayBuffer();
    const mean = matches.reduce((sum, match) => sum + match.confidence, 0) / matches.length;
    if (mean < 0.85) unsure++;
  }
  t.ok(unsure > 0 && unsure < 20, `${unsure} of 201`);
});

t.test("the traffic comes at its rate over kept connections, names its users, and counts what the headers say", async (t) => {
  const users = new Set<string>();
  let connections = 0;
  let requests = 0;
  const server = createServer((request, response) => {
    users.add(String(request.headers["x-user-id"]));
    requests++;
    request.resume().on("end", () => {
      response.writeHead(200, {
        "x-crossfade-arm": "candidate",
        "x-crossfade-served-by": "v1",
        "x-crossfade-fallback": "latency",
        "x-crossfade-reason": "percentage",
      });
      response.end("{}");
    });
  });
  server.on("connection", () => connections++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const traffic = new Traffic({
    origin: `http://127.0.0.1:${port}`,
    path: "/api/match",
    people: createPeople(1_000),
    rate: 400,
    segmentOf: (value) => value,
  });
  const start = performance.now();
  while (requests < 160) await delay(5);
  const seconds = (performance.now() - start) / 1000;
  await traffic.stop();
  t.ok(seconds > 0.3, `160 requests at 400/s take 0.4 s, took ${seconds.toFixed(2)}`);
  t.equal(traffic.sent, requests, "none is sent after the stop");
  t.ok(users.size > 40);
  t.ok(connections <= 64, "after a stall many are sent at once, but never over more connections than these");
  t.match(traffic.recent(), {
    requests,
    failed: 0,
    byArm: { candidate: requests },
    fallbacks: { latency: requests },
    byServed: { v1: requests },
  });
});

t.test("the demo's configuration is one that the parser takes", async (t) => {
  const urls = { v1: "http://127.0.0.1:1", nexten: "http://127.0.0.1:2", v2: "http://127.0.0.1:3" };
  const config = demoConfig({ port: 0, adminPort: 0, urls, stateDirectory: "/tmp/demo" });
  t.equal(config.flags[0]?.settings.weightBp, 2_500);
  t.match(config.store, { kind: "memory" });
});

t.test("the demo runs, splits, is changed through its admin API, and ends with everything closed", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const ended = new AbortController();
  let output = "";
  const until = async (found: () => boolean): Promise<void> => {
    for (const end = performance.now() + 30_000; !found(); await delay(10))
      if (performance.now() > end) throw new Error(`not in 30 s; so far:\n${output}`);
  };
  const running = runDemo({ port, adminPort: 0, rate: 200, signal: ended.signal, terminal: { write: (text) => (output += text) } });
  running.catch(() => {});
  t.teardown(() => ended.abort());
  await until(() => output.includes("Try"));
  // Others may have taken the simulators' ports meanwhile.
  t.match(output, /ports? .*taken, so .*the proxy runs on /s);
  const proxy = /proxy (http:\S+)/.exec(output)?.[1] ?? "";
  const dashboard = /dashboard (http:\S+\/)/.exec(output)?.[1] ?? "";
  const admin = dashboard.replace(/\/$/, "");
  const page = await fetch(dashboard, { headers: { accept: "text/html" } });
  t.match(page.headers.get("content-type"), "text/html", "the address that is shown is that of the dashboard");
  await page.arrayBuffer();

  const body = sampleBody();
  const ask = (segment: string) =>
    fetch(`${proxy}/api/match`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-user-id": "alice", "x-user-segment": segment },
      body,
    });
  const beta = await ask("beta");
  t.equal(beta.status, 200);
  t.equal(beta.headers.get("x-crossfade-arm"), "candidate");
  t.equal((await ask("enterprise")).headers.get("x-crossfade-arm"), "stable");

  const changed = await fetch(`${admin}/api/flags/v2_migration`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: '{"rollout_percentage": 100}',
  });
  t.equal(changed.status, 200);
  await until(() => /set to 100 %/.test(output));

  ended.abort();
  t.equal(await running, 0);
  await t.rejects(fetch(proxy), "nobody listens any more");
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import t, { type Test } from "tap";
import { FAULTS, parseBehaviour } from "../src/demo/simulators/behaviour.ts";
import { createRandom, drawDuration } from "../src/demo/simulators/chance.ts";
import type { SimulatorKind } from "../src/demo/simulators/service.ts";
import { startSimulator, type SimulatorOptions } from "../src/demo/simulators/simulator.ts";

const INSTANT = { latencyMs: 0, jitter: 0 };

async function instant(test: Test, kind: SimulatorKind, options: SimulatorOptions = {}) {
  const simulator = await startSimulator(kind, { ...options, behaviour: { ...INSTANT, ...options.behaviour } });
  test.teardown(() => simulator.close());
  return simulator;
}

async function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** What the tests read of any answer; which of it is there depends on the service. */
interface Answer {
  readonly results: readonly { readonly id: unknown; readonly titre: string; readonly matching_score: number }[];
  readonly matching_results: { readonly matches: readonly { readonly offer_id: unknown }[] };
  readonly matches: readonly {
    readonly offer_id: unknown;
    readonly overall_score: number;
    readonly confidence: number;
    readonly skill_match_score: number;
  }[];
  readonly detail: readonly { readonly loc: readonly unknown[]; readonly type: string }[];
  readonly errors: readonly string[];
  readonly status: string;
  readonly job_id: string;
}

/** Reads JSON as an answer: a field that is not there makes the assertion on it fail. */
async function answerOf(response: Response | Promise<Response>): Promise<Answer> {
  return (await (await response).json()) as Answer;
}

function jobs(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    id: index % 2 === 0 ? index + 1 : `job-${index + 1}`,
    titre: `Développeur ${index + 1}`,
    entreprise: "Exemple SA",
    competences: index === 0 ? ["Python", "SQL"] : ["COBOL", "SQL"],
    localisation: "Paris",
    type_contrat: "CDI",
    salaire: "45-60K€",
    experience_requise: "3 ans",
    politique_remote: "télétravail partiel",
  }));
}

const V1_REQUEST = {
  cv_data: { competences: ["Python", "SQL"], annees_experience: 5 },
  questionnaire_data: { adresse: "Paris", salaire_souhaite: "50K€" },
  job_data: jobs(3),
};

const V2_REQUEST = {
  candidate: {
    name: "Camille",
    technical_skills: [{ name: "Python", years: 5 }, "k8s", "SQL", "Go"],
    experiences: [{ title: "Dev", company: "X", duration_months: 60, skills: ["Linux"] }],
    location: { city: "Paris" },
  },
  offers: [
    { id: 7, title: "SRE", required_skills: ["Kubernetes", "Python"], experience_level: "intermediate" },
    { id: "b", title: "Painter", required_skills: ["Oil"], experience_level: "expert" },
  ],
};

t.test("V1 answers in its own shape, ids with their type and order", async (t) => {
  const v1 = await instant(t, "v1");
  const response = await post(`${v1.url}/api/match`, V1_REQUEST);
  t.equal(response.status, 200);
  const answer = await answerOf(response);
  t.match(answer, {
    success: true,
    matching_mode: "candidate_to_jobs",
    algorithm_used: "smart_match",
    algorithm_type: "advanced",
    total_results: 3,
  });
  t.same(
    answer.results.map((result) => result.id),
    [1, "job-2", 3],
  );
  t.equal(answer.results[0]?.titre, "Développeur 1", "the job is echoed");
  t.ok((answer.results[0]?.matching_score ?? 0) > (answer.results[1]?.matching_score ?? 100), "more of the skills, more of the score");
  t.notMatch(JSON.stringify(answer), /confidence/, "V1 knows no confidence");
});

t.test("V1 keeps the best within a limit, and answers ten jobs with about 20 kB", async (t) => {
  const v1 = await instant(t, "v1");
  const limited = await answerOf(post(`${v1.url}/api/match`, { ...V1_REQUEST, job_data: jobs(5).toReversed(), limit: 1 }));
  t.same(
    limited.results.map((result) => result.id),
    [1],
  );
  const bytes = (await (await post(`${v1.url}/api/match`, { ...V1_REQUEST, job_data: jobs(10) })).text()).length;
  t.ok(bytes > 14_000 && bytes < 26_000, `${bytes} bytes`);
});

t.test("V1 goes wrong the way it does", async (t) => {
  const v1 = await instant(t, "v1");
  const foreign = await post(`${v1.url}/api/match`, V2_REQUEST);
  t.equal(foreign.status, 400);
  t.same(await foreign.json(), { error: "job_data required" });
  t.equal((await post(`${v1.url}/api/match`, "{")).status, 500, "malformed JSON");
  const weaker = await post(`${v1.url}/api/match`, { ...V1_REQUEST, algorithm: "quantum" });
  t.equal(weaker.status, 200);
  t.match(await weaker.json(), { algorithm_used: "fallback", fallback_used: true });
  const missing = await fetch(`${v1.url}/health`);
  t.equal(missing.status, 404);
  t.match(missing.headers.get("content-type"), /html/);
  for (const path of ["/api/health", "/api/v1/health"]) t.equal((await fetch(v1.url + path)).status, 200, path);
});

t.test("V1 speaks the offers dialect on /api/v1/match", async (t) => {
  const v1 = await instant(t, "v1");
  const candidate = { competences: ["Python"], annees_experience: 2, adresse: "Lyon" };
  for (const key of ["offers", "jobs"]) {
    const answer = await answerOf(post(`${v1.url}/api/v1/match`, { candidate, [key]: jobs(2) }));
    t.match(answer, { success: true, algorithm_used: { name: "smart_match" } });
    t.same(
      answer.matching_results.matches.map((match) => match.offer_id),
      [1, "job-2"],
    );
  }
  t.equal((await post(`${v1.url}/api/v1/match`, { candidate: {}, offers: jobs(1) })).status, 400);
});

t.test("Nexten scores the first job only and breaks on skills that are objects", async (t) => {
  const nexten = await instant(t, "nexten");
  const request = {
    candidate: { skills: ["Go", "SQL"], experience: 4 },
    jobs: [
      { id: 9, title: "Dev", required_skills: ["Go"], experience_required: 3 },
      { id: 10, title: "Dev" },
    ],
  };
  for (const path of ["/match", "/api/match", "/api/nexten/match"]) {
    const answer = await answerOf(post(nexten.url + path, request));
    t.equal(answer.matches.length, 1, path);
    t.match(answer.matches[0], { job_id: 9, confidence: "high", confidence_score: Number, breakdown: { skills: { score: 100 } } });
  }
  const broken = await post(`${nexten.url}/match`, { ...request, candidate: { skills: [{ name: "Go" }] } });
  t.equal(broken.status, 500);
  t.match(broken.headers.get("content-type"), /html/);
  t.equal((await fetch(`${nexten.url}/health`)).status, 200);
  const queued = await answerOf(post(`${nexten.url}/api/v1/queue-matching`, { candidate_id: 1, job_id: 2 }));
  t.equal(queued.status, "queued");
  t.match(await (await fetch(`${nexten.url}/api/v1/result/${queued.job_id}`)).json(), { status: "finished" });
});

t.test("V2 answers in its own shape and knows the names of a skill", async (t) => {
  const v2 = await instant(t, "v2");
  const answer = await answerOf(post(`${v2.url}/api/v2/match`, V2_REQUEST));
  t.match(answer, { success: true, algorithm_used: "nexten", metadata: { fallback: false } });
  t.same(
    answer.matches.map((match) => match.offer_id),
    [7, "b"],
  );
  t.equal(answer.matches[0]?.skill_match_score, 1, "k8s is Kubernetes");
  for (const match of answer.matches) t.ok(match.confidence >= 0.85 && match.confidence <= 1 && match.overall_score <= 1);
  const sparse = await answerOf(post(`${v2.url}/api/v2/match`, { candidate: { name: "X" }, offers: [{ id: 1, title: "Y" }] }));
  t.ok((sparse.matches[0]?.confidence ?? 1) < 0.85, "little to go by, little confidence");
  t.equal((await fetch(`${v2.url}/health`)).status, 200);
});

t.test("V2 answers 422 with the place of each missing field", async (t) => {
  const v2 = await instant(t, "v2");
  const places = async (body: unknown) => {
    const response = await post(`${v2.url}/api/v2/match`, body);
    t.equal(response.status, 422);
    return (await answerOf(response)).detail.map((entry) => `${entry.loc.join(".")} ${entry.type}`);
  };
  t.same(await places({}), ["body.candidate missing", "body.offers missing"]);
  t.same(await places({ candidate: {}, offers: [{ id: 1 }, 5] }), [
    "body.candidate.name missing",
    "body.offers.0.title missing",
    "body.offers.1 model_attributes_type",
  ]);
  t.same(await places({ candidate: V2_REQUEST.candidate, jobs: [] }), ["body.offers missing"], "jobs are not offers");
  t.same(await places("{"), ["body.0 json_invalid"]);
  t.same(await (await fetch(`${v2.url}/nowhere`)).json(), { detail: "Not Found" });
});

t.test("a body that speaks both dialects is understood by both", async (t) => {
  const [v1, v2] = [await instant(t, "v1"), await instant(t, "v2")];
  const both = { ...V1_REQUEST, ...V2_REQUEST };
  t.equal((await answerOf(post(`${v1.url}/api/match`, both))).results.length, 3);
  t.equal((await answerOf(post(`${v2.url}/api/v2/match`, both))).matches.length, 2);
});

t.test("the same request gives the same bytes, on any instance", async (t) => {
  const cases = [
    ["v1", "/api/match", V1_REQUEST],
    ["v2", "/api/v2/match", V2_REQUEST],
  ] as const;
  for (const [kind, path, body] of cases) {
    const [one, other] = [await instant(t, kind), await instant(t, kind, { seed: 99 })];
    const answers = await Promise.all([one, one, other].map(async ({ url }) => (await post(url + path, body)).text()));
    t.equal(new Set(answers).size, 1, kind);
  }
});

t.test("durations follow the median and the 95th percentile, repeatably", async (t) => {
  const draw = (seed: number) => {
    const random = createRandom(seed);
    return Array.from({ length: 20_000 }, () => drawDuration(random, 40, 1.125)).sort((a, b) => a - b);
  };
  const drawn = draw(7);
  t.ok(Math.abs((drawn[10_000] ?? 0) - 40) < 2, `p50 ${drawn[10_000]}`);
  t.ok(Math.abs((drawn[19_000] ?? 0) - 85) < 5, `p95 ${drawn[19_000]}`);
  t.same(draw(7), drawn);
  t.not(draw(8)[0], drawn[0]);
  t.equal(drawDuration(createRandom(1), 12, 0), 12, "no jitter");
});

t.test("an answer takes as long as asked", async (t) => {
  const v2 = await instant(t, "v2", { behaviour: { latencyMs: 60 } });
  const start = performance.now();
  await (await post(`${v2.url}/api/v2/match`, V2_REQUEST)).text();
  // Timers may fire up to a millisecond early.
  t.ok(performance.now() - start >= 59);
});

t.test("fault hang: nothing comes, not even health", async (t) => {
  const v2 = await instant(t, "v2", { behaviour: { fault: "hang" } });
  const signal = AbortSignal.timeout(150);
  await t.rejects(fetch(`${v2.url}/api/v2/match`, { method: "POST", body: "{}", signal }), { name: "TimeoutError" });
  await t.rejects(fetch(`${v2.url}/health`, { signal }), { name: "TimeoutError" });
  t.equal(v2.seen.requests, 1);
});

t.test("fault drip: the head at once, then a byte at a time", async (t) => {
  const v2 = await instant(t, "v2", { behaviour: { fault: "drip" } });
  const response = await post(`${v2.url}/api/v2/match`, V2_REQUEST);
  t.equal(response.status, 200);
  const stamps: number[] = [];
  for await (const chunk of response.body ?? []) {
    t.equal(chunk.length, 1);
    stamps.push(performance.now());
    if (stamps.length === 3) break;
  }
  t.ok((stamps[2] ?? 0) - (stamps[0] ?? 0) > 120);
});

t.test("fault reset: half the answer, then the connection breaks", async (t) => {
  const v2 = await instant(t, "v2", { behaviour: { fault: "reset" } });
  const request = httpRequest(`${v2.url}/api/v2/match`, { method: "POST" }).end(JSON.stringify(V2_REQUEST));
  // The break is told to the request too.
  request.on("error", () => {});
  const [response] = await once(request, "response");
  let bytes = 0;
  response.on("data", (chunk: Buffer) => (bytes += chunk.length));
  const [error] = await once(response, "error");
  t.equal(error.code, "ECONNRESET");
  t.ok(bytes > 0);
  t.equal(bytes, Number(response.headers["content-length"]) >> 1);
});

t.test("fault refuse: the connection closes without a byte, and the control stays within reach", async (t) => {
  const v2 = await instant(t, "v2", { behaviour: { fault: "refuse" } });
  const socket = connect(v2.port, "127.0.0.1");
  let bytes = 0;
  socket.on("data", (chunk) => (bytes += chunk.length));
  socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "close");
  t.equal(bytes, 0);
  await post(`${v2.url}/_sim`, { fault: "none" });
  t.equal((await fetch(`${v2.url}/health`)).status, 200);
});

t.test("faults inside an answer with status 200", async (t) => {
  const v2 = await instant(t, "v2");
  const ask = async () => (await post(`${v2.url}/api/v2/match`, V2_REQUEST)).text();
  v2.set({ fault: "malformed" });
  const cut = await ask();
  t.throws(() => JSON.parse(cut));
  v2.set({ fault: "unsuccessful" });
  t.equal(JSON.parse(await ask()).success, false);
  v2.set({ fault: "low-quality" });
  for (const match of JSON.parse(await ask()).matches) t.equal(match.confidence, 0.4);
  v2.set({ fault: "none", quality: 0.7 });
  for (const match of JSON.parse(await ask()).matches) t.equal(match.confidence, 0.7);
});

t.test("errors come as 500 in the share asked for, health aside", async (t) => {
  const v2 = await instant(t, "v2", { behaviour: { errorRate: 0.25 } });
  const statuses = await Promise.all(Array.from({ length: 400 }, async () => (await post(`${v2.url}/api/v2/match`, V2_REQUEST)).status));
  const errors = statuses.filter((status) => status === 500).length;
  t.ok(errors > 70 && errors < 130, `${errors} of 400`);
  v2.set({ errorRate: 1 });
  t.equal((await post(`${v2.url}/api/v2/match`, V2_REQUEST)).status, 500);
  t.equal((await fetch(`${v2.url}/health`)).status, 200);
});

t.test("the behaviour is read and changed over HTTP", async (t) => {
  const v1 = await instant(t, "v1", { behaviour: { latencyMs: 1 } });
  const control = `${v1.url}/_sim`;
  t.match(await (await fetch(control)).json(), { service: "v1", latency_ms: 1, error_rate: 0, quality: null, fault: "none", requests: 0 });
  t.match(await answerOf(post(control, { latency_ms: 3, fault: "drip" })), { latency_ms: 3, fault: "drip" });
  t.match(v1.behaviour, { latencyMs: 3, fault: "drip", jitter: 0 });
  t.match(await (await fetch(control, { method: "DELETE" })).json(), { latency_ms: 1, fault: "none" }, "back to the start");
});

t.test("a wrong change is refused whole, with every mistake named", async (t) => {
  const v1 = await instant(t, "v1");
  const response = await post(`${v1.url}/_sim`, { latency_ms: -1, error_rate: 25, fault: "explode", latencyms: 5 });
  t.equal(response.status, 400);
  const { errors } = await answerOf(response);
  t.equal(errors.length, 4);
  t.match(errors.join("\n"), 'latencyms: unknown; did you mean "latency_ms"?');
  t.match(errors.join("\n"), "error_rate: expected a number from 0 to 1, got 25");
  t.match(errors.join("\n"), /fault: expected one of none, hang, .*got "explode"/);
  t.equal(v1.behaviour.latencyMs, 0);
  t.equal((await post(`${v1.url}/_sim`, "hang")).status, 400);
});

t.test("whatever is posted is either a legal change or a list of problems", async () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.jsonValue(), fc.record({ latency_ms: fc.anything(), quality: fc.anything(), fault: fc.constantFrom(...FAULTS, "?") })),
      (value) => {
        const read = parseBehaviour(value);
        if (!read.ok) return read.problems.length > 0;
        const { latencyMs = 0, errorRate = 0, quality = 0 } = read.change;
        return latencyMs >= 0 && errorRate >= 0 && errorRate <= 1 && quality >= 0 && quality <= 1;
      },
    ),
  );
});

t.test("closing ends what hangs", async (t) => {
  const v2 = await instant(t, "v2", { behaviour: { fault: "hang" } });
  const request = httpRequest(`${v2.url}/api/v2/match`, { method: "POST" }).end("{}");
  const failed = once(request, "error");
  await once(request, "finish");
  while (v2.seen.requests === 0) await delay(2);
  t.equal(v2.seen.open, 1);
  await v2.close();
  await failed;
});

const MAIN = new URL("../src/demo/simulators/main.ts", import.meta.url).pathname;

t.test("a simulator runs as a process of its own and stops when told to", async (t) => {
  const child = spawn(process.execPath, [MAIN, "v1", "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  const [line] = await once(createInterface(child.stdout), "line");
  const url = /http:\S+/.exec(line)?.[0] ?? "";
  t.equal((await fetch(`${url}/api/health`)).status, 200);
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  t.same(await exited, [0, null]);
});

t.test("a wrong command line says what would be right", async (t) => {
  const v1 = await instant(t, "v1");
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk) => (said += chunk));
    const [code] = await once(child, "close");
    return { code, said };
  };
  const [kind, port, taken] = await Promise.all([run("v3"), run("v1", "--port", "http"), run("v1", "--port", String(v1.port))]);
  t.match(kind, { code: 2, said: "expected one of v1, nexten, v2, mail, slack, got v3" });
  t.match(port, { code: 2, said: '--port: expected a whole number from 0 to 65535, got "http"' });
  t.match(taken, { code: 1, said: /EADDRINUSE.*choose another with --port/ });
});

import { gzipSync } from "node:zlib";
import t, { type Test } from "tap";
import { startSimulator } from "../src/demo/simulators/simulator.ts";
import type { CreateTransport } from "../src/transport/transport.ts";
import { type Answer, ask } from "./support/client.ts";
import { ENGINES, startProxy, type TestProxy } from "./support/proxy.ts";
import { bodyOf, json, startBackend } from "./support/upstreams.ts";

/** V1's words; with a name, which V2 demands. */
const JOBS = [
  { id: 7, titre: "SRE", entreprise: "Vega", competences: ["Linux"], localisation: "Lyon", salaire: "45-60K€" },
  { id: "7", titre: "Data engineer", entreprise: "Vega", competences: ["SQL"], localisation: "Paris" },
];
const V1_REQUEST = { cv_data: { nom: "Ada", competences: ["Linux", "SQL"], annees_experience: 5 }, job_data: JOBS };
const V2_ANSWER = {
  success: true,
  matches: [
    { offer_id: "7", overall_score: 0.9, confidence: 0.95 },
    { offer_id: 7, overall_score: 0.4, confidence: 0.9 },
  ],
  algorithm_used: "nexten",
  execution_time_ms: 12,
  metadata: { fallback: false },
};

interface Options {
  readonly percentage?: number;
  readonly clients?: string;
  readonly more?: string;
  readonly limits?: string;
}

function yaml(
  urls: { v1: string; v2: string; nexten?: string },
  { percentage = 100, clients = "v1", more = "", limits = "" }: Options = {},
): string {
  return `
listeners: [{ name: public, address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
store: memory
upstreams:
  v1: { endpoints: ["${urls.v1}"], dialect: v1 }
  v2: { endpoints: ["${urls.v2}"], dialect: v2, signs: { enabled: [success-false, foreign-ids, not-json] } }
${urls.nexten === undefined ? "" : `  nexten: { endpoints: ["${urls.nexten}"], dialect: nexten }`}
identity: [header:x-user-id]
${limits}
routes:
  - name: match
    match: { path: /match }
    dialect: ${clients}
    stable: { upstream: v1, path: /api/match }
    candidate: { upstream: v2, path: /api/v2/match }
${more}
    flag: move
    idempotent: true
flags: { move: { rollout_percentage: ${percentage}, fallback_system: { conditions: { response_time: 20s } } } }
`;
}

function post(proxy: TestProxy, body: unknown): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return ask(`${proxy.url}/match`, { method: "POST", body: text, headers: { "x-user-id": "u", "content-type": "application/json" } });
}

interface V1Answer {
  readonly results: readonly { readonly id: unknown; readonly titre: string; readonly matching_score: number }[];
}

function resultsOf(answer: Answer): V1Answer["results"] {
  return (JSON.parse(answer.body.toString()) as V1Answer).results;
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    const stable = async (t: Test) =>
      startBackend(t, async (req, res) => json(res, { success: true, results: [], got: JSON.parse((await bodyOf(req)).toString()) }));
    const start = async (
      t: Test,
      candidate: Parameters<typeof startBackend>[1],
      options: Options = {},
      with_: CreateTransport = create,
    ) => {
      const v1 = await stable(t);
      const v2 = await startBackend(t, candidate);
      return { v1, v2, proxy: await startProxy(t, with_, yaml({ v1: v1.url, v2: v2.url }, options)) };
    };

    t.test("a client of V1 whom V2 serves is answered in V1's words, with its own ids", async (t) => {
      let asked: unknown;
      const { proxy, v2 } = await start(t, async (req, res) => {
        asked = JSON.parse((await bodyOf(req)).toString());
        json(res, V2_ANSWER);
      });
      const answer = await post(proxy, V1_REQUEST);
      t.equal(answer.headers["x-crossfade-served-by"], "v2");
      t.equal(answer.headers["content-length"], String(answer.body.length));
      t.match(asked, {
        candidate: { name: "Ada" },
        offers: [{ id: 7, title: "SRE", salary_range: { min: 45_000, max: 60_000 } }, { id: "7" }],
      });
      t.equal(v2.requests[0]?.headers["accept-encoding"], "identity");
      t.same(
        resultsOf(answer).map(({ id, titre, matching_score }) => [id, titre, matching_score]),
        [
          ["7", "Data engineer", 90],
          [7, "SRE", 40],
        ],
      );
      t.ok(proxy.recorder.dropped.length > 0, "what V1 cannot say, such as a confidence, is counted");
    });

    t.test("an answer of V2 that comes compressed is translated all the same", async (t) => {
      const { proxy } = await start(t, (_req, res) => {
        res.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip", etag: '"v2"' });
        res.end(gzipSync(JSON.stringify(V2_ANSWER)));
      });
      const answer = await post(proxy, V1_REQUEST);
      t.equal(resultsOf(answer).length, 2);
      t.equal(answer.headers["content-encoding"], undefined);
      t.equal(answer.headers["etag"], undefined, "it was that of other bytes");
    });

    t.test("a request that V2's words cannot hold stays on V1, and is sent once", async (t) => {
      const { proxy, v2 } = await start(t, (_req, res) => json(res, V2_ANSWER));
      const nameless = { ...V1_REQUEST, cv_data: { competences: ["Linux"] } };
      const answer = await post(proxy, nameless);
      t.equal(answer.status, 200);
      t.equal(answer.headers["x-crossfade-served-by"], "v1");
      t.equal(answer.headers["x-crossfade-fallback"], "dialect");
      t.same(JSON.parse(answer.body.toString()).got, nameless, "as the client wrote it");
      t.equal(v2.requests.length, 0);
      t.same(proxy.recorder.fallbacks, ["dialect"]);
    });

    for (const [what, answer] of [
      ["says that it failed", { ...V2_ANSWER, success: false }],
      ["names an offer that nobody asked about", { ...V2_ANSWER, matches: [{ offer_id: 8, overall_score: 1 }] }],
      ["has a match without a score", { ...V2_ANSWER, matches: [{ offer_id: 7 }] }],
    ] as const) {
      t.test(`an answer that ${what} is V1's to give`, async (t) => {
        const { proxy } = await start(t, (_req, res) => json(res, answer));
        const served = await post(proxy, V1_REQUEST);
        t.equal(served.status, 200);
        t.equal(served.headers["x-crossfade-served-by"], "v1");
      });
    }

    for (const status of [204, 302]) {
      t.test(`a ${status} has nothing in it to translate`, async (t) => {
        const { proxy, v1 } = await start(t, (_req, res) => res.writeHead(status, { location: "/elsewhere" }).end());
        const answer = await post(proxy, V1_REQUEST);
        t.equal(answer.status, status);
        t.equal(answer.headers["x-crossfade-served-by"], "v2");
        t.equal(v1.requests.length, 0);
      });
    }

    t.test("where a request may not be sent twice, a translated one is not either", async (t) => {
      const v1 = await stable(t);
      const v2 = await startBackend(t, (_req, res) => json(res, { detail: "broken" }, 500));
      const proxy = await startProxy(t, create, yaml({ v1: v1.url, v2: v2.url }).replace("idempotent: true", "idempotent: false"));
      const answer = await post(proxy, V1_REQUEST);
      t.equal(answer.status, 500);
      t.same(JSON.parse(answer.body.toString()), { error: "broken" });
      t.equal(v1.requests.length, 0);
    });

    t.test("an answer that cannot be translated does not stand before what the stable arm says of its own failure", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { error: "V1 is full" }, 503));
      const v2 = await startBackend(t, (_req, res) => json(res, { ...V2_ANSWER, matches: [{ offer_id: 7 }] }));
      const proxy = await startProxy(t, create, yaml({ v1: v1.url, v2: v2.url }));
      const answer = await post(proxy, V1_REQUEST);
      t.equal(answer.status, 503);
      t.same(JSON.parse(answer.body.toString()), { error: "V1 is full" });
    });

    t.test("if nobody can answer, the client is told so in its own shape", async (t) => {
      const failing = await startBackend(t, (_req, res) => json(res, { detail: "V2 is broken" }, 500));
      const proxy = await startProxy(t, create, yaml({ v1: "http://127.0.0.1:1", v2: failing.url }));
      const answer = await post(proxy, V1_REQUEST);
      t.equal(answer.status, 500);
      t.same(JSON.parse(answer.body.toString()), { error: "V2 is broken" }, "what V2 said is the best there is");
      await failing.close();
      const none = await post(proxy, V1_REQUEST);
      t.equal(none.status, 502);
      t.match(JSON.parse(none.body.toString()), { error: /backend/ });
    });

    t.test("a body that is no JSON is the client's mistake, and is sent to nobody", async (t) => {
      const { proxy, v1, v2 } = await start(t, (_req, res) => json(res, V2_ANSWER));
      const answer = await post(proxy, '{"cv_data":');
      t.equal(answer.status, 400);
      t.match(JSON.parse(answer.body.toString()), { error: /not JSON/ });
      t.equal(v1.requests.length + v2.requests.length, 0);
    });

    t.test("a client of V2 whom V1 serves is answered in V2's words", async (t) => {
      const v1 = await startSimulator("v1", { behaviour: { latencyMs: 0 } });
      t.teardown(() => v1.close());
      const proxy = await startProxy(t, create, yaml({ v1: v1.url, v2: "http://127.0.0.1:1" }, { percentage: 0, clients: "v2" }));
      const offers = [
        { id: 7, title: "SRE", required_skills: ["Linux"] },
        { id: "8", title: "Data engineer", required_skills: ["SQL"] },
      ];
      const answer = await post(proxy, { candidate: { name: "Ada", technical_skills: [{ name: "Linux" }] }, offers });
      t.equal(answer.status, 200);
      const { matches } = JSON.parse(answer.body.toString()) as {
        matches: { offer_id: unknown; overall_score: number; confidence?: number }[];
      };
      t.same(new Set(matches.map(({ offer_id }) => offer_id)), new Set([7, "8"]));
      t.ok(matches.every(({ overall_score }) => overall_score >= 0 && overall_score <= 1));
      t.ok(
        matches.every((match) => !("confidence" in match)),
        "V1 has none, and none is invented",
      );
    });

    t.test("an answer too long to be translated is no answer", async (t) => {
      const { proxy } = await start(t, (_req, res) => json(res, { ...V2_ANSWER, selection_reason: "x".repeat(5_000) }), {
        limits: "limits: { answer_bytes: 4KiB }",
      });
      const answer = await post(proxy, V1_REQUEST);
      t.equal(answer.headers["x-crossfade-served-by"], "v1");
      t.equal(answer.headers["x-crossfade-fallback"], "error");
    });

    t.test("a body too long to be kept goes to whom it need not be translated for", async (t) => {
      const { proxy, v2 } = await start(t, (_req, res) => json(res, V2_ANSWER), { limits: "limits: { replay_bytes: 1KiB }" });
      const answer = await post(proxy, { ...V1_REQUEST, note: "x".repeat(5_000) });
      t.equal(answer.headers["x-crossfade-served-by"], "v1");
      t.equal(v2.requests.length, 0);
    });

    t.test("Nexten is the stable arm of what it can tell more about, V1 of the rest", async (t) => {
      const v1 = await stable(t);
      const nexten = await startSimulator("nexten", { behaviour: { latencyMs: 0 } });
      t.teardown(() => nexten.close());
      const more = "    stable_for: [{ body: /questionnaire_data, upstream: nexten, path: /match }]";
      const proxy = await startProxy(
        t,
        create,
        yaml({ v1: v1.url, v2: "http://127.0.0.1:1", nexten: nexten.url }, { percentage: 0, more }),
      );
      const one = { ...V1_REQUEST, job_data: JOBS.slice(0, 1), questionnaire_data: { adresse: "Lyon" } };
      const byNexten = await post(proxy, one);
      t.equal(byNexten.headers["x-crossfade-served-by"], "nexten");
      t.same(
        resultsOf(byNexten).map(({ id, titre }) => [id, titre]),
        [[7, "SRE"]],
      );
      t.equal((await post(proxy, { ...one, questionnaire_data: {} })).headers["x-crossfade-served-by"], "v1", "an empty one is none");
      t.equal(
        (await post(proxy, { ...one, job_data: JOBS })).headers["x-crossfade-served-by"],
        "v1",
        "Nexten would score the first job alone",
      );
    });
  });
}

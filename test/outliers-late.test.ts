import t from "tap";
import { ownBoard } from "../src/transport/endpoints.ts";
import { ask } from "./support/client.ts";
import { configOf, ENGINES, splitYaml, startProxy } from "./support/proxy.ts";
import { startBackend, startRawBackend } from "./support/upstreams.ts";

/** An endpoint that takes requests and never answers, among others that are well: only who waits knows that it is too late. */
for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 2 }, async (t) => {
    const endpoints = async (name: string): Promise<string> => {
      const well = await Promise.all([1, 2].map(() => startBackend(t, (_req, res) => void res.end(name))));
      const hanging = await startRawBackend(t, () => {});
      return `${well[0]?.url}", "${hanging.url}", "${well[1]?.url}`;
    };
    // The breaker would take the whole candidate out of use, here where the last of the three is looked for.
    const learning = (yaml: string): string =>
      yaml
        .replaceAll('"] }\n', '"], outliers: { consecutive: 3, ejected_for: 1h } }\n')
        .replace("fallback_system:\n", 'fallback_system:\n      breaker: "off"\n');

    t.test("one that hangs costs a route without a fallback as many requests as it takes to know", async (t) => {
      const v2 = await startBackend(t, (_req, res) => void res.end("v2"));
      const yaml = learning(splitYaml({ stable: await endpoints("v1"), candidate: v2.url }, { timeout: "500ms" }));
      const board = ownBoard(configOf(yaml));
      const proxy = await startProxy(t, (config) => create(config, board), yaml);
      const statuses: number[] = [];
      for (let i = 0; i < 24; i++) statuses.push((await ask(`${proxy.url}/plain`)).status);
      // What was late while this machine held up the proxy counts against nobody, and costs one request more.
      t.ok(statuses.filter((status) => status === 504).length >= 3);
      t.same(new Set(statuses.slice(statuses.lastIndexOf(504) + 1)), new Set([200]), "once it is known it gets no more");
      t.equal(board[board.length / 2 + 1], 1);
    });

    // What is left to finish keeps its endpoint loaded, and so from being chosen: here nothing is.
    t.test("and one with a fallback not even those: the stable side answers as often as it takes to know", async (t) => {
      const v1 = await startBackend(t, (_req, res) => void res.end("v1"));
      const yaml = learning(
        splitYaml(
          { stable: v1.url, candidate: await endpoints("v2") },
          { responseTime: "500ms", extra: "limits: { observed_attempts: 0 }" },
        ),
      );
      const board = ownBoard(configOf(yaml));
      const proxy = await startProxy(t, (config) => create(config, board), yaml);
      const bodies: string[] = [];
      for (let i = 0; i < 24; i++) bodies.push((await ask(`${proxy.url}/api/match`, { headers: { "x-user-id": "u" } })).body.toString());
      t.ok(bodies.filter((body) => body === "v1").length >= 3);
      t.same(new Set(bodies.slice(bodies.lastIndexOf("v1") + 1)), new Set(["v2"]));
      t.equal(board[board.length / 2 + 2], 1);
    });
  });
}

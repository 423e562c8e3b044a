import t from "tap";
import { ask } from "./support/client.ts";
import { ENGINES, splitYaml, startProxy } from "./support/proxy.ts";
import { type Answer, json, startBackend } from "./support/upstreams.ts";

const BETA = 0;
const CANDIDATE = 1;

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}: what is measured of the arms`, async (t) => {
    const candidates: readonly (readonly [string, Answer, string, number])[] = [
      ["a good answer", (_req, res) => json(res, { matches: [{ confidence: 0.9 }] }), "ok", 0],
      [
        "an answer that comes too late",
        (_req, res) => void setTimeout(() => json(res, { matches: [{ confidence: 0.9 }] }), 150),
        "ok",
        140,
      ],
      ["a 5xx", (_req, res) => void res.writeHead(503).end(), "unavailable", 0],
      ["an answer that is not JSON", (_req, res) => void res.end("<html>"), "defective", 0],
      ["an answer of poor quality, which is a figure of its own", (_req, res) => json(res, { matches: [{ confidence: 0.1 }] }), "ok", 0],
      ["no answer", (req) => void req.socket.destroy(), "unavailable", 0],
    ];
    for (const [name, answer, end, atLeastMs] of candidates) {
      t.test(name, async (t) => {
        const stable = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
        const candidate = await startBackend(t, answer);
        const yaml = splitYaml({ stable: stable.url, candidate: candidate.url }, { responseTime: "60ms", quality: true });
        const { url, recorder } = await startProxy(t, create, yaml);
        const measured = () => recorder.armAttempts.find(({ arm }) => arm === "candidate");
        // While this thread is held up nothing is measured of an arm, so there is another request for each one of that kind.
        for (let sent = 1; measured() === undefined; sent++) {
          const { status } = await ask(`${url}/api/match`, {
            method: "POST",
            body: "{}",
            headers: { "x-user-id": "u", "x-user-segment": "beta" },
          });
          t.equal(status, 200);
          await recorder.until(
            () => measured() !== undefined || recorder.unjudged.filter((upstream) => upstream === CANDIDATE).length >= sent,
          );
        }
        t.match(measured(), { segment: BETA, end });
        t.ok((measured()?.ms ?? 0) >= atLeastMs, "what it truly took");
      });
    }

    t.test("an endpoint that nobody listens at", async (t) => {
      const stable = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const yaml = splitYaml({ stable: stable.url, candidate: "http://127.0.0.1:1" });
      const { url, recorder } = await startProxy(t, create, yaml);
      const measured = () => recorder.armAttempts.find(({ arm }) => arm === "candidate");
      for (let sent = 1; measured() === undefined; sent++) {
        await ask(`${url}/api/match`, { method: "POST", body: "{}", headers: { "x-user-id": "u" } });
        await recorder.until(
          () => measured() !== undefined || recorder.unjudged.filter((upstream) => upstream === CANDIDATE).length >= sent,
        );
      }
      t.match(measured(), { end: "unreachable", segment: -1 });
    });

    t.test("a route that is not split has no arm", async (t) => {
      const stable = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const { url, recorder } = await startProxy(t, create, splitYaml({ stable: stable.url, candidate: stable.url }));
      for (let sent = 1; recorder.armAttempts.length === 0; sent++) {
        await ask(`${url}/v1/x`, { headers: { "x-user-id": "u" } });
        await recorder.until(() => recorder.armAttempts.length > 0 || recorder.unjudged.length >= sent);
      }
      t.match(recorder.armAttempts, [{ arm: "none", segment: -1 }]);
    });
  });
}

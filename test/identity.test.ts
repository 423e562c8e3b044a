import t from "tap";
import { bucketOf } from "../src/core/bucket.ts";
import { buildStringSet } from "../src/core/string-set.ts";
import { ask, sendRaw, type Answer } from "./support/client.ts";
import { ENGINES, splitYaml, startProxy, type TestProxy } from "./support/proxy.ts";
import { json, startBackend, startRawBackend } from "./support/upstreams.ts";

/** Trusts nobody: what anybody on the internet may send. */
function untrusting(yaml: string): string {
  return yaml.replace("trusted_hops: [127.0.0.1/32]", "trusted_hops: []");
}

function match(proxy: TestProxy, headers: Record<string, string> = {}, query = ""): Promise<Answer> {
  return ask(`${proxy.url}/api/match${query}`, { headers });
}

/** Arm, reason and who answered. */
function story(answer: Answer): string {
  const { headers } = answer;
  return [headers["x-crossfade-arm"], headers["x-crossfade-reason"], headers["x-crossfade-served-by"]].join(" ");
}

function cookieOf(answer: Answer): string | undefined {
  return answer.headers["set-cookie"]?.[0]?.split(";", 1)[0];
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
    const v2 = await startBackend(t, (req, res) => json(res, { by: "v2" }, req.headers["x-fail"] === undefined ? 200 : 500));
    const urls = { stable: v1.url, candidate: v2.url };

    t.test("a user without a key gets one cookie, and with it stays where it was put", async (t) => {
      const proxy = await startProxy(t, create, splitYaml(urls, { percentage: 50 }));
      for (let user = 0; user < 20; user++) {
        const first = await match(proxy);
        const cookie = cookieOf(first) ?? "";
        t.match(first.headers["set-cookie"]?.[0], /^[\w-]+=anon-[0-9a-f]{24}\.[\w-]{27}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
        const second = await match(proxy, { cookie: `theme=dark; ${cookie}` });
        t.equal(second.headers["set-cookie"], undefined, "minted once");
        t.equal(story(second), story(first));
        const id = cookie.slice(cookie.indexOf("=") + 1, cookie.lastIndexOf("."));
        t.equal(second.headers["x-crossfade-arm"], bucketOf("v2_migration", id) < 5_000 ? "candidate" : "stable");
      }
    });

    t.test("a forged cookie is nobody's, and replaced; two of ours that differ are refused", async (t) => {
      const proxy = await startProxy(t, create, splitYaml(urls, { percentage: 50 }));
      const one = cookieOf(await match(proxy)) ?? "";
      const other = cookieOf(await match(proxy)) ?? "";
      for (const forged of [
        one.replace("anon-", "anon-0"),
        one.slice(0, -1),
        `${one.split("=", 1)[0]}=anon-x.`,
        `${one.split("=", 1)[0]}=`,
      ]) {
        const answer = await match(proxy, { cookie: forged });
        t.ok(cookieOf(answer), "a new one");
        t.not(cookieOf(answer), one);
      }
      t.equal(cookieOf(await match(proxy, { cookie: `${one}; ${one.slice(0, -1)}` })), undefined, "the true one of two counts");
      t.equal((await match(proxy, { cookie: `${one}; ${other}` })).status, 400);
      t.equal(cookieOf(await match(proxy, { "x-user-id": "u1" })), undefined, "who has a key needs none");
    });

    t.test("the cookie comes also with an answer that was taken back, an error, and no answer at all", async (t) => {
      const proxy = await startProxy(t, create, splitYaml(urls));
      const taken = await match(proxy, { "x-fail": "1" });
      t.equal(story(taken), "candidate percentage v1");
      t.ok(cookieOf(taken));
      const failing = await startBackend(t, (_req, res) => json(res, {}, 503));
      const bad = await startProxy(t, create, splitYaml({ stable: failing.url, candidate: failing.url }));
      const error = await match(bad);
      t.equal(error.status, 503);
      t.ok(cookieOf(error));
      const breaking = await startRawBackend(t, (socket) => socket.once("data", () => socket.destroy()));
      const none = await startProxy(t, create, splitYaml({ stable: breaking.url, candidate: breaking.url }));
      const problem = await match(none);
      t.equal(problem.status, 502);
      t.ok(cookieOf(problem), "or the next request would be somebody else's");
      t.equal(problem.headers["x-crossfade-arm"], "candidate");
      t.equal(problem.headers["x-crossfade-fallback"], "error");
      t.equal(problem.headers["x-crossfade-served-by"], undefined, "nobody served it");
    });

    t.test("a key is the same user however it is sent, and the one that redis-cli wrote", async (t) => {
      const proxy = await startProxy(t, create, splitYaml(urls, { percentage: 0 }));
      proxy.apply({ allow: buildStringSet(["Zoë", "用户"]) });
      for (const user of ["Zoë", "用户"]) {
        const header = await match(proxy, { "x-user-id": Buffer.from(user).toString("latin1") });
        const query = await match(proxy, {}, `?user_id=${encodeURIComponent(user)}`);
        t.equal(story(header), "candidate list v2", user);
        t.equal(story(query), "candidate list v2", user);
      }
      t.equal(
        story(await match(proxy, { "x-user-id": "zo\xeb" })),
        "stable percentage v1",
        "bytes that are no UTF-8 are a key all the same",
      );
    });

    t.test("lists, segments, overrides and both kill switches, in their order", async (t) => {
      const proxy = await startProxy(t, create, splitYaml(urls, { percentage: 0 }));
      proxy.apply({
        allow: buildStringSet(["friend", "both"]),
        deny: buildStringSet(["foe", "both"]),
        members: { beta_users: buildStringSet(["tester", "foe"]), enterprise: buildStringSet(["corp", "friend"]) },
      });
      const override = { "x-feature-flag": "v2_enabled" };
      const cases: [string, Record<string, string>, string, string][] = [
        ["nobody special", { "x-user-id": "u" }, "", "stable percentage v1"],
        ["allowed, though in enterprise", { "x-user-id": "friend" }, "", "candidate list v2"],
        ["denied, though a tester", { "x-user-id": "foe" }, "", "stable list v1"],
        ["on both lists", { "x-user-id": "both" }, "", "stable list v1"],
        ["denied, though overridden", { "x-user-id": "foe", ...override }, "", "stable list v1"],
        ["a tester", { "x-user-id": "tester" }, "", "candidate segment v2"],
        ["a tester by the hop's word", { "x-user-id": "u", "x-user-segment": "Beta" }, "", "candidate segment v2"],
        ["corporate", { "x-user-id": "corp" }, "", "stable segment v1"],
        ["overridden, though corporate", { "x-user-id": "corp", ...override }, "", "candidate override v2"],
        ["overridden by the query", { "x-user-id": "tester" }, "?version=v1", "stable override v1"],
      ];
      for (const [name, headers, query, wanted] of cases) t.equal(story(await match(proxy, headers, query)), wanted, name);
      proxy.kills[0] = 1;
      t.equal(story(await match(proxy, { "x-user-id": "friend", ...override })), "stable kill-switch v1", "killed here");
      proxy.kills[0] = 0;
      const [flag] = proxy.config.flags;
      if (flag === undefined) throw new Error("no flag");
      proxy.apply({ revision: 3, settings: { ...flag.settings, killSwitch: true } });
      const killed = await match(proxy, { "x-user-id": "tester", ...override });
      t.equal(story(killed), "stable kill-switch v1", "killed in the settings");
      t.equal(killed.headers["x-crossfade-revision"], "3");
      proxy.apply({ revision: 4, settings: { ...flag.settings, enabled: false } });
      t.equal(story(await match(proxy, { "x-user-id": "tester", ...override })), "stable disabled v1");
    });

    t.test("from a client that is no trusted hop, segments, overrides and addresses say nothing", async (t) => {
      const seen: NodeJS.Dict<string | string[]>[] = [];
      const backend = await startBackend(t, (req, res) => {
        seen.push(req.headers);
        json(res, {});
      });
      const yaml = untrusting(splitYaml({ stable: backend.url, candidate: backend.url }, { percentage: 0 }));
      const proxy = await startProxy(t, create, yaml);
      const claims = { "x-user-segment": "beta", "x-feature-flag": "v2_enabled", "x-crossfade-arm": "candidate" };
      t.equal(story(await match(proxy, { "x-user-id": "u", ...claims })), "stable percentage v1");
      t.equal(story(await match(proxy, { "x-user-id": "u" }, "?version=v1")), "stable percentage v1");
      // Gateways of the CGI family take `_` for `-`.
      const spelt = {
        X_User_Segment: "beta",
        X_Forwarded_For: "203.0.113.9",
        X_Crossfade_Arm: "candidate",
        Content_Length: "9",
        own_name: "kept",
      };
      await match(proxy, { "x-user-id": "u", ...spelt });
      t.strictSame(
        Object.keys(seen.at(-1) ?? {}).filter((name) => name.includes("_")),
        ["own_name"],
      );
      const addressed = await startProxy(t, create, yaml.replace("header:x-user-id, query:user_id, cookie, address", "address"));
      const answers = await Promise.all(["203.0.113.1", "203.0.113.2"].map((ip) => match(addressed, { "x-forwarded-for": ip })));
      t.same(answers.map(cookieOf), [undefined, undefined]);
      await addressed.recorder.until(() => addressed.recorder.log.length === 2);
      t.same(
        addressed.recorder.log.map((entry) => entry.client),
        ["127.0.0.1", "127.0.0.1"],
      );
    });

    t.test("behind trusted hops the client is the nearest address that is none of them", async (t) => {
      const yaml = splitYaml(urls).replace("trusted_hops: [127.0.0.1/32]", "trusted_hops: [127.0.0.1/32, 10.0.0.0/8]");
      const proxy = await startProxy(t, create, yaml);
      const chains = ["203.0.113.9", "198.51.100.1, 203.0.113.9", "203.0.113.9, 10.1.2.3", "evil, 203.0.113.9:4711, ::ffff:10.0.0.1"];
      for (const [i, chain] of chains.entries()) {
        await match(proxy, { "x-forwarded-for": chain });
        await proxy.recorder.until(() => proxy.recorder.log.length === i + 1);
        t.equal(proxy.recorder.log[i]?.client, "203.0.113.9", chain);
      }
    });

    t.test("a path in other clothes is still split, and arrives as it was sent unless its route rewrites it", async (t) => {
      const seen: (string | undefined)[] = [];
      const backend = await startBackend(t, (req, res) => {
        seen.push(req.url);
        json(res, {});
      });
      const rest = "  - { name: rest, match: { path: /** }, upstream: v1 }\n";
      const proxy = await startProxy(t, create, splitYaml({ stable: backend.url, candidate: backend.url }, { extra: rest }));
      const head = "HTTP/1.1\r\nHost: a\r\nX-User-ID: u\r\nConnection: close\r\n\r\n";
      t.match(await sendRaw(proxy.port, `GET /api/m%61tch?a=%61 ${head}`), /X-Crossfade-Arm: candidate/);
      t.equal(seen.at(-1), "/api/v2/match?a=%61");
      t.match(await sendRaw(proxy.port, `GET http://a/%61pi/match ${head}`), /X-Crossfade-Arm: candidate/);
      for (const other of ["/api/match/", "/api/match;v=1", "/API/match", "/api/match%20"]) {
        t.notMatch(await sendRaw(proxy.port, `GET ${other} ${head}`), /X-Crossfade-Arm/, `${other} is another path`);
        t.equal(seen.at(-1), other);
      }
    });
  });
}

import t from "tap";
import { createSend } from "../src/notify/channels/create.ts";
import type { Message } from "../src/notify/channels/message.ts";
import { startMailSink } from "../src/demo/simulators/mail.ts";
import { startSlackSink } from "../src/demo/simulators/slack.ts";
import { ask, until } from "./support/backend.ts";

const MESSAGE: Message = {
  id: "ntc-1.1.1",
  words: {
    subject: "Retour arrière décidé : l’accuracy de V2 est tombée sous 85 % de la référence — tout le monde revient sur V1",
    text: "Première ligne, longue : le déclencheur « accuracy » a échoué, et tout le monde revient sur V1 dans la seconde.\n.\nÉté",
    html: "<p>é</p>",
    slack: "*Retour* é\nplus",
  },
  notice: {
    id: "ntc-1",
    kind: "rollout-rolling-back",
    severity: "P1",
    group: "g",
    flag: "move",
    facts: {},
    openedAt: 1,
    lastAt: 1,
    count: 1,
    acknowledged: undefined,
    resolvedAt: undefined,
    levels: {},
  },
  delivery: { part: "first", index: 0, tries: 0 },
  link: undefined,
  at: Date.UTC(2026, 10, 23),
};
const never = new AbortController().signal;
const base = { language: "fr", timeoutMs: 10_000, name: "x" } as const;

t.test("the stand-in for mail shows what it was sent, as its reader would see it", async (t) => {
  await using sink = await startMailSink();
  const channel = {
    ...base,
    kind: "email",
    from: "a@example.com",
    to: ["b@example.com", "c@example.com"],
    host: "127.0.0.1",
    port: sink.smtpPort,
    tls: "opportunistic",
    user: undefined,
    password: undefined,
  } as const;
  t.same(await createSend(channel)(MESSAGE, never), { ok: true });
  await until("it is there", () => sink.told.length === 1);
  const { body } = await ask(sink.port, { path: "/messages" });
  t.match(JSON.parse(body), [{ subject: MESSAGE.words.subject, text: MESSAGE.words.text, to: ["b@example.com", "c@example.com"] }]);
  t.match((await ask(sink.port, { path: "/" })).body, /Retour arrière décidé/);
  t.equal((await ask(sink.port, { path: "/messages", method: "DELETE" })).status, 200);
  t.equal(sink.told.length, 0);
});

t.test("the stand-in for Slack takes what Slack would", async (t) => {
  await using sink = await startSlackSink();
  t.same(await createSend({ ...base, kind: "slack", url: `${sink.url}/services/T/B/x` })(MESSAGE, never), { ok: true });
  t.match(sink.told, [{ subject: "*Retour* é", text: "*Retour* é\nplus" }]);
  t.equal((await ask(sink.port, { path: "/services/T", method: "POST", body: "no json" })).status, 400);
  t.equal((await ask(sink.port, { path: "/health" })).status, 200);
});

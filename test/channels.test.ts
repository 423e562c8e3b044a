import { createHmac } from "node:crypto";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import t from "tap";
import type { Channel, EmailChannel, SlackChannel, WebhookChannel } from "../src/config/config-told.ts";
import { parseRetryAfter } from "../src/notify/channels/answer.ts";
import { createSend } from "../src/notify/channels/create.ts";
import { secretsOf, withoutSecrets } from "../src/notify/channels/hidden.ts";
import type { Message } from "../src/notify/channels/message.ts";
import { until } from "./support/backend.ts";
import { CERTIFICATE as cert, KEY as key } from "./support/certificate.ts";
import { startMailReceiver, startWebReceiver } from "./support/receivers.ts";

const AT = Date.UTC(2026, 10, 23, 2, 0, 0);

const MESSAGE: Message = {
  id: "ntc-7.2.1790000000000",
  words: {
    subject: "Retour arrière de v2_migration — à 10 %",
    text: "Tout le monde est revenu.\nLigne 2",
    html: "<!doctype html><p>Tout &lt;b&gt;",
    slack: "*Tout* &lt;!channel&gt;",
  },
  notice: {
    id: "ntc-7",
    kind: "rollout-rolled-back",
    severity: "P1",
    group: "g",
    flag: "v2_migration",
    facts: { reason: "p95" },
    openedAt: 1_790_000_000_000,
    lastAt: 1_790_000_000_000,
    count: 1,
    acknowledged: undefined,
    resolvedAt: undefined,
    levels: {},
  },
  delivery: { part: "first", index: 0, tries: 0 },
  link: "https://crossfade.example/notices/ntc-7/ack?sig=x",
  at: AT,
};

const never = new AbortController().signal;
const slack = (url: string, timeoutMs = 10_000): SlackChannel => ({ kind: "slack", name: "s", language: "fr", timeoutMs, url });
const web = (url: string, change: Partial<WebhookChannel> = {}): WebhookChannel => ({
  kind: "webhook",
  name: "w",
  language: "en",
  timeoutMs: 10_000,
  url,
  headers: {},
  secret: undefined,
  ...change,
});
const email = (port: number, change: Partial<EmailChannel> = {}): EmailChannel => ({
  kind: "email",
  name: "m",
  language: "fr",
  timeoutMs: 10_000,
  from: "crossfade <crossfade@example.com>",
  to: ["ada@example.com", "Bo <bo@example.com>"],
  host: "127.0.0.1",
  port,
  tls: "opportunistic",
  user: undefined,
  password: undefined,
  ...change,
});
const send = (channel: Channel, signal = never) => createSend(channel)(MESSAGE, signal);

t.test("Slack is sent the text as JSON, and the connection is not kept", async (t) => {
  const receiver = await startWebReceiver(t);
  t.same(await send(slack(receiver.url)), { ok: true });
  const [first] = receiver.taken;
  t.match(JSON.parse(first?.body ?? ""), { text: "*Tout* &lt;!channel&gt;" });
  t.equal(first?.headers["x-crossfade-delivery"], MESSAGE.id);
  await until("the connection is closed", () => receiver.connections.size === 0);
});

t.test("a webhook is signed over its very bytes, which hold the instant and the id of the delivery", async (t) => {
  const receiver = await startWebReceiver(t);
  t.same(await send(web(receiver.url, { secret: "correct-horse", headers: { authorization: "Bearer abc" } })), { ok: true });
  const [first] = receiver.taken;
  const { headers = {}, body = "" } = first ?? {};
  t.equal(headers["x-crossfade-signature"], `sha256=${createHmac("sha256", "correct-horse").update(body).digest("hex")}`);
  t.equal(headers["authorization"], "Bearer abc");
  t.equal(headers["x-crossfade-delivery"], MESSAGE.id);
  const told = JSON.parse(body);
  t.match(told, {
    delivery: MESSAGE.id,
    at: "2026-11-23T02:00:00.000Z",
    part: "first",
    try: 1,
    notice: { id: "ntc-7", kind: "rollout-rolled-back" },
  });
  t.equal(headers["x-crossfade-timestamp"], told.at);
  t.equal(told.acknowledge, MESSAGE.link);
});

t.test("what a receiver answers decides, and none of its failures tells a secret", async (t) => {
  const cases = [
    ["error", /^HTTP 500: cannot POST \*\*\* with \*\*\*/],
    ["busy", /^HTTP 429: rate_limited$/],
    ["redirect", /^HTTP 307: redirects are not followed/],
    ["reset", /broke off/],
    ["hang", /no whole answer within 300 ms/],
  ] as const;
  for (const [fault, detail] of cases) {
    const receiver = await startWebReceiver(t, () => fault);
    const sent = await send(
      web(receiver.url, { timeoutMs: fault === "hang" ? 300 : 10_000, headers: { authorization: "Bearer TOKENSECRET" } }),
    );
    t.match(sent, { ok: false, detail }, fault);
    t.notMatch(JSON.stringify(sent), /S3CRET|PATHSECRET|TOKENSECRET/, fault);
    if (!sent.ok) t.equal(sent.retryAfterMs, fault === "busy" ? 7_000 : undefined, fault);
    t.equal(receiver.seen.length, 1, `${fault}: sent once`);
    await until("nothing is left open", () => receiver.connections.size === 0);
  }
  const gone = createTcpServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => gone.once("listening", resolve));
  const { port } = gone.address() as AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
  t.match(await send(slack(`http://127.0.0.1:${port}/x`)), { ok: false, detail: /nobody takes connections/ });
});

t.test("a message under way can be called off, whatever the channel", async (t) => {
  const receiver = await startWebReceiver(t, () => "hang");
  const mute = createTcpServer(() => undefined).listen(0, "127.0.0.1");
  await new Promise((resolve) => mute.once("listening", resolve));
  t.teardown(() => mute.close());
  const { port } = mute.address() as AddressInfo;
  for (const channel of [slack(receiver.url), web(receiver.url), email(port)]) {
    const off = new AbortController();
    const sent = send(channel, off.signal);
    setTimeout(() => off.abort(), 20);
    t.match(await sent, { ok: false, detail: /called off/ }, channel.kind);
  }
});

t.test("an e-mail has both forms, says that a program sent it, and names the delivery", async (t) => {
  const receiver = await startMailReceiver(t);
  t.same(await send(email(receiver.port)), { ok: true });
  const [mail] = receiver.mails;
  t.equal(mail?.from, "crossfade@example.com");
  t.same(mail?.to, ["ada@example.com", "bo@example.com"]);
  const raw = mail?.raw ?? "";
  t.match(raw, /^Message-ID: <ntc-7\.2\.1790000000000@example\.com>$/im);
  t.match(raw, /^Auto-Submitted: auto-generated$/im);
  t.match(raw, /^Content-Type: multipart\/alternative/im);
  t.match(raw, /text\/plain/);
  t.match(raw, /text\/html/);
  t.match(raw, /^Subject: =\?UTF-8\?/m);
  await until("the connection is closed", () => receiver.connections() === 0);
});

t.test("the login is used, and a refused one tells no password", async (t) => {
  const onAuth: NonNullable<Parameters<typeof startMailReceiver>[1]>["onAuth"] = ({ username, password }, _, done) => {
    if (password === "PA55SECRET") done(null, { user: username ?? "" });
    else done(new Error(`no such password: ${password ?? ""}`));
  };
  const receiver = await startMailReceiver(t, { authOptional: false, allowInsecureAuth: true, onAuth });
  t.same(await send(email(receiver.port, { user: "bot", password: "PA55SECRET" })), { ok: true });
  t.equal(receiver.mails[0]?.user, "bot");
  const refused = await send(email(receiver.port, { user: "bot", password: "WR0NGSECRET" }));
  t.match(refused, { ok: false, detail: /login was refused.*\*\*\*/ });
  t.notMatch(JSON.stringify(refused), /SECRET/);
  const without = await startMailReceiver(t, { disabledCommands: ["AUTH", "STARTTLS"] });
  t.match(
    await send(email(without.port, { user: "bot", password: "PA55SECRET" })),
    { ok: false },
    "nothing is sent without the login that was meant",
  );
  t.equal(without.mails.length, 0);
});

t.test("TLS is what the configuration says: required means it, and certificates are looked at", async (t) => {
  const plain = await startMailReceiver(t);
  t.match(await send(email(plain.port, { tls: "required" })), { ok: false }, "no STARTTLS is offered");
  t.equal(plain.mails.length, 0, "nothing is sent in the clear");
  const upgrading = await startMailReceiver(t, { cert, key, disabledCommands: [] });
  t.same(await send(email(upgrading.port)), { ok: true }, "opportunistic takes any certificate");
  t.equal(upgrading.mails[0]?.secure, true);
  t.match(await send(email(upgrading.port, { tls: "required" })), { ok: false }, "an unknown issuer is refused");
  const implicit = await startMailReceiver(t, { cert, key, secure: true });
  t.match(await send(email(implicit.port, { tls: "implicit" })), { ok: false }, "here too");
  t.equal(upgrading.mails.length + implicit.mails.length, 1);
});

t.test("a mail server that refuses, is silent or breaks off is a failure within the limit", async (t) => {
  const refusing = await startMailReceiver(t, {
    onMailFrom: (_, __, done) => done(Object.assign(new Error("not you"), { responseCode: 550 })),
  });
  t.match(await send(email(refusing.port)), { ok: false, detail: /takes no mail.*not you/ });
  const picky = await startMailReceiver(t, {
    onRcptTo: ({ address }, _, done) => (address.startsWith("bo") ? done(new Error("unknown")) : done()),
  });
  t.match(await send(email(picky.port)), { ok: true, remark: /1 of 2 recipients/ }, "who could be told is not told again");
  const mute = createTcpServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
  await new Promise((resolve) => mute.once("listening", resolve));
  t.teardown(() => mute.close());
  const { port } = mute.address() as AddressInfo;
  t.match(await send(email(port, { timeoutMs: 300 })), { ok: false, detail: /within 300 ms/ });
  const breaking = createTcpServer((socket) => socket.end("220 hello\r\n")).listen(0, "127.0.0.1");
  await new Promise((resolve) => breaking.once("listening", resolve));
  t.teardown(() => breaking.close());
  t.match(await send(email((breaking.address() as AddressInfo).port)), { ok: false });
});

t.test("Retry-After is read as seconds and as a date", async (t) => {
  t.equal(parseRetryAfter("12", AT), 12_000);
  t.equal(parseRetryAfter("Mon, 23 Nov 2026 02:01:00 GMT", AT), 60_000);
  t.equal(parseRetryAfter("Mon, 23 Nov 2026 01:00:00 GMT", AT), 0);
  for (const odd of [undefined, "", "soon", "-3", "1e9"]) t.equal(parseRetryAfter(odd, AT), undefined, odd ?? "nothing");
});

t.test("secrets are found in every form in which they may be repeated", async (t) => {
  const secret = 'a"b c/d+é';
  const forms = [secret, encodeURIComponent(secret), JSON.stringify(secret), Buffer.from(secret).toString("base64")];
  for (const form of forms) t.notOk(withoutSecrets(`before ${form} after`, [secret]).includes(form), form);
  const url = "https://hooks.example.com/services/T00000000/B00000000/XXXXxxxx1234?token=abcdefghijkl";
  const shown = withoutSecrets(`${url} T00000000 B00000000 XXXXxxxx1234 abcdefghijkl services`, secretsOf(url));
  t.equal(shown, "*** *** *** *** *** services");
  t.equal(withoutSecrets("a\r\n\u001b[31mb", []), "a [31mb");
  for (const times of [5, 20, 200]) {
    const repeated = withoutSecrets(`${secret.repeat(3)} `.repeat(times), [secret.repeat(3)]);
    t.notOk(repeated.includes(secret.slice(0, 8)), "none is cut in two, however often it is repeated");
  }
});

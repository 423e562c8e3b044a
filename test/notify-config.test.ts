import t from "tap";
import type { Notifications } from "../src/config/config-told.ts";
import { loadConfig, parseConfig } from "../src/config/parse.ts";

function parse(notifications: string, environment: Record<string, string> = {}): ReturnType<typeof parseConfig> {
  return parseConfig(
    `
upstreams: { old: { endpoints: [ "http://127.0.0.1:1" ] } }
routes: [ { name: all, match: { path: /** }, upstream: old } ]
notifications:
${notifications}
`,
    environment,
  );
}

function good(notifications: string, environment: Record<string, string> = {}): Notifications {
  const parsed = parse(notifications, environment);
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config.notifications;
}

function problems(notifications: string): string[] {
  const parsed = parse(notifications);
  return "problems" in parsed ? parsed.problems.map(({ path, message }) => `${path}: ${message}`) : [];
}

t.test("left out, nothing is sent and the reminders are those of the plan", async (t) => {
  const { channels, routes, escalations, reminders, rollbackFlow, groupForMs, url, secret } = good("  {}");
  t.same([channels, routes, escalations, rollbackFlow], [[], [], [], []]);
  t.same(reminders, { P0: 900_000, P1: 1_800_000, P2: 3_600_000, P3: undefined });
  t.same([groupForMs, url, secret], [600_000, undefined, undefined]);
});

const ALL = `
  url: https://ops.example/crossfade/
  channels:
    room: { slack: "https://hooks.example/T/B/x", language: fr, timeout: 3s }
    mail: { email: { from: "crossfade <c@example.com>", to: [a@example.com, "b@example.com", a@example.com], host: smtp.example.com, tls: implicit } }
    hook: { webhook: "https://pager.example/x", secret: long-enough, headers: { Authorization: Bearer abc, X-None: "" } }
  routes: [ { channels: [room, room] }, { severities: [p0, info], kinds: [killed], channels: [mail, hook] } ]
  escalations: { technical: { levels: [ { after: 15m, channels: [mail] }, { after: 1h, channels: [hook] } ] } }
  reminders: { P1: 0s, P3: 2h }
  rollback_flow: [ { after: 0s, channels: [room] }, { after: 24h, channels: [room] } ]
`;

t.test("everything is understood, with its defaults", async (t) => {
  const found = good(ALL);
  t.same(found.channels, [
    { name: "room", language: "fr", timeoutMs: 3_000, kind: "slack", url: "https://hooks.example/T/B/x" },
    {
      name: "mail",
      language: "en",
      timeoutMs: 10_000,
      kind: "email",
      from: "crossfade <c@example.com>",
      to: ["a@example.com", "b@example.com"],
      host: "smtp.example.com",
      port: 465,
      tls: "implicit",
      user: undefined,
      password: undefined,
    },
    {
      name: "hook",
      language: "en",
      timeoutMs: 10_000,
      kind: "webhook",
      url: "https://pager.example/x",
      headers: { authorization: "Bearer abc" },
      secret: "long-enough",
    },
  ]);
  t.same(found.routes, [
    { severities: ["P0", "P1", "P2", "P3", "info"], kinds: [], channels: ["room"] },
    { severities: ["P0", "info"], kinds: ["killed"], channels: ["mail", "hook"] },
  ]);
  t.match(found.escalations, [{ name: "technical", severities: ["P0", "P1"], levels: [{ afterMs: 900_000 }, { afterMs: 3_600_000 }] }]);
  t.match(found.reminders, { P0: 900_000, P1: undefined, P3: 7_200_000 });
  t.match(found.rollbackFlow, [{ afterMs: 0 }, { afterMs: 86_400_000 }]);
  t.equal(found.url, "https://ops.example/crossfade");
});

t.test("an empty variable switches a channel off, and whatever names it goes on without it", async (t) => {
  const text = `
  channels:
    room: { slack: "\${SLACK:-}" }
    hook: { webhook: "\${HOOK:-}", secret: "\${KEY:-}" }
    mail: { email: { from: "\${FROM:-}", to: ["\${TO:-}"], host: "\${HOST:-}" } }
  routes: [ { channels: [room] }, { channels: [room, hook, mail] } ]
  escalations: { technical: { levels: [ { after: 1m, channels: [room] }, { after: 2m, channels: [hook] } ] } }
  rollback_flow: [ { after: 0s, channels: [mail] } ]
`;
  const none = good(text);
  t.same([none.channels, none.routes], [[], []]);
  t.same(
    none.escalations[0]?.levels.map(({ channels }) => channels),
    [[], []],
  );
  const some = good(text, { HOOK: "https://pager.example/x", TO: "a@example.com", HOST: "smtp.example.com" });
  t.same(
    some.channels.map(({ name }) => name),
    ["hook"],
  );
  t.match(some.routes, [{ channels: ["hook"] }]);
  t.match(some.escalations, [
    {
      levels: [
        { afterMs: 60_000, channels: [] },
        { afterMs: 120_000, channels: ["hook"] },
      ],
    },
  ]);
});

t.test("an address behind which no path can be put is refused", async (t) => {
  t.match(problems('  url: "https://ops.example/?team=a"').join("\n"), /^notifications\.url: has a query/);
});

t.test("all mistakes are told at once, with what would be right, and no secret in them", async (t) => {
  const found = problems(`
  url: "ftp://ops"
  secret: short
  channels:
    room: { slack: "no-url-SECRET" }
    both: { slack: "https://a.example/", webhook: "https://b.example/" }
    none: { language: de }
    mail: { email: { from: nobody, to: [a@b@c], host: "smtp example", port: 70000 }, headers: { X: y } }
    hook: { webhook: "https://user:SECRET@b.example/", headers: { Content-Type: x, "a b": y } }
  routes: [ { channels: [rooom] }, { severities: [P9], kinds: [killd], channels: [] } ]
  escalations: { technical: { levels: [ { after: 30m, channels: [room] }, { after: 15m, channels: [hok] } ] } }
  reminders: { P0: 15 }
  rollback_flow: [ { after: 5m, channels: [room] }, { after: 5m, channels: [room] } ]
`);
  const expected = [
    /^notifications\.url: .*http/,
    /^notifications\.secret: has 5 characters/,
    /^notifications\.channels\.room\.slack: is not a usable URL/,
    /^notifications\.channels\.both: has slack and webhook; a channel needs one/,
    /^notifications\.channels\.none: has none of/,
    /^notifications\.channels\.none\.language: "de" is not known here; expected en or fr/,
    /^notifications\.channels\.mail\.email\.from: "nobody" is not an e-mail address; expected .*ops@example\.com/,
    /^notifications\.channels\.mail\.email\.to\[0\]: "a@b@c" is not/,
    /^notifications\.channels\.mail\.email\.host: /,
    /^notifications\.channels\.mail\.email\.port: 70000 is out of range/,
    /^notifications\.channels\.mail\.headers: means nothing to email/,
    /^notifications\.channels\.hook\.webhook: holds credentials/,
    /^notifications\.channels\.hook\.headers\.Content-Type: is set by the program itself/,
    /^notifications\.channels\.hook\.headers\["a b"\]: is not the name of a header/,
    /^notifications\.routes\[0\]\.channels\[0\]: channel "rooom" is not known; did you mean "room"\?/,
    /^notifications\.routes\[1\]\.severities\[0\]: "P9" is not known here; expected P0, P1/,
    /^notifications\.routes\[1\]\.kinds\[0\]: "killd" is not known/,
    /^notifications\.routes\[1\]\.channels: is empty/,
    /^notifications\.escalations\.technical\.levels\[1\]\.after: 15m is not later/,
    /^notifications\.escalations\.technical\.levels\[1\]\.channels\[0\]: channel "hok" is not known; did you mean "hook"\?/,
    /^notifications\.reminders\.P0: 15 has no unit/,
    /^notifications\.rollback_flow\[1\]\.after: 5m is not later/,
  ];
  for (const pattern of expected)
    t.ok(
      found.some((line) => pattern.test(line)),
      `${pattern.source} in\n${found.join("\n")}`,
    );
  t.equal(found.length, expected.length, found.join("\n"));
  t.notMatch(found.join("\n"), /SECRET/);
});

t.test("the example tells those whose addresses are given", async (t) => {
  const none = await loadConfig("config/supersmartmatch.yaml", {});
  const some = await loadConfig("config/supersmartmatch.yaml", {
    SLACK_URL: "http://slack:9096/x",
    MAIL_TO: "a@example.com",
    SMTP_HOST: "mail",
  });
  if ("problems" in none || "problems" in some) throw new Error("the example cannot be read");
  t.same(none.config.notifications.channels, []);
  t.same(
    some.config.notifications.channels.map(({ name }) => name),
    ["war-room", "on-call"],
  );
  t.same(
    some.config.notifications.rollbackFlow.map(({ afterMs }) => afterMs / 60_000),
    [0, 5, 15, 30, 120, 1_440],
  );
});

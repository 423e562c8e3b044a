import t from "tap";
import type { Channel, Notifications } from "../src/config/config-told.ts";
import type { RunningDesk } from "./support/notice-desk.ts";
import type { DocumentStore } from "../src/store/documents.ts";
import { type StoreHealth, StoreUnavailable } from "../src/store/store.ts";
import { until } from "./support/backend.ts";
import { Clock, NOBODY, SharedDocuments, startDesk, World } from "./support/notice-desk.ts";
import { type Received, startMailReceiver, startWebReceiver, type WebReceiver } from "./support/receivers.ts";

// A busy machine takes its time.
t.setTimeout(300_000);

const MINUTE = 60_000;

const base = { language: "en", timeoutMs: 5_000 } as const;
const web = (name: string, { url }: WebReceiver, timeoutMs = 5_000): Channel => ({
  ...base,
  kind: "webhook",
  name,
  timeoutMs,
  url,
  headers: {},
  secret: undefined,
});
const told = (channels: readonly Channel[], more: Partial<Notifications> = {}): Notifications => ({
  ...NOBODY,
  channels,
  routes: [{ severities: ["P0", "P1", "P2", "P3", "info"], kinds: [], channels: channels.map(({ name }) => name) }],
  ...more,
});

interface Told {
  readonly delivery: string;
  readonly part: string;
  readonly index: number;
  readonly try: number;
  readonly notice: { readonly id: string; readonly kind: string };
}

function toldOf({ body }: Received): Told {
  return JSON.parse(body);
}

/** `part` and `index` of what was taken, in the order in which it came. */
function partsOf({ taken }: WebReceiver): string[] {
  return taken.map((one) => {
    const { part, index } = toldOf(one);
    return `${part} ${index}`;
  });
}

/** Lets time pass in steps until it is so. */
async function passing(clock: Clock, stepMs: number, what: string, condition: () => boolean): Promise<void> {
  await until(what, async () => {
    if (condition()) return true;
    clock.move(stepMs);
    await new Promise((resolve) => setTimeout(resolve, 25));
    return condition();
  });
}

/** Resolves when it has looked at the present world twice. */
async function settled({ desk }: RunningDesk): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await desk.refresh();
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function fresh(): { readonly documents: SharedDocuments; readonly clock: Clock; readonly world: World } {
  return { documents: new SharedDocuments(), clock: new Clock(), world: new World() };
}

t.test("receivers that fail at first get everything once they work, in order and nothing twice", async (t) => {
  const faults = ["error", "reset", "busy", "hang"] as const;
  const hook = await startWebReceiver(t, (count) => faults[count]);
  const slack = await startWebReceiver(t, (count) => (count < 3 ? "reset" : undefined));
  let refused = 0;
  const mail = await startMailReceiver(t, {
    onConnect: (_, done) => (refused++ < 2 ? done(new Error("come back later")) : done()),
  });
  const setup = fresh();
  const channels: Channel[] = [
    web("hook", hook, 2_000),
    { ...base, kind: "slack", name: "slack", url: slack.url },
    {
      ...base,
      kind: "email",
      name: "mail",
      from: "a@example.com",
      to: ["b@example.com"],
      host: "127.0.0.1",
      port: mail.port,
      tls: "opportunistic",
      user: undefined,
      password: undefined,
    },
  ];
  const { desk } = startDesk(t, { ...setup, notifications: told(channels) });
  await until("it leads", () => desk.view().sender !== undefined);
  setup.world.kill("move", true);
  await until("the notice is there", () => desk.view().notices.length === 1);
  setup.world.kill("move", false);
  const all = (): boolean => hook.taken.length >= 2 && slack.taken.length >= 2 && mail.mails.length >= 2;
  await passing(setup.clock, 2_000, "everybody was told", all);
  await until("all is recorded", () => desk.view().deliveries.every(({ status }) => status === "sent"));
  t.same(
    hook.taken.map((one) => toldOf(one).part),
    ["first", "end"],
    "one word, then the last one",
  );
  const ids = hook.seen.map((one) => toldOf(one).delivery);
  t.same(new Set(ids.slice(0, 5)).size, 1, "each try is the same delivery");
  t.ok((toldOf(hook.taken[0] ?? { headers: {}, body: "{}" }).try ?? 0) === 5, "and says which try it is");
  t.equal(slack.taken.length, 2);
  t.equal(mail.mails.length, 2);
  const messageIds = mail.mails.map(({ raw }) => /^Message-ID: (.*)$/im.exec(raw)?.[1]);
  t.equal(new Set(messageIds).size, 2);
  t.same(
    desk.view().channels.map(({ failingSince, lastError }) => [failingSince, lastError]),
    channels.map(() => [undefined, ""]),
  );
});

t.test("a message that ends while another's end is being written is recorded too", async (t) => {
  const receiver = await startWebReceiver(t);
  const setup = fresh();
  const ends = { a: Promise.withResolvers<void>(), b: Promise.withResolvers<void>() };
  const create =
    ({ name }: Channel) =>
    async () => {
      await (name === "a" ? ends.a : ends.b).promise;
      return { ok: true } as const;
    };
  const { desk } = startDesk(t, { ...setup, notifications: told([web("a", receiver), web("b", receiver)]), parts: { create } });
  await until("it leads", () => desk.view().sender !== undefined);
  setup.world.kill("move", true);
  await until("both are under way", () => desk.view().deliveries.length === 2);
  setup.documents.beforeSave = async (text) => {
    if (!text.includes('"sent"')) return;
    ends.b.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  ends.a.resolve();
  await until("both are recorded", () => desk.view().deliveries.every(({ status }) => status === "sent"));
});

t.test("a dead channel keeps no other waiting, and is shown with why", async (t) => {
  const dead = await startWebReceiver(t, () => "hang");
  const well = await startWebReceiver(t);
  const setup = fresh();
  const running = startDesk(t, { ...setup, notifications: told([web("dead", dead, 60_000), web("well", well)]) });
  const { desk, lines } = running;
  await until("it leads", () => desk.view().sender !== undefined);
  for (let i = 1; i <= 3; i++) {
    setup.clock.move(1_000);
    setup.world.kill("move", i % 2 === 1);
    await until("the living one is told", () => well.taken.length === i);
  }
  t.ok(dead.seen.length >= 1);
  await until("that is known", () => desk.view().channels.find(({ name }) => name === "well")?.waiting === 0);
  t.ok((desk.view().channels.find(({ name }) => name === "dead")?.waiting ?? 0) > 0);
  const began = performance.now();
  await desk.close();
  t.ok(performance.now() - began < 8_000, "the end does not wait for it either");
  t.match(lines.join(""), /could not be sent/);
});

t.test("an escalation goes from level to level, and ends with an acknowledgement by link", async (t) => {
  const [ops, first, second, third] = [
    await startWebReceiver(t),
    await startWebReceiver(t),
    await startWebReceiver(t),
    await startWebReceiver(t),
  ];
  const channels = [web("ops", ops), web("l1", first), web("l2", second), web("l3", third)];
  const levels = [15, 30, 60].map((minutes, i) => ({ afterMs: minutes * MINUTE, channels: [`l${i + 1}`] }));
  const notifications: Notifications = {
    ...told(channels, { url: "https://crossfade.example" }),
    routes: [{ severities: ["P1"], kinds: [], channels: ["ops"] }],
    escalations: [{ name: "technical", severities: ["P0", "P1"], levels }],
  };
  const setup = fresh();
  const running = startDesk(t, { ...setup, notifications });
  const { desk } = running;
  await until("it leads", () => desk.view().sender !== undefined);
  setup.world.kill("move", true);
  await until("ops is told", () => ops.taken.length === 1);
  setup.clock.move(14 * MINUTE);
  await settled(running);
  t.equal(first.seen.length, 0, "not before its time");
  setup.clock.move(MINUTE);
  await until("level 1 is called", () => first.taken.length === 1);
  t.same(partsOf(first), ["level 1"]);
  setup.clock.move(15 * MINUTE);
  await until("level 2 is called", () => second.taken.length === 1);
  const link = new URL(JSON.parse(second.taken[0]?.body ?? "{}").acknowledge);
  t.equal(link.origin, "https://crossfade.example");
  const check = await desk.checkLink("ntc-1", link.searchParams);
  t.match(check, { kind: "good", by: "l2" });
  await desk.acknowledge("ntc-1", { who: "l2", reason: "" }, "link");
  setup.clock.move(2 * 60 * MINUTE);
  await settled(running);
  t.equal(third.seen.length, 0, "nobody else is called");
  t.match(desk.view().notices[0], { acknowledged: { by: "l2", via: "link" } });
  t.match(await desk.acknowledge("ntc-1", { who: "x", reason: "" }, "cli"), { acknowledged: { by: "l2" } }, "who came first stays");
});

t.test("a restart in the middle of an escalation neither repeats a level nor forgets one", async (t) => {
  const [ops, first, second] = [await startWebReceiver(t), await startWebReceiver(t), await startWebReceiver(t)];
  const notifications: Notifications = {
    ...told([web("ops", ops), web("l1", first), web("l2", second)]),
    routes: [{ severities: ["P1"], kinds: [], channels: ["ops"] }],
    escalations: [
      {
        name: "technical",
        severities: ["P1"],
        levels: [
          { afterMs: 15 * MINUTE, channels: ["l1"] },
          { afterMs: 30 * MINUTE, channels: ["l2"] },
        ],
      },
    ],
  };
  const setup = fresh();
  const one = startDesk(t, { ...setup, notifications });
  await until("it leads", () => one.desk.view().sender !== undefined);
  setup.world.kill("move", true);
  await until("ops is told", () => ops.taken.length === 1);
  setup.clock.move(15 * MINUTE);
  await until("level 1 is called", () => first.taken.length === 1);
  await one.desk.close();
  setup.clock.move(10 * MINUTE);
  const two = startDesk(t, { ...setup, notifications, instance: "host-b" });
  await until("the other one sends", () => two.desk.view().sender === "host-b");
  await settled(two);
  t.equal(second.seen.length, 0);
  setup.clock.move(5 * MINUTE);
  await until("level 2 is called", () => second.taken.length === 1);
  t.same([partsOf(ops), partsOf(first), partsOf(second)], [["first 0"], ["level 1"], ["level 2"]]);
});

t.test("who loses the lead while it sends is not doubled by the next one", async (t) => {
  const slow = await startWebReceiver(t, (count) => (count === 0 ? "hang" : undefined));
  const setup = fresh();
  const notifications = told([web("slow", slow, 60_000)]);
  const one = startDesk(t, { ...setup, notifications });
  await until("it leads", () => one.desk.view().sender !== undefined);
  setup.world.kill("move", true);
  await until("it is being sent", () => slow.seen.length === 1);
  setup.documents.expire();
  const two = startDesk(t, { ...setup, notifications, instance: "host-b" });
  // Whoever is first leads; both see the same document.
  await settled(one);
  await settled(two);
  t.equal(slow.seen.length, 1, "as long as it may still arrive");
  await one.desk.close();
  await passing(setup.clock, 5_000, "it is sent again", () => slow.taken.length === 1);
  t.equal(new Set(slow.seen.map((received) => toldOf(received).delivery)).size, 1, "as the same delivery");
});

t.test("without the store the one that sent goes on from memory, and nothing is lost or repeated when it is back", async (t) => {
  const [ops, first] = [await startWebReceiver(t), await startWebReceiver(t)];
  const notifications: Notifications = {
    ...told([web("ops", ops), web("l1", first)]),
    routes: [{ severities: ["P1", "info"], kinds: [], channels: ["ops"] }],
    escalations: [{ name: "technical", severities: ["P1"], levels: [{ afterMs: 15 * MINUTE, channels: ["l1"] }] }],
  };
  const setup = fresh();
  const one = startDesk(t, { ...setup, notifications });
  await until("it leads", () => one.desk.view().sender === "host-a");
  const two = startDesk(t, { ...setup, notifications, instance: "host-b" });
  await settled(two);
  setup.world.kill("move", true);
  await until("ops is told", () => ops.taken.length === 1);
  await until("it is recorded", () => one.desk.view().deliveries.every(({ status }) => status === "sent"));
  setup.documents.down = true;
  await settled(one);
  await settled(two);
  setup.clock.move(11_000);
  const lost = (): Told[] => ops.taken.map(toldOf).filter(({ notice }) => notice.kind === "store-lost");
  await until("each of the two tells that the store is lost", () => lost().length === 2);
  setup.clock.move(15 * MINUTE);
  await until("level 1 is called all the same, for each of the two troubles", () => first.taken.length === 2);
  await settled(one);
  await settled(two);
  t.equal(lost().length, 2, "once each");
  setup.documents.down = false;
  await until("the end is told", () => ops.taken.map(toldOf).filter(({ part }) => part === "end").length === 2);
  await until("the document has it all", () => /"store-lost"/.test(setup.documents.stored?.text ?? ""));
  await settled(one);
  await settled(two);
  t.same(partsOf(first), ["level 1", "level 1", "end 0"]);
  t.equal(ops.taken.length, 5, "one kill, and twice lost and back");
});

t.test("what another instance acknowledged meanwhile counts", async (t) => {
  const ops = await startWebReceiver(t);
  const setup = fresh();
  const notifications = told([web("ops", ops)]);
  const one = startDesk(t, { ...setup, notifications });
  await until("it leads", () => one.desk.view().sender === "host-a");
  const two = startDesk(t, { ...setup, notifications, instance: "host-b" });
  setup.world.kill("move", true);
  await until("ops is told", () => ops.taken.length === 1);
  await two.desk.acknowledge("ntc-1", { who: "bea", reason: "" }, "cli");
  t.match(two.desk.view().notices[0], { acknowledged: { by: "bea" } });
  await until("the one that sends knows it", () => one.desk.view().notices[0]?.acknowledged?.by === "bea");
  t.equal(two.desk.view().sender, "host-a");
  await t.rejects(two.desk.acknowledge("ntc-9", { who: "bea", reason: "" }, "cli"), { name: "Refused", message: /no notice "ntc-9"/ });
  setup.documents.down = true;
  await t.rejects(two.desk.acknowledge("ntc-1", { who: "bea", reason: "" }, "cli"), { name: "StoreUnavailable" });
});

t.test("a store that refuses the notices alone is told of with why", async (t) => {
  const ops = await startWebReceiver(t);
  const setup = fresh();
  const storeHealth = (): StoreHealth => ({ kind: "redis", up: true, message: "", origin: "store" });
  const desks = ["host-a", "host-b"].map((instance) => {
    return startDesk(t, { ...setup, instance, notifications: told([web("ops", ops)]), parts: { storeHealth } });
  });
  await until("one leads", () => desks.some(({ desk }) => desk.view().sender !== undefined));
  setup.documents.down = true;
  await Promise.all(desks.map(settled));
  setup.clock.move(11_000);
  await until("both tell", () => ops.taken.length === 2);
  for (const { body } of ops.taken) t.match(JSON.parse(body), { notice: { kind: "store-lost", facts: { reason: /this test is away/ } } });
});

t.test("what is acknowledged on the one that sends counts, also when another has taken over meanwhile", async (t) => {
  const ops = await startWebReceiver(t);
  const setup = fresh();
  const notifications = told([web("ops", ops)]);
  const shared = setup.documents.of("host-a");
  let isCutOff = false;
  const reach = (): void => {
    if (isCutOff) throw new StoreUnavailable("host-a does not reach the store");
  };
  const documents: DocumentStore = {
    ...shared,
    load: async (name) => (reach(), shared.load(name)),
    save: async (name, write) => (reach(), shared.save(name, write)),
    lead: async (name, ttlMs) => (reach(), shared.lead(name, ttlMs)),
  };
  const one = startDesk(t, { ...setup, notifications, parts: { documents } });
  await until("it leads", () => one.desk.view().sender === "host-a");
  setup.world.kill("move", true);
  await until("ops is told", () => ops.taken.length === 1);
  await until("it is recorded", () => one.desk.view().deliveries.every(({ status }) => status === "sent"));
  isCutOff = true;
  await settled(one);
  const two = startDesk(t, { ...setup, notifications, instance: "host-b" });
  setup.documents.expire();
  await until("the other one sends", () => two.desk.view().sender === "host-b");
  t.match(await one.desk.acknowledge("ntc-1", { who: "ada", reason: "" }, "cli"), { acknowledged: { by: "ada" } });
  const saves = setup.documents.saves;
  setup.clock.move(31_000);
  await until("the other one has written since", () => setup.documents.saves > saves);
  isCutOff = false;
  await until("both know it", () =>
    [one, two].every(({ desk }) => {
      void desk.refresh();
      return desk.view().sender === "host-b" && desk.view().notices.find(({ id }) => id === "ntc-1")?.acknowledged?.by === "ada";
    }),
  );
});

t.test("a quiet day writes the document now and then, and sends nothing", async (t) => {
  const ops = await startWebReceiver(t);
  const setup = fresh();
  const running = startDesk(t, { ...setup, notifications: told([web("ops", ops)]) });
  await until("it leads", () => running.desk.view().sender !== undefined);
  await settled(running);
  const before = setup.documents.saves;
  await settled(running);
  t.equal(setup.documents.saves, before);
  setup.clock.move(31_000);
  await until("it is written", () => setup.documents.saves > before);
  t.equal(ops.seen.length, 0);
});

t.test("a newer program's document is left alone, and one that cannot be read is begun anew", async (t) => {
  const setup = fresh();
  setup.documents.stored = { version: 4, text: "neither this nor that" };
  const running = startDesk(t, { ...setup, notifications: NOBODY });
  await until("it is begun anew", () => (setup.documents.stored?.version ?? 0) > 4);
  await running.desk.close();
  const text = (setup.documents.stored?.text ?? "").replace(/"(version|format|v)":(\d+)/, (_, key: string) => `"${key}":99`);
  t.match(text, /:99/);
  setup.documents.stored = { version: 50, text };
  const later = startDesk(t, { ...setup, notifications: NOBODY, instance: "host-b" });
  await until("it says so", () => later.lines.some((line) => /left to a newer program/.test(line)));
  setup.clock.move(60_000);
  await settled(later);
  t.same(setup.documents.stored, { version: 50, text });
});

t.test("no secret of a channel stands in the log, the document or the view", async (t) => {
  const bad = await startWebReceiver(t, () => "error");
  const login = await startMailReceiver(t, {
    authOptional: false,
    allowInsecureAuth: true,
    onAuth: ({ password }, _, done) => done(new Error(`no such password: ${password ?? ""}`)),
  });
  const channels: Channel[] = [
    { ...base, kind: "slack", name: "slack", url: bad.url },
    { ...base, kind: "webhook", name: "hook", url: bad.url, headers: { authorization: "Bearer HEADERSECRET" }, secret: "SIGNSECRET" },
    {
      ...base,
      kind: "email",
      name: "mail",
      from: "a@example.com",
      to: ["b@example.com"],
      host: "127.0.0.1",
      port: login.port,
      tls: "opportunistic",
      user: "bot",
      password: "MAILSECRET",
    },
  ];
  const setup = fresh();
  const { desk, lines } = startDesk(t, {
    ...setup,
    notifications: told(channels, { url: "https://crossfade.example", secret: "LINKSECRETLINKSECRET" }),
  });
  await until("it leads", () => desk.view().sender !== undefined);
  setup.world.kill("move", true);
  await until("all have failed", () => desk.view().channels.every(({ failingSince }) => failingSince !== undefined));
  for (const { name } of channels) t.match(await desk.test(name, "ada"), { ok: false });
  const everything = [...lines, setup.documents.stored?.text ?? "", JSON.stringify(desk.view())].join("\n");
  t.match(everything, /HTTP 500/, "it is told what went wrong");
  t.notMatch(everything, /SECRET|S3CRET|sig=/);
});

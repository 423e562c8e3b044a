import t, { type Test } from "tap";
import { configText } from "./support/app.ts";
import { ask, startBackend, until } from "./support/backend.ts";
import { type RunningProgram, serveProgram } from "./support/program.ts";
import { type RedisServer, startRedis } from "./support/redis.ts";
import { startWebReceiver, type WebReceiver } from "./support/receivers.ts";

// A busy machine takes its time.
t.setTimeout(300_000);

interface Fleet {
  readonly redis: RedisServer;
  readonly programs: readonly [RunningProgram, RunningProgram];
}

/** Two instances in processes of their own that share a Redis and tell one receiver. */
async function startFleet(t: Test, { url }: WebReceiver): Promise<Fleet> {
  const redis = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  t.teardown(() => redis.stop());
  const backend = await startBackend(t, "old");
  const more = `
notifications:
  channels: { hook: { webhook: "${url}", timeout: 4s } }
  routes: [ { channels: [ hook ] } ]
`;
  const text = configText({ stable: backend.origin, candidate: backend.origin, store: redis.url, workers: 1, more });
  const programs = [await serveProgram(t, text), await serveProgram(t, text)] as const;
  return { redis, programs };
}

interface View {
  readonly sender?: string;
  readonly notices: readonly { readonly kind: string; readonly id: string }[];
  readonly deliveries: readonly { readonly status: string }[];
}

async function viewOf({ adminPort }: RunningProgram): Promise<View> {
  return JSON.parse((await ask(adminPort, { path: "/api/notices" })).body);
}

/** The program that sends, and the other one. */
async function rolesOf(programs: Fleet["programs"]): Promise<{ readonly sender: RunningProgram; readonly other: RunningProgram }> {
  let sender: string | undefined;
  await until("somebody sends, and both know who", async () => {
    const views = [await viewOf(programs[0]), await viewOf(programs[1])];
    sender = views[0]?.sender;
    return sender !== undefined && views[1]?.sender === sender;
  });
  const [one, two] = programs;
  return sender?.includes(`-${one.process.pid}-`) === true ? { sender: one, other: two } : { sender: two, other: one };
}

const kill = (program: RunningProgram): ReturnType<typeof ask> =>
  ask(program.adminPort, {
    path: "/api/flags/move/kill",
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ killed: true, reason: "sessions are lost" }),
  });

function deliveriesOf({ seen }: WebReceiver, kind: string): string[] {
  return seen
    .map(({ body }) => JSON.parse(body))
    .filter(({ notice }) => notice.kind === kind)
    .map(({ delivery }) => String(delivery));
}

t.test("when the one that sends dies in the middle of a message, the other one sends it, as the same", { timeout: 90_000 }, async (t) => {
  const receiver = await startWebReceiver(t, (count) => (count === 0 ? "hang" : undefined));
  const { programs } = await startFleet(t, receiver);
  const { sender, other } = await rolesOf(programs);
  t.equal((await kill(sender)).status, 200);
  await until("it is being sent", () => receiver.seen.length === 1);
  sender.process.kill("SIGKILL");
  await until("the other one has sent it", () => receiver.taken.length === 1, 40_000);
  await until("and recorded it", async () => (await viewOf(other)).deliveries.some(({ status }) => status === "sent"));
  const ids = deliveriesOf(receiver, "killed");
  t.equal(ids.length, 2, "twice at most");
  t.equal(new Set(ids).size, 1, "and receivers can tell");
});

t.test("a Redis that dies and comes back empty loses no notice, and nothing is told twice", { timeout: 90_000 }, async (t) => {
  const receiver = await startWebReceiver(t);
  const { programs, redis } = await startFleet(t, receiver);
  const { sender } = await rolesOf(programs);
  t.equal((await kill(sender)).status, 200);
  await until("it is sent", () => receiver.taken.length === 1);
  await until("and recorded", async () => (await viewOf(sender)).deliveries.some(({ status }) => status === "sent"));
  await redis.restart({ empty: true });
  await until(
    "the document is there again",
    async () => (await redis.cli("HGETALL", "crossfade:{@notices}:document")).includes("killed"),
    30_000,
  );
  const { sender: now } = await rolesOf(programs);
  t.match(await viewOf(now), { notices: [{ kind: "killed", id: "ntc-1" }] });
  t.equal(deliveriesOf(receiver, "killed").length, 1);
});

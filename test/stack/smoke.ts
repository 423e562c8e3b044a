import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

/**
 * Looks at the stack of docker-compose.yml from outside, as it runs: drives traffic, changes a percentage in Redis, and wants to see it in the
 * proxy, in the answers, in the replica and in Prometheus; then that networks are apart, and that messages arrive. Exit code 1 at the first
 * thing that is not so. The percentage is 0 again at the end.
 */
const HOST = process.env["SMOKE_HOST"] ?? "127.0.0.1";
const TOKEN = process.env["CROSSFADE_ADMIN_TOKEN"] ?? "known-to-everybody";
const PUBLIC = `http://${HOST}:8080`;
const STATUS = `http://${HOST}:8081`;
const ADMIN = `http://${HOST}:9090`;
const PROMETHEUS = `http://${HOST}:9091`;
const FLAG = "v2_migration";
const SHARE = 25;
const USERS = 400;
const PATIENCE_MS = 60_000;

const run = promisify(execFile);

interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function get(url: string, init: RequestInit = {}): Promise<Got> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(5_000) });
  const text = await response.text();
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // A page.
  }
  return { status: response.status, headers: response.headers, body };
}

async function admin(path: string, body?: unknown): Promise<Got> {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const got = await get(ADMIN + path, body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) });
  if (got.status >= 300) throw new Error(`${path} answered ${got.status}: ${JSON.stringify(got.body)}`);
  return got;
}

/** What the keys lead to, one after the other; undefined where there is nothing. */
function at(value: unknown, ...keys: readonly (string | number)[]): unknown {
  let found = value;
  for (const key of keys) found = typeof found === "object" && found !== null ? Reflect.get(found, key) : undefined;
  return found;
}

async function container(service: string): Promise<string> {
  const filter = `label=com.docker.compose.service=${service}`;
  const { stdout } = await run("docker", ["ps", "--quiet", "--filter", filter]);
  const [id] = stdout.trim().split("\n");
  if (!id) throw new Error(`no container of the service ${service} runs; bring the stack up first: docker compose up --build --wait`);
  return id;
}

async function inside(service: string, ...command: readonly string[]): Promise<string> {
  const { stdout } = await run("docker", ["exec", await container(service), ...command]);
  return stdout.trim();
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  let last: unknown = "it did not become so";
  while (Date.now() < end) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error;
    }
    await delay(250);
  }
  throw new Error(`${what}: not within ${PATIENCE_MS / 1_000} s`, { cause: last });
}

/** One request of every user; how many the candidate was assigned. */
async function drive(): Promise<number> {
  let candidate = 0;
  const one = async (user: number): Promise<void> => {
    const { status, headers } = await get(`${PUBLIC}/api/match`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-user-id": `smoke-${user}` },
      body: JSON.stringify({ cv_data: { nom: "Ada" }, job_data: [{ id: 1, titre: "SRE" }] }),
    });
    if (status !== 200) throw new Error(`user smoke-${user} was answered ${status}`);
    if (headers.get("x-crossfade-arm") === "candidate") candidate++;
  };
  for (let from = 0; from < USERS; from += 20) await Promise.all(Array.from({ length: 20 }, (_, index) => one(from + index)));
  return candidate;
}

async function setShare(percentage: number): Promise<void> {
  await inside("redis-master", "redis-cli", "HSET", `crossfade:{${FLAG}}:flags`, "rollout_percentage", String(percentage));
}

async function query(expression: string): Promise<unknown> {
  const { body } = await get(`${PROMETHEUS}/api/v1/query?query=${encodeURIComponent(expression)}`);
  return at(body, "data", "result");
}

async function numberOf(expression: string): Promise<number> {
  return Number(at(await query(expression), 0, "value", 1) ?? Number.NaN);
}

async function cannotReach(service: string, host: string, port: number): Promise<void> {
  const script = `require("net").connect(${port},"${host}").on("connect",()=>process.exit(7)).on("error",()=>process.exit(0));setTimeout(()=>process.exit(0),2000)`;
  await inside(service, "node", "-e", script).catch((error: unknown) => {
    throw new Error(`${service} reaches ${host}:${port}, which is on a network of its own`, { cause: error });
  });
}

const steps: readonly (readonly [string, () => Promise<void>])[] = [
  ["the public port answers", async () => until("/health", async () => (await get(`${PUBLIC}/health`)).status === 200)],
  [
    "nobody is on V2 at 0 %",
    async () => {
      await setShare(0);
      await until("0 % is in force", async () => at((await admin(`/api/flags/${FLAG}`)).body, "settings", "rollout_percentage") === "0");
      const candidate = await drive();
      if (candidate !== 0) throw new Error(`${candidate} of ${USERS} users were`);
    },
  ],
  [
    `${SHARE} % written with redis-cli are in force`,
    async () => {
      await setShare(SHARE);
      await until(
        "the settings",
        async () => Number(at((await admin(`/api/flags/${FLAG}`)).body, "settings", "rollout_percentage")) === SHARE,
      );
    },
  ],
  [
    "about as many users are on V2, and all are answered",
    async () => {
      const share = (100 * (await drive())) / USERS;
      if (Math.abs(share - SHARE) > 8) throw new Error(`${share} % of ${USERS} users are`);
    },
  ],
  [
    "the replica has it",
    async () =>
      until("the replica", async () => {
        const value = await inside("redis-replica", "redis-cli", "HGET", `crossfade:{${FLAG}}:flags`, "rollout_percentage");
        return Number(value) === SHARE;
      }),
  ],
  [
    "Prometheus has it, and the requests",
    async () => {
      await until(
        "crossfade_flag_percentage",
        async () => (await numberOf(`max(crossfade_flag_percentage{flag="${FLAG}",segment=~"|all|none"})`)) === SHARE,
      );
      await until("crossfade_requests_total", async () => (await numberOf("sum(crossfade_requests_total)")) >= 2 * USERS);
    },
  ],
  [
    "no rule is broken, and no alert that calls somebody fires",
    async () => {
      const { body } = await get(`${PROMETHEUS}/api/v1/rules`);
      const groups = at(body, "data", "groups");
      const rules = Array.isArray(groups) ? groups.flatMap((group: unknown) => at(group, "rules")) : [];
      if (rules.length === 0) throw new Error("there are no rules");
      const broken = rules.filter((rule) => at(rule, "health") === "err").map((rule) => String(at(rule, "name")));
      if (broken.length > 0) throw new Error(`broken: ${broken.join(", ")}`);
      const firing = await query('ALERTS{alertstate="firing",severity="critical"}');
      if (Array.isArray(firing) && firing.length > 0) throw new Error(JSON.stringify(firing));
    },
  ],
  [
    "customers see that all is well",
    async () => {
      const { body } = await get(`${STATUS}/status.json`);
      if (at(body, "state") !== "operational" && at(body, "status") !== "operational") throw new Error(JSON.stringify(body));
    },
  ],
  [
    "messages arrive by mail and on Slack",
    async () => {
      const { body } = await admin("/api/notices");
      const channels = at(body, "channels");
      const names = Array.isArray(channels) ? channels.map((channel: unknown) => String(at(channel, "name"))) : [];
      if (names.length < 2) throw new Error(`channels: ${names.join(", ") || "none"}`);
      for (const channel of names) await admin("/api/notices/test", { channel });
      for (const port of [8025, 9096])
        await until(`a message on port ${port}`, async () => {
          const { body: messages } = await get(`http://${HOST}:${port}/messages`);
          return Array.isArray(messages) && messages.length > 0;
        });
    },
  ],
  [
    "the networks are apart",
    async () => {
      await cannotReach("v1", "redis-master", 6379);
      await cannotReach("v1", "prometheus", 9090);
      await cannotReach("mail", "redis-master", 6379);
      await cannotReach("slack", "v2", 5070);
    },
  ],
  ["Grafana is well", async () => until("grafana", async () => (await get(`http://${HOST}:3000/api/health`)).status === 200)],
  ["everybody is back on V1", async () => setShare(0)],
];

for (const [what, check] of steps) {
  const began = performance.now();
  try {
    await check();
    process.stdout.write(`ok    ${what} (${Math.round(performance.now() - began)} ms)\n`);
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? `\n      ${String(error.cause)}` : "";
    process.stderr.write(`FAIL  ${what}: ${error instanceof Error ? error.message : String(error)}${cause}\n`);
    await setShare(0).catch(() => {});
    process.exit(1);
  }
}
process.stdout.write("The stack works.\n");

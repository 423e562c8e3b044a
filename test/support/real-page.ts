import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { createPeople, type Person } from "../../src/demo/people.ts";
import { MATCH_PATH } from "../../src/demo/settings.ts";
import { type Simulator, startSimulator } from "../../src/demo/simulators/simulator.ts";
import { ask, type Scope, until } from "./backend.ts";
import { openTab, type Tab } from "./browser.ts";
import { type RunningProgram, serveProgram } from "./program.ts";
import { type RedisServer, startRedis } from "./redis.ts";

/** Two programs as they are run, on one Redis, with simulated services, and what each of them says at any moment: page, API, Prometheus text. */

export const FLAG = "v2_migration";
/** A busy machine makes a page slow; whatever is waited for comes in the end. */
const PATIENCE_MS = 120_000;
/** Answers soon and steadily. */
const QUICK = { latencyMs: 5, jitter: 0 };
const PEOPLE = createPeople(400);

export interface RealPage {
  readonly redis: RedisServer;
  readonly v2: Simulator;
  readonly programs: readonly RunningProgram[];
  /** The page of the first of them. */
  look(browser: Browser): Promise<Tab>;
  /** One request of each of these people, by turns to each program; resolves when all are answered. */
  send(people: readonly Person[]): Promise<void>;
  api<T>(path: string): Promise<T>;
  /** Values of a metric of one program whose labels are among others these: their sum; NaN where there is none. */
  metric(name: string, labels?: Readonly<Record<string, string>>, program?: number): Promise<number>;
}

/** People in segments, and in none. */
export function someone(isWanted: (person: Person) => boolean, count: number): readonly Person[] {
  return PEOPLE.filter(isWanted).slice(0, count);
}

export async function startRealPage(scope: Scope, percentage: number): Promise<RealPage> {
  const redis = await startRedis();
  scope.teardown(() => redis.stop());
  const [v1, v2, nexten] = await Promise.all((["v1", "v2", "nexten"] as const).map((kind) => startSimulator(kind, { behaviour: QUICK })));
  if (v1 === undefined || v2 === undefined || nexten === undefined) throw new Error("a simulator is missing");
  for (const each of [v1, v2, nexten]) scope.teardown(() => each.close());
  const given: Readonly<Record<string, string>> = {
    CROSSFADE_LISTEN: "127.0.0.1:0",
    CROSSFADE_ADMIN: "127.0.0.1:0",
    CROSSFADE_STORE: redis.url,
    V1_URL: v1.url,
    V2_URL: v2.url,
    NEXTEN_URL: nexten.url,
  };
  const file = await readFile(join(import.meta.dirname, "../../config/supersmartmatch.yaml"), "utf8");
  const text = file
    .replaceAll(/\$\{(\w+):-[^}]*\}/g, (whole, name: string) => given[name] ?? whole)
    .replace("rollout_percentage: 0", `rollout_percentage: ${percentage}`)
    // A machine that is busy with other things is no slow candidate.
    .replace("response_time: 100ms", "response_time: 4s");
  const programs = await Promise.all([0, 1].map(() => serveProgram(scope, `${text}\nworkers: 1\n`)));
  const of = (index: number): RunningProgram => {
    const program = programs[index];
    if (program === undefined) throw new RangeError(`there is no program ${index}`);
    return program;
  };
  return {
    redis,
    v2,
    programs,
    async look(browser) {
      const tab = await openTab(scope, browser);
      tab.page.setDefaultTimeout(PATIENCE_MS);
      await tab.page.goto(`http://127.0.0.1:${of(0).adminPort}/`);
      await tab.page.waitForSelector("[data-connection=live]");
      return tab;
    },
    async send(people) {
      const replies = await Promise.all(
        people.map((person, index) =>
          ask(of(index % programs.length).port, {
            path: MATCH_PATH,
            method: "POST",
            headers: {
              "content-type": "application/json",
              "x-user-id": person.id,
              ...(person.segment === undefined ? {} : { "x-user-segment": person.segment }),
            },
            body: person.body,
          }),
        ),
      );
      const wrong = replies.find(({ status }) => status !== 200);
      if (wrong !== undefined) throw new Error(`${wrong.status}: ${wrong.body}`);
    },
    async api<T>(path: string) {
      const { body } = await ask(of(0).adminPort, { path });
      const parsed: T = JSON.parse(body);
      return parsed;
    },
    async metric(name, labels = {}, program = 0) {
      const { body } = await ask(of(program).adminPort, { path: "/metrics" });
      const values = body.split("\n").flatMap((line) => {
        const [, own, inside = "", value] = /^(\w+)(?:\{(.*)\})? ([^ ]+)/.exec(line) ?? [];
        const isOne = own === name && Object.entries(labels).every(([label, wanted]) => inside.includes(`${label}="${wanted}"`));
        return isOne ? [Number(value)] : [];
      });
      return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0);
    },
  };
}

/** Resolves when both say the same, asked one right after the other: each is right for its own moment, and moments pass. */
export async function agree<T>(what: string, said: () => Promise<T>, known: () => Promise<T>): Promise<T> {
  let [page, truth]: readonly (T | undefined)[] = [];
  const isSame = async (): Promise<boolean> => {
    const before = await known();
    page = await said();
    truth = await known();
    // Known to have held all the while.
    return (JSON.stringify(before) === JSON.stringify(truth) && JSON.stringify(page) === JSON.stringify(truth)) || delay(30, false);
  };
  await until(what, isSame, PATIENCE_MS).catch((cause: unknown) => {
    throw new Error(`${what}: the page says ${JSON.stringify(page)} and not ${JSON.stringify(truth)}`, { cause });
  });
  if (truth === undefined) throw new Error(what);
  return truth;
}

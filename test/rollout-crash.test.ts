import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { Rollout } from "../src/controller/rollout.ts";
import { temporaryDirectory } from "./support/app.ts";
import { startBackend, until } from "./support/backend.ts";
import { startRedis } from "./support/redis.ts";
import { look, type Member, Pair, PATIENCE_MS, stepsOf, Witness } from "./support/rollout-fleet.ts";

// Each life of a program costs a second or two, and on a machine that is busy many more.
t.setTimeout(600_000);

interface World {
  readonly pair: Pair;
  readonly witness: Witness;
  /** Lines that hooks have written. */
  readonly lines: () => Promise<readonly string[]>;
}

async function world(t: Test): Promise<World> {
  const redis = await startRedis();
  t.teardown(() => redis.stop());
  const [stable, candidate] = [await startBackend(t, "old"), await startBackend(t, "new")];
  const file = join(await temporaryDirectory(t), "lines");
  const hook = (name: string, more = ""): string => `  ${name}: { command: [sh, -c, "echo ${name} >> ${file}${more}"] }`;
  // The program that runs a hook is its parent.
  const hooks = ["one", "two", "three", "four"].map((name) => hook(name));
  const more = ["hooks:", ...hooks, hook("deadly", "; kill -9 $PPID")].join("\n");
  const pair = await new Pair(t, { redis, stable: stable.origin, candidate: candidate.origin, more }).start();
  const lines = async (): Promise<readonly string[]> =>
    (await readFile(file, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
  return { pair, witness: new Witness(redis).start(t), lines };
}

function planText(dwell: string, hooks: readonly string[] = []): string {
  return `
name: crash
flag: move
steps:
  - { name: ten, percentage: 10, dwell: ${dwell}, approvals: [ops] }
  - { name: fifty, percentage: 50, dwell: ${dwell}, approvals: [ops] }
  - { name: most, percentage: 75, dwell: ${dwell}, approvals: [ops] }
  - { name: all, percentage: 100, dwell: ${dwell}, approvals: [ops] }
triggers:
  - { metric: security, at_most: 0 }
rollback: { hooks: [${hooks.join(", ")}], limit: 2m, traffic_limit: 30s, shift: 0s }
`;
}

function begin(member: Member, plan: string): Promise<unknown> {
  return member.call("POST", "/api/rollout/move/start", { plan, reason: "trial", force: true });
}

async function rolloutOf({ redis }: Pair): Promise<Rollout | undefined> {
  return (await look(redis)).rollout;
}

async function reached(pair: Pair, what: string, fits: (rollout: Rollout) => boolean): Promise<Rollout> {
  let found: Rollout | undefined;
  await until(
    what,
    async () => {
      const rollout = await rolloutOf(pair);
      if (rollout !== undefined && fits(rollout)) found = rollout;
      return found !== undefined;
    },
    PATIENCE_MS,
  );
  if (found === undefined) throw new Error(what);
  return found;
}

const at =
  (status: Rollout["state"]["status"], step?: number) =>
  ({ state }: Rollout): boolean =>
    state.status === status && (step === undefined || ("step" in state && state.step === step));

/** A rollback with a hook in that state. */
const hooked =
  (index: number, status: string) =>
  ({ state }: Rollout): boolean =>
    state.status === "rolling-back" && state.rollback.hooks[index]?.status === status;

async function inOrder(t: Test, witness: Witness): Promise<void> {
  await witness.stop();
  t.same(witness.discords, [], `document, settings and audit agree, at ${witness.looks} looks`);
  t.same(
    witness.fences,
    witness.fences.toSorted((a, b) => a - b),
    "nobody wrote under a lease that was over",
  );
}

t.test("kill -9 before and after every write on the way up: no step is left out or entered twice", async (t) => {
  const { pair, witness } = await world(t);
  const plan = planText("100ms");
  const act = async (kind: string): Promise<void> => {
    const member = await pair.any();
    const said = await member.call("POST", `/api/rollout/move/${kind}`, kind === "approve" ? { role: "ops" } : {}).catch(() => undefined);
    t.ok(
      said === undefined || said.status === 200,
      `${kind}: ${said === undefined ? "who was asked has died of it" : JSON.stringify(said.body)}`,
    );
  };
  const approved = ({ approvals }: Rollout): boolean => approvals.length > 0;

  pair.trap({ what: "start", when: "before", fits: at("progressing", 0) });
  await begin(await pair.any(), plan).catch(() => "nobody answers");
  await pair.sprung();
  t.equal(await rolloutOf(pair), undefined, "what was not written has not been started");
  pair.trap({ what: "start", when: "after", fits: at("progressing", 0) });
  await begin(await pair.any(), plan).catch(() => "nobody answers");
  const { id } = await reached(pair, "it is started", () => true);
  t.match(await begin(await pair.any(), plan), { status: 409 }, "it cannot be started twice");

  await reached(pair, "it waits for the approval", at("waiting", 0));
  pair.trap({ what: "approval", when: "before", fits: approved });
  await act("approve");
  await pair.sprung();
  t.match(await rolloutOf(pair), { approvals: [] });
  pair.trap({ what: "the second step", when: "before", fits: at("progressing", 1) });
  await act("approve");
  // The approval stands, so whoever leads next goes on by itself.
  await reached(pair, "it waits at the second step", at("waiting", 1));
  pair.trap({ what: "approval", when: "after", fits: approved }, { what: "the third step", when: "after", fits: at("progressing", 2) });
  await act("approve");
  await reached(pair, "it waits at the third step", at("waiting", 2));

  pair.trap({ what: "pause", when: "before", fits: at("held") });
  await act("pause");
  await pair.sprung();
  await pair.leader();
  t.match(await rolloutOf(pair), { state: { status: "waiting", step: 2 } });
  pair.trap({ what: "pause", when: "after", fits: at("held") });
  await act("pause");
  await reached(pair, "it is paused", at("held", 2));
  await act("resume");
  await reached(pair, "it waits there again", at("waiting", 2));
  await act("approve");
  await reached(pair, "it waits at the last step", at("waiting", 3));
  pair.trap({ what: "the end", when: "before", fits: at("completed") }, { what: "the end", when: "after", fits: at("completed") });
  await act("approve");

  const rollout = await reached(pair, "it is completed", at("completed"));
  t.equal(rollout.id, id);
  t.same(stepsOf(rollout), ["ten", "fifty", "most", "all", "done"]);
  await pair.leader();
  await inOrder(t, witness);
});

t.test("kill -9 before and after every write on the way back, and in a hook: the switch stands, no hook is run twice", async (t) => {
  const { pair, witness, lines } = await world(t);
  t.match(await begin(await pair.any(), planText("1h", ["one", "deadly", "two", "three", "four"])), { status: 200 });
  await pair.leader();
  const confirmed = ({ state }: Rollout): boolean => state.status === "rolling-back" && state.rollback.traffic !== undefined;
  pair.trap(
    { what: "the switch", when: "before", fits: at("rolling-back") },
    { what: "the switch", when: "after", fits: at("rolling-back") },
    { what: "who has confirmed", when: "before", fits: confirmed },
    { what: "who has confirmed", when: "after", fits: confirmed },
    { what: "the first hook begins", when: "before", fits: hooked(0, "running") },
    // The second kills whoever runs it.
    { what: "the third begins", when: "after", fits: hooked(2, "running") },
    { what: "the fourth has ended", when: "before", fits: hooked(3, "done") },
    { what: "the fifth has ended", when: "after", fits: hooked(4, "done") },
    { what: "the end", when: "before", fits: at("rolled-back") },
    { what: "the end", when: "after", fits: at("rolled-back") },
  );
  const events = [{ type: "security", severity: "P0" }];
  t.match(await (await pair.any()).call("POST", "/api/events?flag=move", { events }), { body: { accepted: 1 } });
  await pair.sprung();
  const { state, stays } = await reached(pair, "it is rolled back", at("rolled-back"));
  t.same(
    stays.map(({ step }) => step),
    [0, -1],
  );
  t.match(state, { rollback: { trigger: "security", step: 0 } });
  const hooks = "rollback" in state ? state.rollback.hooks.map(({ name, status }) => `${name} ${status}`) : [];
  t.same(hooks, ["one done", "deadly unknown", "two unknown", "three unknown", "four done"]);
  t.same(await lines(), ["one", "deadly", "three", "four"], "the third had only been noted as begun when whoever was to run it died");
  await pair.leader();
  await inOrder(t, witness);
});

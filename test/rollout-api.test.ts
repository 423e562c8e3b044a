import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { App } from "./support/app.ts";
import { ask, until } from "./support/backend.ts";
import { begin, HALF, looked, lostBy, planText, QUICK, rollbackOf, startFleet, type Fleet } from "./support/running-rollout.ts";

interface Said {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** One call to the admin API of an instance: as the person whose token it is, or as whoever the name says. */
async function call(app: App, path: string, body?: object, by: { readonly token?: string; readonly name?: string } = {}): Promise<Said> {
  const answer = await ask(app.admin.port, {
    method: body === undefined ? "GET" : "POST",
    path: `/api/rollout/move${path}`,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(by.token === undefined ? {} : { authorization: `Bearer ${by.token}` }),
      ...(by.name === undefined ? {} : { "x-crossfade-user": by.name }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: JSON.parse(answer.body) };
}

const PEOPLE = `, people: { alice: { token: alice-secret, roles: [ops] }, bruno: { token: bruno-secret, roles: [product, ops] } }`;
const [ALICE, BRUNO] = [{ token: "alice-secret" }, { token: "bruno-secret" }];

t.test("two people must approve, each with a token; nobody approves twice or in a role that is another's", async (t) => {
  const fleet = await startFleet(t, { admin: PEOPLE });
  const { one, other } = fleet;
  const plan = planText(
    ["{ name: half, percentage: 50, dwell: 200ms, approvals: [ops, product] }", "{ name: all, percentage: 100, dwell: 1h }"],
    "",
  );
  const started = await call(one, "/start", { plan, force: true, reason: "go" }, ALICE);
  t.match(started, { status: 200, body: { status: "progressing", missing: [] } });
  await fleet.reached("waiting");

  const approve = (app: App, role: string | undefined, by: { token?: string; name?: string }): Promise<Said> =>
    call(app, "/approve", role === undefined ? { reason: "looked" } : { role, reason: "looked" }, by);
  t.match(await approve(one, "ops", { name: "alice" }), { status: 403, body: { code: "forbidden", detail: /an approval takes one/ } });
  t.match(await approve(one, "ops", { token: "guessed-secret" }), { status: 401 });
  t.match(await approve(one, "product", ALICE), { status: 403, body: { detail: /You do not have the role "product".*Yours: ops/ } });
  t.match(await approve(one, undefined, BRUNO), { status: 400, body: { detail: /Say in which role you approve.*product, ops/ } });
  t.match(await approve(other, "product", BRUNO), {
    status: 200,
    body: { reason: /approved by bruno \(product\); still to approve: ops/ },
  });
  t.match(await approve(one, "ops", BRUNO), { status: 409, body: { detail: /bruno has approved as product already: somebody else/i } });
  t.match((await fleet.rollout()).state, { status: "waiting", step: 0 });
  t.match(await call(one, "/advance", { reason: "in a hurry" }, ALICE), { status: 409, body: { detail: /approvals are not skipped/i } });
  t.match(await approve(one, undefined, ALICE), { status: 200, body: { reason: /approved by alice \(ops\); all approvals are there/ } });
  await until("the step is left", () => other.control.status().flags[0]?.percentage === 100);
  const audit = await one.control.store.audit("move", 5);
  t.match(audit[0], { who: "crossfade", reason: /approved by bruno \(product\); approved by alice \(ops\)/ });
  t.match(await approve(one, "ops", ALICE), { status: 409, body: { detail: /asks for no approval/ } });
});

t.test("without people one name is as good as another, but one name is one person", async (t) => {
  const fleet = await startFleet(t, { instances: 1 });
  const steps = ["{ name: half, percentage: 50, dwell: 1h, approvals: [ops, product] }", "{ name: all, percentage: 100 }"];
  await begin(fleet, planText(steps, ""));
  t.match(await call(fleet.one, "/approve", { reason: "x" }, { name: "ann" }), { status: 400, body: { detail: /Say in which role/ } });
  t.match(await call(fleet.one, "/approve", { role: "ops" }, { name: "ann" }), { status: 200 });
  t.match(await call(fleet.one, "/approve", { role: "product" }, { name: "ann" }), { status: 409 });
  t.match(await call(fleet.one, "/approve", { role: "legal" }, { name: "bob" }), { status: 409, body: { detail: /but by: ops, product/ } });
  t.match(await call(fleet.one, "/approve", { role: "product" }, { name: "bob" }), { status: 200 });
});

/** A service that is asked whether a step may be left. */
async function startJudge(t: Test, answers: readonly (readonly [status: number, body: object])[]) {
  const asked: unknown[] = [];
  const server = createServer(async (req, res) => {
    let text = "";
    for await (const chunk of req.setEncoding("utf8")) text += chunk;
    const [status, body] = answers[Math.min(asked.push(JSON.parse(text)), answers.length) - 1] ?? [500, {}];
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `http://127.0.0.1:${address.port}/`, asked };
}

t.test("a webhook must say pass before a step is left, and what it says is shown", async (t) => {
  const judge = await startJudge(t, [
    [200, { verdict: "fail", why: "two incidents are open" }],
    [200, { verdict: "pass", why: "all is green" }],
  ]);
  const fleet = await startFleet(t, { instances: 1, more: `${QUICK}\nhooks: { incidents: { webhook: "${judge.url}", timeout: 2s } }` });
  const steps = ["{ name: half, percentage: 50, dwell: 200ms, webhooks: [incidents] }", "{ name: all, percentage: 100, dwell: 1h }"];
  await begin(fleet, planText(steps, ""));
  const shown = async (): Promise<string> => JSON.stringify((await call(fleet.one, "")).body["view"] ?? {});
  await until("it says why it waits", async () => (await shown()).includes("webhook incidents fail: two incidents are open"));
  t.match((await fleet.rollout()).state, { step: 0 });
  t.match(judge.asked[0], { event: "gate", flag: "move", plan: "quick", step: 0, hook: "incidents", drill: false });
  await until("the step is left", () => fleet.one.control.status().flags[0]?.percentage === 100, 25_000);
  t.match((await fleet.one.control.store.audit("move", 1))[0], { reason: /incidents: all is green/ });
});

t.test("a closed calendar holds a step, and no rollback", async (t) => {
  const days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
  const later = days[(new Date().getUTCDay() + 3) % 7] ?? "";
  const fleet = await startFleet(t, { instances: 1 });
  const steps = ["{ name: half, percentage: 50, dwell: 200ms }", "{ name: all, percentage: 100 }"];
  await begin(fleet, planText(steps, `calendar: { days: [${later}] }`));
  await fleet.reached("waiting");
  await looked(fleet, 1_000);
  const { body } = await call(fleet.one, "");
  t.match(body, { rollout: { state: { status: "waiting", step: 0 } }, view: { calendar: { open: false }, reasons: [/^calendar: /] } });
  t.match(await call(fleet.one, "/rollback", { reason: "now" }), { status: 200 });
  await fleet.reached("rolled-back");
});

const LINE =
  '"$0 $CROSSFADE_EVENT $CROSSFADE_FLAG $CROSSFADE_PLAN step=$CROSSFADE_STEP by=$CROSSFADE_BY trigger=$CROSSFADE_TRIGGER drill=$CROSSFADE_DRILL reason=$CROSSFADE_REASON"';

/** Three commands that note what they were told; the second one fails. */
const HOOKS = `
hooks:
  restore: { command: [ sh, -c, 'echo ${LINE} >> told', restore ], timeout: 10s }
  notify: { command: [ sh, -c, 'echo ${LINE} >> told; echo mail is down; exit 3', notify ], timeout: 10s }
  verify: { command: [ sh, -c, 'echo ${LINE} >> told', verify ], timeout: 10s, drill: true }
`;

async function told(fleet: Fleet): Promise<readonly string[]> {
  return (await readFile(join(fleet.folder, "told"), "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
}

/** Which of these users the candidate answers. */
async function usersOnCandidate({ apps }: Fleet, users: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [i, user] of users.entries()) {
    const app = apps[i % apps.length] ?? apps[0];
    const { body } = await ask(app?.port ?? 0, { headers: { "x-user-id": user } });
    if (body.includes("new")) found.push(user);
  }
  return found;
}

t.test("a rollback by hand runs every hook in order; resumed earlier, the same users are on the candidate", async (t) => {
  const fleet = await startFleet(t, { more: QUICK + HOOKS });
  const { one, other } = fleet;
  const users = Array.from({ length: 200 }, (_, i) => `person-${i}`);
  await begin(
    fleet,
    planText(
      ["{ name: ten, percentage: 10, dwell: 1h }", "{ name: fifty, percentage: 50, dwell: 1h }"],
      "rollback: { hooks: [restore, notify, verify] }",
    ),
  );
  const ten = await usersOnCandidate(fleet, users);
  t.match(await call(one, "/advance", { reason: "" }), { status: 409, body: { detail: /needs a reason/ } });
  t.match(await call(one, "/advance", { reason: "decided", wait: "5s" }), {
    status: 200,
    body: { missing: [], reason: /by hand by admin: decided; skipped: / },
  });
  const fifty = await usersOnCandidate(fleet, users);
  t.ok(ten.length > 0 && fifty.length > ten.length, `${ten.length} and ${fifty.length} of ${users.length}`);
  t.same(
    ten.filter((user) => !fifty.includes(user)),
    [],
    "nobody went back",
  );

  const receipt = await call(other, "/rollback", { reason: 'sessions lost; "quoted"', wait: "5s" }, { name: "ann" });
  t.match(receipt, { status: 200, body: { flag: "move", status: "rolling-back", missing: [], reason: /sessions lost/ } });
  t.same(await usersOnCandidate(fleet, users), []);
  t.match(await call(one, "/rollback", { reason: "again" }), { status: 409, body: { detail: /already/ } });
  const rollback = rollbackOf(await fleet.reached("rolled-back"));
  t.same(
    await told(fleet),
    ["restore", "notify", "verify"].map(
      (name) => `${name} rollback move quick step=1 by=ann trigger= drill= reason=sessions lost; "quoted"`,
    ),
  );
  t.match(rollback.hooks, [
    { name: "restore", status: "done" },
    { name: "notify", status: "failed", detail: /exit code 3\nmail is down/ },
    { name: "verify", status: "done" },
  ]);
  const [first = 0, second = 0, third = 0] = rollback.hooks.map(({ startedAt }) => startedAt ?? 0);
  t.ok(rollback.at <= first && first < second && second < third, "one after the other, after the traffic");

  t.match(await call(one, "/resume", { step: "eleven" }), {
    status: 409,
    body: { detail: /no step "eleven"; its steps are 1 ten, 2 fifty/ },
  });
  t.match(await call(one, "/resume", { step: "ten", reason: "fixed", wait: "5s" }, { name: "ann" }), {
    status: 200,
    body: { missing: [] },
  });
  t.same(await usersOnCandidate(fleet, users), ten, "the same users as before");
  const again = await fleet.rollout();
  t.match(again.state, { status: "progressing", step: 0 });
  t.match(await call(one, "/advance", { reason: "again", wait: "5s" }), { status: 200, body: { missing: [] } });
  t.same(await usersOnCandidate(fleet, users), fifty);
  t.equal((await told(fleet)).length, 3, "no hook ran again");
});

t.test("a shadow drill goes the whole way and moves nobody; a live one takes the share away and gives it back", async (t) => {
  const fleet = await startFleet(t, { more: `${QUICK}${HOOKS}` });
  const { one, other } = fleet;
  const load = fleet.load(60);
  await begin(
    fleet,
    planText(
      ["{ name: half, percentage: 50, dwell: 1h }", "{ name: all, percentage: 100, dwell: 1h }"],
      "rollback: { hooks: [restore, verify], traffic_limit: 30s }",
    ),
  );
  const at = (): { readonly percentage: number | undefined; readonly revision: number | undefined } => {
    const [flag] = other.control.status().flags;
    return { percentage: flag?.percentage, revision: flag?.revision };
  };
  const before = at();
  const shadow = await call(one, "/drill", { reason: "monday" });
  t.match(shadow, {
    status: 200,
    body: {
      kind: "shadow",
      ok: true,
      problems: [],
      laggards: [],
      hooks: [
        { name: "restore", status: "not-rehearsed" },
        { name: "verify", status: "done" },
      ],
    },
  });
  t.match(JSON.stringify(shadow.body["instances"]), /^(?=.*"one")(?=.*"other")/);
  t.equal(at().percentage, before.percentage);
  t.ok((at().revision ?? 0) > (before.revision ?? 0), "a revision went the whole way");
  t.match(await told(fleet), [/^verify rollback move {2}step= by= trigger= drill=1 reason=drill: monday$/]);
  t.match((await fleet.rollout()).state, { status: "progressing", step: 0 });
  const shares = async (): Promise<readonly (string | null)[]> =>
    (await one.control.store.audit("move", 50))
      .toReversed()
      .flatMap(({ changes }) => changes.filter(({ field }) => field === "rollout_percentage").map(({ to }) => to));
  t.same(await shares(), ["50"]);

  const seen = fleet.fresh.requests;
  await until("the candidate is used", () => fleet.fresh.requests > seen + 5);
  const live = await call(one, "/drill", { reason: "tuesday", live: true });
  t.match(live, { status: 200, body: { kind: "live", ok: true, putBack: true, hooks: [{ status: "done" }, { status: "done" }] } });
  t.same(await shares(), ["50", "0", "50"]);
  t.match((await fleet.rollout()).state, { status: "progressing", step: 0 }, "the rollout goes on");
  const used = fleet.fresh.requests;
  await until("the candidate is used again", () => fleet.fresh.requests > used + 5);
  t.match(await call(one, "/advance", { reason: "it can", wait: "5s" }), { status: 200, body: { missing: [] } });
  t.equal(at().percentage, 100);
  t.same(lostBy(load), []);
});

t.test("without a rollout there is something to say for every question", async (t) => {
  const fleet = await startFleet(t, { instances: 1 });
  t.match(await call(fleet.one, ""), { status: 200, body: { flag: "move" } });
  for (const act of ["approve", "pause", "resume", "advance", "rollback"]) {
    const answer = await call(fleet.one, `/${act}`, act === "approve" ? { role: "ops" } : { reason: "x" });
    t.match(answer, { status: 409, body: { code: "refused", detail: act === "rollback" ? /crossfade kill/ : /rollout start/ } }, act);
  }
  t.match(await call(fleet.one, "/figures?span=step"), { status: 409, body: { detail: /ask for 10s, 1m or 5m/ } });
  t.match(await call(fleet.one, "/figures?span=7m"), { status: 400 });
  t.match(await call(fleet.one, "/experiment"), { status: 409 });
  t.match(await call(fleet.one, "/record"), { status: 200, body: { entries: [] } });
  t.match(await call(fleet.one, "/record?after=x"), { status: 400 });
  t.match(await call(fleet.one, "/start", { reason: "x" }), { status: 400, body: { detail: /as `plan`/ } });
  t.match(await call(fleet.one, "/start", { plan: planText([HALF], "stops: 1") }), {
    status: 409,
    body: { errors: [{ message: /^plan:5:1 stops: / }] },
  });
  t.match(await call(fleet.one, "/pause", { raeson: "x" }), { status: 422 });
});

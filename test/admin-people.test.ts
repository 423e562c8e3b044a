import t, { type Test } from "tap";
import { startAdmin } from "../src/admin/server.ts";
import { type AdminAccess, admit, type Identity } from "../src/admin/guard.ts";
import { Problem } from "../src/admin/problem.ts";
import { formatProblems, parseConfig, type Problem as ConfigProblem } from "../src/config/parse.ts";
import { createFakeOperations } from "./support/fake-operations.ts";

const PEOPLE = [
  { name: "alice", token: "alice-token-1", roles: ["ops", "product"] },
  { name: "bob", token: "bob-token-22", roles: [] },
];
const LOCAL: AdminAccess = { host: "127.0.0.1", token: undefined, people: PEOPLE };
const SHARED: AdminAccess = { host: "0.0.0.0", token: "correct-horse", people: PEOPLE };
const PEOPLE_ONLY: AdminAccess = { host: "0.0.0.0", token: undefined, people: PEOPLE };

interface Said {
  readonly token?: string;
  readonly user?: string;
  readonly origin?: string;
}

function call(access: AdminAccess, { token, user, origin }: Said = {}): Identity {
  const headers = {
    host: "127.0.0.1:9090",
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(user !== undefined && { "x-crossfade-user": user }),
    ...(origin !== undefined && { origin }),
  };
  return admit({ method: "POST", headers }, access);
}

/** The code of the problem that a call meets. */
function refusal(access: AdminAccess, said: Said = {}): { readonly code: string; readonly detail: string } {
  try {
    const { who } = call(access, said);
    return { code: `let in as ${who}`, detail: "" };
  } catch (error) {
    if (error instanceof Problem) return { code: error.code, detail: error.message };
    throw error;
  }
}

t.test("a person's token says who calls, whatever the call says", async (t) => {
  for (const access of [LOCAL, SHARED, PEOPLE_ONLY]) {
    t.strictSame(call(access, { token: "alice-token-1" }), { who: "alice", roles: ["ops", "product"], proved: true });
    t.strictSame(call(access, { token: "alice-token-1", user: "bob" }), { who: "alice", roles: ["ops", "product"], proved: true });
    t.strictSame(call(access, { token: "bob-token-22", user: "alice" }), { who: "bob", roles: [], proved: true }, "no role is no role");
  }
});

t.test("a wrong token is refused, also where none is asked for", async (t) => {
  for (const access of [LOCAL, SHARED, PEOPLE_ONLY]) {
    for (const token of ["alice-token-2", "alice-token-", "alice-token-11", "ALICE-TOKEN-1", "alice", "x"]) {
      t.match(refusal(access, { token, user: "alice" }), { code: "unauthorized", detail: /not the right one/ }, token);
    }
  }
});

t.test("no token is enough on this machine alone", async (t) => {
  t.match(refusal(SHARED), { code: "unauthorized", detail: /your own of `admin.people`/ });
  t.match(refusal(PEOPLE_ONLY), { code: "unauthorized", detail: /Authorization: Bearer TOKEN/ });
  t.match(refusal(LOCAL), { code: "let in as admin (unproved)" });
});

t.test("who could prove it and does not is unproved, and nobody can be called like somebody who did", async (t) => {
  t.strictSame(call(SHARED, { token: "correct-horse", user: "alice" }), { who: "alice (unproved)", roles: undefined, proved: false });
  t.strictSame(call(SHARED, { token: "correct-horse" }), { who: "admin (unproved)", roles: undefined, proved: false });
  t.strictSame(call(LOCAL, { user: "alice" }), { who: "alice (unproved)", roles: undefined, proved: false });
  const long = call(LOCAL, { user: `${"a".repeat(95)}lice` }).who;
  t.match(long, / \(unproved\)$/, "however long the name is");
  t.equal(call(LOCAL, { user: Buffer.from("zoé\n").toString("latin1") }).who, "zoé (unproved)");
});

t.test("without people everything is as before", async (t) => {
  const open: AdminAccess = { host: "127.0.0.1", token: undefined };
  t.strictSame(call(open, { user: "ann" }), { who: "ann", roles: undefined, proved: false });
  t.strictSame(call(open, { token: "whatever" }), { who: "admin", roles: undefined, proved: false }, "a token that nobody asked for");
  t.strictSame(call({ ...open, people: [] }), { who: "admin", roles: undefined, proved: false });
  const closed: AdminAccess = { host: "0.0.0.0", token: "correct-horse" };
  t.strictSame(call(closed, { token: "correct-horse", user: "ann" }), { who: "ann", roles: undefined, proved: false });
  t.match(refusal(closed, { token: "wrong-horse1" }), { code: "unauthorized", detail: /it is the one of `admin.token` in/ });
});

t.test("a page of another origin may not act in a person's name", async (t) => {
  t.match(refusal(LOCAL, { token: "alice-token-1", origin: "https://evil.example" }), { code: "foreign-origin" });
});

t.test("every token is compared, in a time that does not tell which was right", async (t) => {
  // What can be asserted without a clock: no comparison is left out, whoever matches, and equal digests of any length are compared.
  let compared = 0;
  const watched = PEOPLE.map(({ name, token, roles }) => ({
    name,
    roles,
    get token() {
      compared++;
      return token;
    },
  }));
  for (const token of ["alice-token-1", "bob-token-22", "x".repeat(10_000)]) {
    compared = 0;
    refusal({ ...SHARED, people: watched }, { token });
    t.equal(compared, watched.length, token.slice(0, 20));
  }
});

function problemsOf(admin: string): readonly ConfigProblem[] {
  const base = "upstreams: { v1: { endpoints: [http://127.0.0.1:5062] } }\nroutes: [{ name: all, match: { path: /** }, upstream: v1 }]\n";
  const parsed = parseConfig(`${base}admin: ${admin}\n`, {});
  return "problems" in parsed ? parsed.problems : [];
}

function isWrong(t: Test, admin: string, path: string, message: RegExp): void {
  const problems = problemsOf(admin);
  t.match(
    problems.filter((problem) => problem.path === path),
    [{ message }],
    formatProblems("f", problems),
  );
  t.notMatch(formatProblems("f", problems), /secret-/, "no token is repeated");
}

t.test("people in the file: each has a token that is nobody else's", async (t) => {
  t.strictSame(problemsOf("{ people: { alice: { token: secret-aaa, roles: [ops] }, bob: { token: secret-bbb } } }"), []);
  isWrong(t, "{ people: { alice: { token: secret-aaa }, bob: { token: secret-aaa } } }", "admin.people.bob.token", /also that of alice/);
  isWrong(t, "{ token: secret-aaa, people: { bob: { token: secret-aaa } } }", "admin.people.bob.token", /also the token of the admin API/);
  isWrong(t, "{ people: { bob: { token: secret- } } }", "admin.people.bob.token", /has 7 characters/);
  isWrong(t, '{ people: { bob: { token: "" } } }', "admin.people.bob.token", /is empty/);
  isWrong(t, "{ people: { bob: { roles: [ops] } } }", "admin.people.bob.token", /is missing/);
  isWrong(t, "{ people: { bob: { token: secret-aaa, roles: ops } } }", "admin.people.bob.roles", /expected a list/);
  isWrong(t, '{ people: { bob: { token: secret-aaa, roles: ["a b"] } } }', "admin.people.bob.roles[0]", /in one word/);
  isWrong(t, "{ people: { bob: { token: secret-aaa, role: ops } } }", "admin.people.bob.role", /did you mean roles/);
  isWrong(t, "{ people: [alice] }", "admin.people", /mapping from the name of a person/);
});

t.test("an address that others reach needs a token, and people's will do", async (t) => {
  isWrong(t, "{ address: 0.0.0.0:9090 }", "admin.address", /set admin.token/);
  isWrong(t, "{ address: 0.0.0.0:9090, people: {} }", "admin.address", /set admin.token/);
  t.strictSame(problemsOf("{ address: 0.0.0.0:9090, people: { alice: { token: secret-aaa } } }"), []);
});

t.test("what a person does stands under the proved name in the audit", async (t) => {
  const operations = createFakeOperations();
  const admin = await startAdmin(operations, { ...PEOPLE_ONLY, host: "127.0.0.1", port: 0 });
  t.teardown(() => admin.close());
  const kill = async (headers: Record<string, string>): Promise<number> => {
    const answer = await fetch(`${admin.url}/api/flags/v2_migration/kill`, { method: "POST", headers });
    await answer.text();
    return answer.status;
  };
  t.equal(await kill({ authorization: "Bearer bob-token-22", "x-crossfade-user": "alice" }), 200);
  t.equal(operations.writes.at(-1)?.who, "bob");
  t.equal(await kill({ "x-crossfade-user": "bob" }), 200);
  t.equal(operations.writes.at(-1)?.who, "bob (unproved)");
  t.equal(await kill({ authorization: "Bearer bob-token-23" }), 401);
  t.equal(operations.writes.length, 2);
});

t.test("people alone are enough for an address that others reach", async (t) => {
  const admin = await startAdmin(createFakeOperations(), { ...PEOPLE_ONLY, port: 0 });
  t.teardown(() => admin.close());
  const status = async (headers: Record<string, string>): Promise<number> => (await fetch(`${admin.url}/api/flags`, { headers })).status;
  t.equal(await status({}), 401);
  t.equal(await status({ authorization: "Bearer alice-token-1" }), 200);
});

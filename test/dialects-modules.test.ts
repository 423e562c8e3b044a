import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { BUILT_IN, DialectsUnusable, loadDialects } from "../src/dialects/registry.ts";
import { createTranslation } from "../src/dialects/translation.ts";

const DOC = readFileSync(join(import.meta.dirname, "..", "docs", "dialects.md"), "utf8");
const [, EXAMPLE = ""] = /```js\n([\s\S]*?)```/.exec(DOC) ?? [];

/** What is wrong with a module of that source, a line a problem. */
async function problemsOf(file: string, source: string, name = "ours"): Promise<readonly string[]> {
  writeFileSync(file, source);
  const error: unknown = await loadDialects({ [name]: file }).then(
    () => undefined,
    (error: unknown) => error,
  );
  assert(error instanceof DialectsUnusable, String(error));
  for (const { message, module, dialect } of error.problems) {
    assert(error.message.includes(`dialects.${dialect} (${module}): ${message}`));
    assert.equal(module, file);
  }
  return error.problems.map(({ message }) => message);
}

t.test("the example of the documentation is a dialect that works, in about thirty lines", async (t) => {
  t.ok(EXAMPLE.trim().split("\n").length <= 34, `${EXAMPLE.trim().split("\n").length} lines`);
  const file = join(t.testdir(), "ours.mjs");
  writeFileSync(file, EXAMPLE);
  const dialects = await loadDialects({ ours: file });
  const [ours, v2] = [dialects.get("ours"), dialects.get("v2")];
  assert(ours !== undefined && v2 !== undefined);
  t.equal(ours.name, "ours");

  const out = createTranslation(v2, ours);
  const asked = {
    candidate: { name: "Ada", email: "a@b.c", location: { city: "Lyon" }, technical_skills: ["Go"] },
    offers: [{ id: 7, title: "Dev" }],
  };
  const there = out.request(Buffer.from(JSON.stringify(asked)));
  assert("exchange" in there);
  t.strictSame(JSON.parse(there.body.toString()), {
    person: { name: "Ada", town: "Lyon", can: ["Go"] },
    openings: [{ ref: 7, label: "Dev" }],
  });
  t.strictSame(there.dropped, ["/candidate/email"]);
  const back = out.answer(200, Buffer.from('{"hits":[{"ref":7,"points":50}]}'), there.exchange);
  assert("status" in back);
  t.strictSame(JSON.parse(back.body.toString()), { success: true, matches: [{ offer_id: 7, overall_score: 0.5 }] });
  const failed = out.answer(503, Buffer.from('{"problem":"tired"}'), there.exchange);
  assert("status" in failed);
  t.strictSame([failed.status, JSON.parse(failed.body.toString())], [503, { detail: "tired" }]);

  const into = createTranslation(ours, v2).request(
    Buffer.from('{"person":{"name":"Ada","can":["Go"],"age":9},"openings":[{"ref":"7","label":"Dev"}]}'),
  );
  assert("exchange" in into);
  t.strictSame(JSON.parse(into.body.toString()), {
    candidate: { name: "Ada", technical_skills: ["Go"] },
    offers: [{ id: "7", title: "Dev" }],
  });
  t.strictSame(into.dropped, ["/person/age"]);
  const nexten = dialects.get("nexten");
  assert(nexten !== undefined);
  const town = createTranslation(ours, nexten).request(Buffer.from('{"person":{"town":"Lyon","can":["Go"]},"openings":[{"ref":7}]}'));
  assert("exchange" in town);
  t.strictSame(town.dropped, ["/person/town"], "what is lost on the other side has the dialect's own name");
});

t.test("a dialect that throws costs one translation", async (t) => {
  const file = join(t.testdir(), "ours.mjs");
  writeFileSync(file, EXAMPLE);
  const ours = (await loadDialects({ ours: file })).get("ours");
  const v2 = BUILT_IN.get("v2");
  assert(ours !== undefined && v2 !== undefined);
  for (const body of ["null", '{"openings":[null]}', '{"openings":[{}],"person":null}']) {
    t.match(createTranslation(ours, v2).request(Buffer.from(body)), { inexpressible: "broke down" }, body);
  }
  const wrong = { ...ours, writeAnswer: () => ({ body: (() => undefined) as never, dropped: [] }) };
  const exchange = { request: { candidate: {}, offers: [] } };
  t.match(createTranslation(wrong, v2).answer(200, Buffer.from('{"matches":[]}'), exchange), { inexpressible: "ours wrote no JSON" });
});

t.test("a class will do, and a name of its own is not asked for", async (t) => {
  const file = join(t.testdir(), "ours.mjs");
  const members =
    "readRequest() { return { inexpressible: this.why() } } writeRequest() {} readAnswer() {} writeAnswer() {} readError() {} writeError() {}";
  const paths = 'paths = { matches: "/m", answerIds: "/m/*/id", requestIds: "/o/*/id", scores: "/m/*/s", fallbackFlags: [] };';
  writeFileSync(file, `class Ours { ${paths} why() { return "because" } ${members} }\nexport default new Ours();`);
  const ours = (await loadDialects({ ours: file })).get("ours");
  t.strictSame(ours?.readRequest(null), { inexpressible: "because" });
  t.equal((await loadDialects({})).size, BUILT_IN.size);
});

t.test("every problem of a module is told at once, with what would be right", async (t) => {
  const file = (name: string): string => join(directory, `${name}.mjs`);
  const directory = t.testdir();
  t.match(await problemsOf(file("none"), "export const a = 1;"), [/no default export/]);
  t.match(await problemsOf(file("text"), 'export default "a";'), [/no default export that is an object/]);
  t.match(await problemsOf(file("syntax"), "export default {"), [/cannot be loaded: /]);
  t.match(await problemsOf(file("built-in"), EXAMPLE, "v2"), [/v2 comes with the program; choose another name/]);
  const wrong = await problemsOf(
    file("wrong"),
    EXAMPLE.replace('matches: "/hits"', 'matches: "hits", succes: "/ok"')
      .replace("fallbackFlags: []", 'fallbackFlags: "/a"')
      .replace("readAnswer(", "readAnswers(")
      .replace(/names: .*/, "names: { a: 1 }, writeError: 7,")
      .replace("  writeError: (", "  other: ("),
  );
  t.strictSame(wrong, [
    'paths.matches must be a JSON pointer such as "/matches"',
    "paths.fallbackFlags must be a list of JSON pointers; [] for none",
    'paths.succes is unknown; did you mean "success"?',
    "readAnswer is missing; it must be a function of an answer's body",
    "writeError must be a function of a status and a message",
    'readAnswers is unknown; did you mean "readAnswer"?',
    wrong[6],
    "names must be an object of texts, canonical name to name",
  ]);
  t.match(wrong[6], /^other is unknown; /);
  t.match(await problemsOf(file("empty"), "export default {};"), [/^paths is missing; it must be an object/, /readRequest is missing/]);
  const missing = join(directory, "missing.mjs");
  await t.rejects(loadDialects({ ours: missing, v1: missing }), {
    name: "DialectsUnusable",
    problems: [
      { dialect: "ours", message: /cannot be loaded/ },
      { dialect: "v1", message: /comes with the program/ },
    ],
  });
});

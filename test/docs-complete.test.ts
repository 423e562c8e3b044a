import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import t, { type Test } from "tap";
import { parse, stringify } from "yaml";
import { ADMIN_ROUTES } from "../src/admin/routes.ts";
import { createProgram } from "../src/cli/program.ts";
import { formatProblems, parseConfig } from "../src/config/parse.ts";
import { commandLines, documents, ROOT } from "./support/documentation.ts";

const all = documents();

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Those that do something, with all their words. */
function leaves(command: Command, words: readonly string[] = []): readonly (readonly [string, Command])[] {
  const below = command.commands;
  return below.length === 0 ? [[words.join(" "), command]] : below.flatMap((one) => leaves(one, [...words, one.name()]));
}

/** What is wrong with a command line as a document has it, which may leave words open: `crossfade flags set KEY=VALUE ...`. */
function faultOf(line: string): string | undefined {
  let command = createProgram();
  const words = line.split(/\s+/).slice(1);
  while (words[0] !== undefined) {
    const next = command.commands.find((one) => one.name() === words[0]);
    if (next === undefined) break;
    command = next;
    words.shift();
  }
  const [first] = words;
  if (command.commands.length > 0 && first !== undefined && /^[a-z]+$/.test(first)) return `there is no command ${first}`;
  const options = line.replaceAll(/"[^"]*"|'[^']*'/g, "X").match(/(?<=[\s[])--[a-z][a-z-]*/g) ?? [];
  const known = new Set(["--help", "--version", ...leaves(command).flatMap(([, leaf]) => leaf.options.map(({ long }) => long ?? ""))]);
  const unknown = options.filter((option) => !known.has(option));
  return unknown.length === 0 ? undefined : `${unknown.join(", ")} is no option of it`;
}

function same(t: Test, missing: readonly string[], where: string): void {
  t.same(missing, [], `${where} has all of them`);
}

t.test("every command is described", async (t) => {
  const text = read("docs/cli.md");
  const names = leaves(createProgram()).map(([name]) => name);
  t.ok(names.length > 25, `${names.length} commands`);
  const missing = names.filter((name) => !new RegExp(`^crossfade ${name}(?![a-z-])`, "m").test(text));
  same(t, missing, "docs/cli.md");
});

t.test("every option of a command is described somewhere", async (t) => {
  const text = all.map((document) => document.text).join("\n");
  const options = new Set(leaves(createProgram()).flatMap(([, command]) => command.options.map(({ long }) => long ?? "")));
  same(
    t,
    [...options].filter((option) => !new RegExp(`${option}(?![a-z-])`).test(text)),
    "the documentation",
  );
});

t.test("no document shows a command or an option that does not exist", async (t) => {
  const lines = all.flatMap((document) => commandLines(document, "crossfade").map((line) => ({ path: document.path, line })));
  t.ok(lines.length > 100, `${lines.length} command lines`);
  const wrong = lines.flatMap(({ path, line }) => {
    const fault = faultOf(line);
    return fault === undefined ? [] : [`${path}: ${line}: ${fault}`];
  });
  t.same(wrong, []);
});

t.test("a wrong command line would be found", async (t) => {
  t.match(faultOf("crossfade rollout revert"), "no command revert");
  t.match(faultOf('crossfade kill --because "--wait"'), "--because is no option");
  t.equal(faultOf("crossfade flags set KEY=VALUE ... [--wait]"), undefined);
  t.equal(faultOf('crossfade kill --reason "--because"'), undefined);
});

t.test("every path of the admin API is described, and no other", async (t) => {
  const text = read("docs/admin-api.md");
  const table = text.slice(text.indexOf("## Requests"), text.indexOf("### "));
  const described = new Set<string>();
  for (const [, cell = ""] of table.matchAll(/^\| (`.*?) \|/gm)) {
    const codes = [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
    const methods = codes.flatMap((code) => /^(GET|POST|PATCH)\b/.exec(code)?.[0] ?? []);
    let base = "";
    for (const code of codes) {
      const path = (/\/\S*/.exec(code)?.[0] ?? "").replace(/\?.*$/, "");
      if (path === "") continue;
      // `/pause` after `POST /api/rollout/{flag}/start` stands beside it; `.json` after `/status` as well.
      const full = path.split("/").length === 2 && base.startsWith("/api/") ? `${base.slice(0, base.lastIndexOf("/"))}${path}` : path;
      if (base === "") base = full;
      for (const method of methods) described.add(`${method} ${full}`);
    }
  }
  const known = ADMIN_ROUTES.map(({ method, path }) => `${method} ${path}`);
  same(
    t,
    known.filter((route) => !described.has(route)),
    "docs/admin-api.md",
  );
  t.same(
    [...described].filter((route) => !known.includes(route)),
    [],
    "nothing is described that does not exist",
  );
});

t.test("every error code of the admin API is described", async (t) => {
  const codes = [...read("src/admin/problem.ts").matchAll(/^ {2}"?([a-z-]+)"?: \{ status: (\d+)/gm)];
  t.ok(codes.length > 15);
  const text = read("docs/admin-api.md");
  same(
    t,
    codes.map(([, code = ""]) => code).filter((code) => !text.includes(`\`${code}\``)),
    "docs/admin-api.md",
  );
});

t.test("every script of npm that a document names exists", async (t) => {
  const manifest: unknown = JSON.parse(read("package.json"));
  const scripts = typeof manifest === "object" && manifest !== null && "scripts" in manifest ? manifest.scripts : undefined;
  const known = Object.keys(Object(scripts));
  const wrong = all.flatMap(({ path, text }) =>
    [...text.matchAll(/npm run ([a-z][a-z:-]*)/g)]
      .map(([, name = ""]) => name)
      .flatMap((name) => (known.includes(name) ? [] : [`${path}: ${name}`])),
  );
  t.same(wrong, []);
});

t.test("every dependency has its line in docs/dependencies.md", async (t) => {
  const manifest: unknown = JSON.parse(read("package.json"));
  const text = read("docs/dependencies.md");
  const groups = ["dependencies", "devDependencies", "optionalDependencies"];
  const names = groups.flatMap((group) => Object.keys(Object(Reflect.get(Object(manifest), group))));
  t.ok(names.length > 30, `${names.length} dependencies`);
  same(
    t,
    names.filter((name) => !new RegExp(`(?<![\\w@/-])${name}(?![\\w/-])`).test(text)),
    "docs/dependencies.md",
  );
});

t.test("configuration that is shown is understood", async (t) => {
  const base = {
    listeners: [{ name: "public", address: "127.0.0.1:0" }],
    upstreams: { v1: { endpoints: ["http://127.0.0.1:1"] } },
    routes: [{ name: "rest", match: { path: "/**" }, upstream: "v1" }],
  };
  let blocks = 0;
  for (const path of ["README.md", "docs/notifications.md", "docs/rollback.md", "docs/sla.md", "docs/status-page.md"]) {
    for (const [, block = ""] of read(path).matchAll(/^```yaml\n([^]*?)^```/gm)) {
      // Plans are checked elsewhere.
      if (/^steps:/m.test(block)) continue;
      blocks++;
      const env = Object.fromEntries([...block.matchAll(/\$\{(\w+)\}/g)].map(([, name = ""]) => [name, `${name}-0123456789abcdef`]));
      const shown: Readonly<Record<string, unknown>> = Object(parse(block));
      const upstreams = { ...base.upstreams, ...Object(shown["upstreams"]) };
      const parsed = parseConfig(stringify({ ...base, ...shown, upstreams }), env);
      t.ok("config" in parsed, `${path}: ${block.slice(0, 40)}: ${"problems" in parsed ? formatProblems(path, parsed.problems) : ""}`);
    }
  }
  t.ok(blocks >= 6, `${blocks} blocks`);
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { Config } from "../src/config/config.ts";
import { formatProblems, loadConfig, parseConfig, type Problem } from "../src/config/parse.ts";

const BASE = `
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062] }
routes:
  - { name: all, match: { path: /** }, upstream: v1 }
`;

function parse(text: string, environment: Record<string, string> = {}): Config {
  const parsed = parseConfig(BASE + text, environment);
  if ("problems" in parsed) throw new Error(formatProblems("config.yaml", parsed.problems));
  return parsed.config;
}

function problemsOf(text: string): readonly Problem[] {
  const parsed = parseConfig(BASE + text, {});
  return "problems" in parsed ? parsed.problems : [];
}

/** The message of the only problem at a path. */
function wrong(text: string, path: string): string {
  const problems = problemsOf(text).filter((problem) => problem.path === path);
  return problems.length === 1 ? (problems[0]?.message ?? "") : `${problems.length} at ${path}: ${formatProblems("f", problemsOf(text))}`;
}

t.test("without the sections there are no hooks, no people, and every default", async (t) => {
  const { hooks, rollout, events, admin } = parse("");
  t.strictSame(hooks, []);
  t.strictSame(admin.people, []);
  t.strictSame(rollout, { leaseMs: 3_000, evaluateMs: 1_000, recordMs: 60_000, publishMs: 1_000, prometheus: undefined });
  t.strictSame(events, { lateMs: 7 * 86_400_000, rememberedRequests: 65_536 });
  const empty = parse("hooks: {}\nrollout: {}\nevents: {}\nadmin: { people: {} }\n");
  t.strictSame([empty.hooks, empty.rollout, empty.events, empty.admin.people], [hooks, rollout, events, []]);
});

t.test("hooks are commands in the folder of the file, or webhooks", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "crossfade-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "crossfade.yaml");
  await writeFile(
    file,
    `${BASE}
hooks:
  restore-data: { command: [./restore.sh, --fast, "", 5], timeout: 90s }
  notify:
    webhook: https://hooks.example.org/services/T0?x=1
    timeout: 5s
    drill: true
    headers: { Authorization: "Bearer \${TOKEN}", X-Empty: "\${NONE:-}" }
    secret: \${SECRET:-}
  verify: { command: [verify] }
`,
  );
  const loaded = await loadConfig(file, { TOKEN: "abc" });
  if ("problems" in loaded) throw new Error(formatProblems(file, loaded.problems));
  t.strictSame(loaded.config.hooks, [
    { name: "restore-data", timeoutMs: 90_000, drill: false, kind: "command", command: ["./restore.sh", "--fast", "", "5"], folder },
    {
      name: "notify",
      timeoutMs: 5_000,
      drill: true,
      kind: "webhook",
      url: "https://hooks.example.org/services/T0?x=1",
      headers: { authorization: "Bearer abc" },
      secret: undefined,
    },
    { name: "verify", timeoutMs: 30_000, drill: false, kind: "command", command: ["verify"], folder },
  ]);
  t.strictSame(structuredClone(loaded.config.hooks), loaded.config.hooks, "they can be handed to a worker");
});

t.test("every mistake in hooks is named, and secrets are not repeated", async (t) => {
  const text = `
hooks:
  shell: { command: ./restore.sh --fast }
  nothing: { drill: true }
  both: { command: [a], webhook: "http://b/" }
  blank: { command: [""] }
  none: { command: [] }
  misspelt: { comand: [a] }
  late: { command: [a], timeout: 2h }
  instant: { command: [a], timeout: 0 }
  scheme: { webhook: hooks.example.org/SECRETPATH }
  login: { webhook: "https://user:SECRETPASS@hooks.example.org/" }
  fragment: { webhook: "https://hooks.example.org/#SECRETPATH" }
  fields: { webhook: "http://b/", headers: { Host: a, X-Crossfade-Signature: a, "X Y": a, A: "SECRET\\nVALUE", B: a, b: c } }
  short: { webhook: "http://b/", secret: SECRET }
  confused: { command: [a], headers: { A: b }, secret: correct-horse }
  9lives: { command: [a] }
`;
  const at = (name: string): string => wrong(text, name);
  t.match(at("hooks.shell.command"), "expected a list such as [ ./restore.sh, --fast ]");
  t.match(at("hooks.nothing"), "has neither command nor webhook");
  t.match(at("hooks.both"), "has both command and webhook");
  t.match(at("hooks.blank.command[0]"), "is empty; expected a program");
  t.match(at("hooks.none.command"), "is empty; expected a list");
  t.match(at("hooks.misspelt.comand"), "did you mean command?");
  t.match(at("hooks.late.timeout"), "out of range");
  t.match(at("hooks.instant.timeout"), "out of range");
  t.match(at("hooks.scheme.webhook"), "beginning with http:// or https://");
  t.match(at("hooks.login.webhook"), "holds credentials");
  t.match(at("hooks.fragment.webhook"), "has a fragment");
  t.match(at("hooks.fields.headers.Host"), "is set by the program itself");
  t.match(at("hooks.fields.headers.X-Crossfade-Signature"), "is set by the program itself");
  t.match(at('hooks.fields.headers["X Y"]'), "is not the name of a header");
  t.match(at("hooks.fields.headers.A"), "holds what a header cannot carry");
  t.match(at("hooks.fields.headers.b"), "is given twice");
  t.match(at("hooks.short.secret"), "has 6 characters");
  t.match(at("hooks.confused.headers"), "it belongs to a webhook");
  t.match(at("hooks.confused.secret"), "it belongs to a webhook");
  t.match(at("hooks.9lives"), "cannot name a hook");
  const all = problemsOf(text);
  t.notMatch(formatProblems("f", all), /SECRET/);
  t.strictSame(
    all.map(({ line }) => line),
    all.map(({ line }) => line).toSorted((a, b) => a - b),
  );
});

t.test("how rollouts are watched", async (t) => {
  const { rollout, events } = parse(
    'rollout: { lease: 600ms, evaluate: 100ms, record: 200ms, publish: 100ms, prometheus: "http://prometheus:9090/base/" }\nevents: { late: 0, remembered_requests: 3000 }\n',
  );
  t.strictSame(rollout, { leaseMs: 600, evaluateMs: 100, recordMs: 200, publishMs: 100, prometheus: "http://prometheus:9090/base" });
  t.strictSame(events, { lateMs: 0, rememberedRequests: 4_096 }, "rounded up to a power of two");
  t.equal(parse('rollout: { prometheus: "${PROMETHEUS_URL:-}" }\n').rollout.prometheus, undefined);
  t.match(wrong("rollout: { evaluate: 50ms }\n", "rollout.evaluate"), "from 100ms");
  t.match(wrong("rollout: { evaluate: 0 }\n", "rollout.evaluate"), "from 100ms");
  t.match(wrong("rollout: { leese: 3s }\n", "rollout.leese"), "did you mean lease?");
  t.match(wrong('rollout: { prometheus: "ftp://x" }\n', "rollout.prometheus"), "not a usable URL");
  t.match(wrong('rollout: { prometheus: "http://x/?q=1" }\n', "rollout.prometheus"), "cannot stand in it");
  t.match(wrong("events: { remembered_requests: 0 }\n", "events.remembered_requests"), "out of range");
  t.match(wrong("events: { late: 31d }\n", "events.late"), "out of range");
  const warned = parseConfig(`${BASE}rollout: { lease: 1500ms }\n`, {});
  t.match(warned, { warnings: [{ path: "rollout.lease", message: /less than two looks of 1s/ }] });
  t.match(parseConfig(`${BASE}rollout: { evaluate: 1500ms }\n`, {}), { warnings: [] });
});

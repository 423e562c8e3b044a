import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { CommandHook } from "../src/config/config.ts";
import { type HookPayload, runHook } from "../src/controller/hooks.ts";
import { until } from "./support/backend.ts";

const PAYLOAD: HookPayload = {
  event: "rollback",
  flag: "v2_migration",
  rollout: "fast-1a2b",
  plan: "fast",
  step: 2,
  reason: "p95 212 ms, über 150 ms",
};
const REAL = { drill: false };

function hook(command: CommandHook["command"], change: Partial<CommandHook> = {}): CommandHook {
  return { kind: "command", name: "restore-data", command, folder: process.cwd(), timeoutMs: 20_000, drill: false, ...change };
}

/** A hook in the language of the shell, which is the program here. */
function script(text: string, change: Partial<CommandHook> = {}): CommandHook {
  return hook(["/bin/sh", "-c", text], change);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Gone, or dead and only not yet buried by whoever adopts orphans. */
async function isOver(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return true;
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z");
  return /\) Z/.test(stat);
}

function pidIn(detail: string): number {
  return Number(/^pid (\d+)$/m.exec(detail)?.[1] ?? Number.NaN);
}

async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "crossfade-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function setVariable(t: Test, name: string, value: string): void {
  process.env[name] = value;
  t.teardown(() => delete process.env[name]);
}

t.test("a command is told what happens, in its folder, and its output is kept", async (t) => {
  const folder = await temporaryFolder(t);
  setVariable(t, "CROSSFADE_ADMIN_TOKEN", "correct-horse");
  setVariable(t, "OTHER_VARIABLE", "stays");
  const told = script('pwd; env | grep -E "^(CROSSFADE|OTHER)_" | sort; cat; echo; echo said >&2', { folder });
  const { status, detail, ms } = await runHook(told, PAYLOAD, REAL);
  t.equal(status, "done", detail);
  t.ok(ms >= 0 && ms < 20_000);
  const lines = detail.split("\n");
  t.strictSame(lines.slice(0, 11), [
    "exit code 0",
    folder,
    "CROSSFADE_BY=",
    "CROSSFADE_DRILL=",
    "CROSSFADE_EVENT=rollback",
    "CROSSFADE_FLAG=v2_migration",
    "CROSSFADE_PLAN=fast",
    `CROSSFADE_REASON=${PAYLOAD.reason}`,
    "CROSSFADE_ROLLOUT=fast-1a2b",
    "CROSSFADE_STEP=2",
    "CROSSFADE_TRIGGER=",
  ]);
  t.equal(lines[11], "OTHER_VARIABLE=stays", "what is not ours is inherited; the program's own variables, a token among them, are not");
  const body = lines.find((line) => line.startsWith("{")) ?? "";
  t.match(JSON.parse(body), { hook: "restore-data", ...PAYLOAD, drill: false, at: /^\d{4}-\d\d-\d\dT/ });
  t.match(detail, /^said$/m, "standard error counts too");
  const drill = await runHook(script('echo "[$CROSSFADE_DRILL]"; cat'), PAYLOAD, { drill: true });
  t.match(drill.detail, /^\[1\]$/m);
  t.match(drill.detail, /"drill":true/);
});

t.test("no shell reads the arguments", async (t) => {
  const { detail } = await runHook(hook(["printf", "<%s>", "$HOME; exit 9", "*", "", "`id`"]), PAYLOAD, REAL);
  t.equal(detail, "exit code 0\n<$HOME; exit 9><*><><`id`>");
});

t.test("a path is taken from the folder of the hook", async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, "restore.sh"), '#!/bin/sh\necho "restored $1"\n', { mode: 0o755 });
  t.match(await runHook(hook(["./restore.sh", "--fast"], { folder }), PAYLOAD, REAL), {
    status: "done",
    detail: "exit code 0\nrestored --fast",
  });
});

t.test("a failure keeps its code and its last words", async (t) => {
  t.match(await runHook(script("echo one; echo the disk is full >&2; exit 3"), PAYLOAD, REAL), {
    status: "failed",
    detail: /^exit code 3\n(?:one\nthe disk is full|the disk is full\none)$/,
  });
  t.match(await runHook(script("kill -9 $$"), PAYLOAD, REAL), { status: "failed", detail: "ended by SIGKILL" });
});

t.test("one that hangs is ended at its limit", async (t) => {
  const result = await runHook(script("echo pid $$; sleep 600", { timeoutMs: 300 }), PAYLOAD, REAL);
  t.match(result, { status: "timed-out", detail: /^ended after its limit of 300 ms\npid \d+$/ });
  t.ok(result.ms >= 290 && result.ms < 3_000, `${result.ms} ms`);
  t.ok(await isOver(pidIn(result.detail)));
});

t.test("one that ignores SIGTERM is ended by SIGKILL, with everybody in its group", async (t) => {
  const stubborn = 'trap "" TERM; (while :; do sleep 0.1; done) & echo pid $!; while :; do sleep 0.1; done';
  const result = await runHook(script(stubborn, { timeoutMs: 300 }), PAYLOAD, REAL);
  t.equal(result.status, "timed-out");
  t.ok(result.ms >= 1_200 && result.ms < 5_000, `${result.ms} ms: the grace was given, and no more`);
  const grandchild = pidIn(result.detail);
  t.ok(grandchild > 0);
  await until("the grandchild is gone", () => isOver(grandchild));
});

t.test("one that ends at SIGTERM may clean up first", async (t) => {
  const tidy = 'trap "echo tidied; exit 0" TERM; while :; do sleep 0.05; done';
  t.match(await runHook(script(tidy, { timeoutMs: 300 }), PAYLOAD, REAL), { status: "timed-out", detail: /\ntidied$/ });
});

t.test("a grandchild that keeps the pipe open neither holds the result up nor stays", async (t) => {
  const result = await runHook(script("sleep 600 & echo pid $!; exit 0"), PAYLOAD, REAL);
  t.match(result, { status: "done", detail: /^exit code 0\npid \d+$/ });
  t.ok(result.ms < 5_000, `${result.ms} ms`);
  await until("the grandchild is gone", () => isOver(pidIn(result.detail)));
});

t.test("a grandchild in a session of its own lives on, and holds nothing up", async (t) => {
  const away = 'setsid sleep 600 & echo pid $!; until [ "$(cut -d " " -f 6 "/proc/$!/stat")" = "$!" ]; do :; done; exit 4';
  const result = await runHook(script(away), PAYLOAD, REAL);
  const grandchild = pidIn(result.detail);
  t.match(result, { status: "failed", detail: /^exit code 4/ });
  t.ok(result.ms < 5_000, `${result.ms} ms`);
  t.notOk(await isOver(grandchild));
  process.kill(grandchild, "SIGKILL");
});

t.test("of a flood the end is kept, in whole characters", async (t) => {
  const { status, detail } = await runHook(hook(["yes", "é€😀"], { timeoutMs: 400 }), PAYLOAD, REAL);
  t.equal(status, "timed-out");
  t.ok(Buffer.byteLength(detail) < 4_300, `${Buffer.byteLength(detail)} bytes`);
  t.notMatch(detail, /�/);
  const text = "é€😀".repeat(50_000);
  const program = `process.stdout.write(${JSON.stringify("é€😀")}.repeat(50000) + "END")`;
  const long = await runHook(hook([process.execPath, "-e", program]), PAYLOAD, REAL);
  t.equal(long.status, "done");
  const kept = long.detail.replace("exit code 0\n", "");
  t.ok(`${text}END`.endsWith(kept), "an unbroken end of what was written");
  t.ok(Buffer.byteLength(kept) > 4_080 && Buffer.byteLength(kept) <= 4_096, `${Buffer.byteLength(kept)} bytes`);
});

t.test("a character that comes in two pieces is one, whatever comes between them", async (t) => {
  const { detail } = await runHook(script("printf '\\342\\202'; sleep 0.2; printf X >&2; sleep 0.2; printf '\\254'"), PAYLOAD, REAL);
  t.match(detail, /^exit code 0\n(?:X€|€X)$/);
});

t.test("what a terminal would obey is not handed on, and bytes that are no text do no harm", async (t) => {
  const { detail } = await runHook(script("printf 'a\\033[31mred\\007\\r\\nb\\377c'"), PAYLOAD, REAL);
  t.equal(detail, "exit code 0\na[31mred\nb�c");
});

t.test("one that does not read what it is told is none the worse", async (t) => {
  const loud = { ...PAYLOAD, reason: "x".repeat(1_000_000) };
  t.match(await runHook(hook(["true"]), loud, REAL), { status: "done" });
  const odd = { ...PAYLOAD, reason: "a\0b" };
  t.match(await runHook(script('printf "[%s]" "$CROSSFADE_REASON"'), odd, REAL), { status: "done", detail: /\[ab\]/ });
});

t.test("one that cannot be executed says why", async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, "plain.sh"), "#!/bin/sh\n");
  await chmod(join(folder, "plain.sh"), 0o644);
  await writeFile(join(folder, "foreign.sh"), "#!/no/such/interpreter\n", { mode: 0o755 });
  const why = async (command: CommandHook["command"], change: Partial<CommandHook> = {}): Promise<string> => {
    const { status, detail } = await runHook(hook(command, { folder, ...change }), PAYLOAD, REAL);
    t.equal(status, "failed");
    return detail;
  };
  t.match(await why(["./gone.sh"]), `"./gone.sh" does not exist (looked for from ${folder})`);
  t.match(await why(["crossfade-no-such-program"]), "is nowhere in PATH");
  t.match(await why(["./plain.sh"]), "chmod +x");
  t.match(await why([folder]), "may not be executed");
  t.match(await why(["./foreign.sh"]), "the interpreter in its first line is not");
  t.match(await why(["true"], { folder: join(folder, "gone") }), /its folder .* is not there/);
  t.match(await why(["true\0"]), "could not be started");
  t.match(await why(["true", "x".repeat(4_000_000)]), "more arguments and environment than the system takes");
});

t.test("a hook that is called off ends, or does not begin", async (t) => {
  const early = await runHook(script("exit 0"), PAYLOAD, { ...REAL, signal: AbortSignal.abort() });
  t.match(early, { status: "failed", detail: /called off before/ });
  const folder = await temporaryFolder(t);
  const off = new AbortController();
  const running = runHook(script("echo pid $$; : > begun; sleep 600", { folder }), PAYLOAD, { ...REAL, signal: off.signal });
  await until("it has begun", () =>
    readFile(join(folder, "begun")).then(
      () => true,
      () => false,
    ),
  );
  off.abort();
  const result = await running;
  t.match(result, { status: "failed", detail: /^called off before its end\npid \d+$/ });
  t.ok(await isOver(pidIn(result.detail)));
});

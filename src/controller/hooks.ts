import { VERDICTS, type VerdictWord } from "../analysis/check.ts";
import type { CommandHook, Hook, WebhookHook } from "../config/config.ts";
import { type CommandEnd, runCommand } from "./hook-run.ts";
import type { TrafficReport } from "./rollout.ts";
import { describe, plain, post, SHOWN } from "./web-post.ts";

/** How one hook ended. */
export interface HookResult {
  readonly status: "done" | "failed" | "timed-out";
  readonly ms: number;
  /** Exit code or HTTP status, and the last of what it said. */
  readonly detail: string;
}

/** What a hook is told: a command on standard input, and the plain ones as CROSSFADE_*; a webhook as its body. */
export interface HookPayload {
  /** rollback, in drills too: hooks should do then what they do otherwise · gate: whether a step may be left. */
  readonly event: "rollback" | "gate";
  readonly flag: string;
  /** Id; undefined: none is under way. */
  readonly rollout?: string | undefined;
  /** Name of its plan. */
  readonly plan?: string | undefined;
  /** The step that is left, or may be, counted from 0. */
  readonly step?: number | undefined;
  readonly reason?: string | undefined;
  /** Name of the trigger; null: by hand. */
  readonly trigger?: string | null | undefined;
  readonly by?: string | undefined;
  /** Null: not looked at yet. */
  readonly traffic?: TrafficReport | null | undefined;
}

export interface HookOptions {
  /** Ends the hook before its time. */
  readonly signal?: AbortSignal | undefined;
  readonly drill: boolean;
}

/** What a webhook says of leaving a step. */
export interface GateAnswer {
  readonly verdict: VerdictWord;
  readonly why: string;
}

/** One value of the environment may have 128 KiB on Linux. */
const ENVIRONMENT_TEXT = 4_096;

/** Runs a hook. Never rejects, and ends two seconds after the hook's time limit at the latest. */
export async function runHook(hook: Hook, payload: HookPayload, { drill, signal }: HookOptions): Promise<HookResult> {
  const began = performance.now();
  const body = bodyOf(hook, payload, drill);
  const { status, detail } =
    hook.kind === "command" ? await command(hook, payload, body, drill, signal) : await webhook(hook, body, signal);
  return { status, ms: Math.round(performance.now() - began), detail: plain(detail) };
}

/**
 * Asks a webhook whether a step may be left: 200 with `{"verdict": "pass" | "fail" | ..., "why": "..."}`. Never rejects. Who does not answer, or
 * answers with a failure of its own (5xx), has given no data; any other answer that is not understood is inconclusive. Neither lets a step be left.
 */
export async function askWebhook(hook: Hook, payload: HookPayload, signal?: AbortSignal): Promise<GateAnswer> {
  if (hook.kind !== "webhook") return { verdict: "inconclusive", why: "it is a command; only a webhook can be asked" };
  const answer = await post(hook, bodyOf(hook, payload, false), signal);
  if (answer.kind === "none") return { verdict: "no-data", why: answer.why };
  const { status, text, cut } = answer;
  if (status !== 200) return { verdict: status >= 500 ? "no-data" : "inconclusive", why: describe(answer) };
  const said = cut ? undefined : readGate(text);
  if (said !== undefined) return said;
  const expected = `expected {"verdict": "pass"} or one of ${VERDICTS.slice(1).join(", ")}`;
  return { verdict: "inconclusive", why: `${describe(answer)}; ${expected}` };
}

function readGate(text: string): GateAnswer | undefined {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof given !== "object" || given === null || !("verdict" in given)) return undefined;
  const verdict = VERDICTS.find((word) => word === given.verdict);
  if (verdict === undefined) return undefined;
  const why = "why" in given && typeof given.why === "string" ? plain(given.why).slice(0, SHOWN).toWellFormed() : "";
  return { verdict, why: why === "" ? `it says ${verdict}` : why };
}

function bodyOf({ name }: Hook, payload: HookPayload, drill: boolean): string {
  return JSON.stringify({ hook: name, ...payload, drill, at: new Date().toISOString() });
}

type Ending = Omit<HookResult, "ms">;

async function command(
  hook: CommandHook,
  payload: HookPayload,
  input: string,
  drill: boolean,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  const environment = environmentOf(payload, drill);
  const end = await runCommand({ command: hook.command, folder: hook.folder, timeoutMs: hook.timeoutMs, environment, input, signal });
  return endingOf(end, hook);
}

function endingOf(end: CommandEnd, { timeoutMs }: CommandHook): Ending {
  if (end.kind === "not-started") return { status: "failed", detail: end.why };
  const output = end.output.trim() === "" ? "" : `\n${end.output.trimEnd()}`;
  switch (end.kind) {
    case "exited":
      return { status: end.code === 0 ? "done" : "failed", detail: `exit code ${end.code}${output}` };
    case "killed":
      return { status: "failed", detail: `ended by ${end.by}${output}` };
    case "stopped":
      return { status: "failed", detail: `called off before its end${output}` };
    case "timed-out":
      return { status: "timed-out", detail: `ended after its limit of ${timeoutMs} ms${output}` };
  }
}

/** The program's own variables stay with it: among them are the tokens that the configuration file asks for. */
function environmentOf(payload: HookPayload, drill: boolean): NodeJS.ProcessEnv {
  const { event, flag, rollout = "", plan = "", step = "", reason = "", trigger, by = "" } = payload;
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("CROSSFADE_"));
  const texts = { FLAG: flag, ROLLOUT: rollout, PLAN: plan, STEP: String(step), REASON: reason, TRIGGER: trigger ?? "", BY: by };
  const own = { EVENT: event, ...texts, DRILL: drill ? "1" : "" };
  const told = Object.entries(own).map(([name, value]) => [`CROSSFADE_${name}`, environmentText(value)]);
  return Object.fromEntries([...inherited, ...told]);
}

function environmentText(value: string): string {
  return value.replaceAll("\0", "").slice(0, ENVIRONMENT_TEXT).toWellFormed();
}

async function webhook(hook: WebhookHook, body: string, signal: AbortSignal | undefined): Promise<Ending> {
  const answer = await post(hook, body, signal);
  if (answer.kind === "none") return { status: answer.late ? "timed-out" : "failed", detail: answer.why };
  return { status: answer.status >= 200 && answer.status < 300 ? "done" : "failed", detail: describe(answer) };
}

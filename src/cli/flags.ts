import type { Command } from "commander";
import type { FlagView } from "../admin/flag-view.ts";
import { formatDuration, parseDuration } from "../core/quantity.ts";
import { parseFlagView } from "./answers.ts";
import { type ClientOptions, addClientOptions, addFlagOption, chooseFlag, chooseTarget } from "./client-options.ts";
import { ask } from "./client.ts";
import { WrongUsage } from "./failed.ts";
import { bad, bold, print, table } from "./output.ts";
import { printReceipt } from "./receipt.ts";

interface SetOptions extends ClientOptions {
  readonly reason?: string;
  readonly wait?: string | true;
  readonly ifRevision?: string;
}

const DEFAULT_WAIT_MS = 5_000;

export function addFlags(program: Command): void {
  const flags = program.command("flags").description("read and change the live settings, the same that redis-cli changes");

  const get = flags.command("get").description("print every setting in force and where it comes from");
  addFlagOption(addClientOptions(get)).addHelpText("after", "\nExample:\n  crossfade flags get --json");
  get.action(getFlag);

  const set = flags
    .command("set")
    .description("change settings, all of them or none; KEY= goes back to the configuration file's value")
    .argument("[KEY=VALUE...]", "such as rollout_percentage=25 or segment.enterprise=0")
    .option("--reason <text>", "why, for the audit")
    .option("--wait [duration]", `wait until every instance runs the change, at most so long (alone: ${formatDuration(DEFAULT_WAIT_MS)})`)
    .option("--if-revision <n>", "change nothing unless this is the current revision");
  addFlagOption(addClientOptions(set)).addHelpText(
    "after",
    '\nExamples:\n  crossfade flags set rollout_percentage=25 --reason "second step" --wait\n  crossfade flags set segment.enterprise=5 fallback.response_time=80ms',
  );
  set.action(setFlag);
}

async function getFlag(options: ClientOptions): Promise<void> {
  const target = await chooseTarget(options);
  const answer = await ask(target, await chooseFlag(target, options.flag));
  if (options.json) return print(answer.text);
  print(...describe(parseFlagView(answer.value)));
}

async function setFlag(words: readonly string[], options: SetOptions): Promise<void> {
  // In `--wait rollout_percentage=25` the setting stands where the option's own value could.
  const taken = typeof options.wait === "string" && options.wait.includes("=") ? options.wait : undefined;
  const fields = parseAssignments(taken === undefined ? words : [taken, ...words]);
  const waitMs = parseWait(taken === undefined ? options.wait : true);
  const revision = parseRevision(options.ifRevision);
  const target = await chooseTarget(options);
  const answer = await ask(target, await chooseFlag(target, options.flag), {
    method: "PATCH",
    body: { fields, reason: options.reason ?? "", wait: formatDuration(waitMs) },
    headers: revision === undefined ? {} : { "if-match": `"${revision}"` },
    waitMs,
  });
  printReceipt(answer, waitMs > 0, options.json === true);
}

/** `KEY=VALUE` words as fields; `KEY=` removes one. */
function parseAssignments(words: readonly string[]): Readonly<Record<string, string | null>> {
  if (words.length === 0) throw new WrongUsage("Say what to set, such as rollout_percentage=25. `crossfade flags get` lists the settings.");
  const fields = new Map<string, string | null>();
  for (const word of words) {
    const [key = "", ...rest] = word.split("=");
    const name = key.trim();
    if (rest.length === 0 || name === "") throw new WrongUsage(`${JSON.stringify(word)} is not KEY=VALUE, such as rollout_percentage=25.`);
    if (fields.has(name)) throw new WrongUsage(`${name} is given twice.`);
    fields.set(name, rest.join("=").trim() || null);
  }
  return Object.fromEntries(fields);
}

function parseWait(wait: string | true | undefined): number {
  if (wait === undefined) return 0;
  if (wait === true) return DEFAULT_WAIT_MS;
  const ms = parseDuration(wait);
  if (ms !== undefined) return ms;
  throw new WrongUsage(`--wait: ${JSON.stringify(wait)} is not a duration such as 500ms, 5s or 1m.`);
}

function parseRevision(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new WrongUsage(`--if-revision: ${JSON.stringify(text)} is not a whole number; \`crossfade flags get\` shows the current revision.`);
}

function describe(view: FlagView): string[] {
  // A duration may have been set under its second name, which has the unit in it.
  const isLive = (key: string): boolean => key in view.fields || `${key}_ms` in view.fields;
  const originOf = (key: string): string => (key === "kill_switch" && view.killedHere ? "here" : isLive(key) ? "live" : "file");
  const rows = Object.entries(view.settings).map(([key, value]) => [key, value, originOf(key), membersOf(view, key)]);
  const lines = [bold(`${view.flag} at revision ${view.revision}`), ...table([["SETTING", "VALUE", "FROM", "USERS"], ...rows])];
  if (view.killed)
    lines.push(bad(`  killed: everybody is on the stable arm${view.killedHere ? ", on this instance only until there is a store" : ""}`));
  for (const list of ["allow", "deny"]) {
    const count = view.members[list] ?? 0;
    if (count > 0) lines.push(`  ${list} list: ${count} users`);
  }
  if (view.instances === null) lines.push(bad("  the store cannot be asked which instances run this"));
  for (const { instance, revision, alive, at } of view.instances ?? []) {
    lines.push(`  ${instance} runs revision ${revision}${alive ? "" : bad(` and has not been heard of since ${at}`)}`);
  }
  for (const rejection of view.rejections) lines.push(bad(`  refused: ${rejection.message}`));
  return lines;
}

function membersOf(view: FlagView, key: string): string {
  const count = key.startsWith("segment.") ? view.members[key] : undefined;
  return count === undefined ? "" : String(count);
}

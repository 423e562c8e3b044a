import type { Command } from "commander";
import type { Config } from "../config/config.ts";
import { suggest } from "../config/problem.ts";
import { parseShare } from "../core/quantity.ts";
import { type Explanation, explainArm } from "../rollout/explain.ts";
import { compileRules } from "../rollout/rules.ts";
import { parseExplanation } from "./answers.ts";
import { type ClientOptions, addClientOptions, addFlagOption, chooseTarget } from "./client-options.ts";
import { Unreachable, addressOf, ask } from "./client.ts";
import { readConfig } from "./config-file.ts";
import { Failed, WrongUsage } from "./failed.ts";
import { bold, percent, print, printable, remark } from "./output.ts";

interface ExplainOptions extends ClientOptions {
  readonly user: string;
  readonly segment?: string;
  readonly at?: string;
}

export function addExplain(program: Command): void {
  const command = program
    .command("explain")
    .description("say which arm a user is on, and why; with --config also without a running instance")
    .requiredOption("--user <id>", "the user key")
    .option("--segment <name>", "as if a trusted hop had named this segment")
    .option("--at <percentage>", "and what would happen at this rollout_percentage");
  addFlagOption(addClientOptions(command)).addHelpText(
    "after",
    "\nExamples:\n  crossfade explain --user 4711 --at 25\n  crossfade explain --user 4711 --segment enterprise --config crossfade.yaml",
  );
  command.action(explain);
}

async function explain(options: ExplainOptions): Promise<void> {
  if (options.user === "") throw new WrongUsage("--user: the user key is empty.");
  const atBp = options.at === undefined ? undefined : parseShare(options.at);
  if (options.at !== undefined && atBp === undefined) {
    throw new WrongUsage(`--at: ${JSON.stringify(options.at)} is not a percentage from 0 to 100 with at most two decimals.`);
  }
  const target = await chooseTarget(options);
  try {
    const query = new URLSearchParams({ user: options.user });
    for (const name of ["flag", "segment", "at"] as const) {
      const value = options[name];
      if (value !== undefined) query.set(name, value);
    }
    const answer = await ask(target, `/api/explain?${query.toString()}`);
    if (options.json) print(answer.text);
    else print(...describe(parseExplanation(answer.value)));
  } catch (error) {
    if (!(error instanceof Unreachable) || options.config === undefined) throw error;
    const explanation = explainFromFile(await readConfig(options.config), options, atBp);
    remark(
      `No instance answers at ${addressOf(target.url)}, so this comes from ${options.config} alone: ` +
        "settings changed live, lists and the sets of segments are not known.",
    );
    if (options.json) print(JSON.stringify({ ...explanation, source: options.config }, null, 2));
    else print(...describe(explanation));
  }
}

/** What the configuration file alone would decide. */
function explainFromFile(config: Config, options: ExplainOptions, atBp: number | undefined): Explanation {
  const names = config.flags.map(({ name }) => name);
  if (options.flag === undefined && names.length > 1) throw new WrongUsage(`Say which flag with --flag: ${names.join(", ")}.`);
  const flag = config.flags.find(({ name }) => name === (options.flag ?? names[0]));
  if (flag === undefined) throw new Failed(unknown("flag", options.flag ?? "", names));
  const segments = flag.settings.segments.map(({ name }) => name);
  if (options.segment !== undefined && !segments.includes(options.segment)) throw new Failed(unknown("segment", options.segment, segments));
  const rules = compileRules(flag, {
    flag: flag.name,
    revision: 0,
    settings: flag.settings,
    allow: undefined,
    deny: undefined,
    members: {},
  });
  return explainArm(rules, false, { user: options.user, segment: options.segment, atBp });
}

function unknown(what: string, name: string, known: readonly string[]): string {
  return `There is no ${what} ${JSON.stringify(name)}; ${suggest(name, known, `the file has no ${what}s`)}`;
}

function describe(explanation: Explanation): string[] {
  const { flag, user, arm, reason, rule, bucket, segment, revision, candidateFromPercentage: from, at } = explanation;
  const row = (name: string, value: string): string => `  ${name.padEnd(11)}${value}`;
  const lines = [
    bold(`${printable(user)} is on the ${arm} arm of ${flag}`),
    row("reason", reason),
    row("rule", rule),
    row("bucket", `${bucket} of 0..9999`),
    row("segment", segment ?? "none"),
    row("revision", String(revision)),
    row("candidate", from === undefined ? "not a matter of rollout_percentage" : `from ${percent(from)} on`),
  ];
  if (at !== undefined) lines.push(row(`at ${percent(at.percentage)}`, `${at.arm} (${at.reason}: ${at.rule})`));
  return lines;
}

import type { Command } from "commander";
import { writeFile } from "node:fs/promises";
import { decodeRecord } from "../analysis/recording.ts";
import { parsePlan } from "../controller/plan-file/parse.ts";
import { formatProblems } from "../config/problem.ts";
import { renderReplay, replay } from "../controller/replay.ts";
import { type ClientOptions, addClientOptions, addFlagOption, chooseTarget } from "./client-options.ts";
import { ask } from "./client.ts";
import { Failed, InvalidFile } from "./failed.ts";
import { print, remark } from "./output.ts";
import { parseRecordPage } from "./rollout-answers.ts";
import { readPlan, rolloutPath } from "./rollout-target.ts";

interface ReplayOptions extends ClientOptions {
  readonly record?: string;
  readonly save?: string;
}

const PAGE = 1_000;

export function addRolloutReplay(rollout: Command): void {
  const command = rollout
    .command("replay")
    .description("what another plan, or other limits, would have done with the figures that were recorded")
    .argument("<plan>", "file of the plan to try")
    .option("--record <file>", "take the record from a file that --save wrote, and no running instance")
    .option("--save <file>", "keep the record, a line an entry");
  addFlagOption(addClientOptions(command)).addHelpText(
    "after",
    "\nExamples:\n  crossfade rollout replay stricter.yaml\n  crossfade rollout replay stricter.yaml --save record.jsonl\n  crossfade rollout replay other.yaml --record record.jsonl",
  );
  command.action(async (file: string, options: ReplayOptions) => {
    const parsed = parsePlan(await readPlan(file));
    if ("problems" in parsed) throw new InvalidFile(formatProblems(file, parsed.problems));
    const lines =
      options.record === undefined
        ? await fetchRecord(options)
        : (await readPlan(options.record)).split("\n").filter((line) => line !== "");
    if (options.save !== undefined) await writeFile(options.save, lines.map((line) => `${line}\n`).join(""));
    const records = lines.map((line) => decodeRecord(line)).filter((record) => record !== undefined);
    const foreign = lines.length - records.length;
    if (foreign > 0) remark(`${foreign} of ${lines.length} lines are no entries of a record of this version, and are left out.`);
    if (records.length === 0) throw new Failed("There is no record to replay: it begins with a rollout, an entry a minute.");
    const report = await replay(parsed.plan, records, {});
    print(...(options.json ? [JSON.stringify(report, null, 2)] : renderReplay(report)));
  });
}

/** The whole record of the flag's rollouts, page by page. */
async function fetchRecord(options: ReplayOptions): Promise<readonly string[]> {
  const target = await chooseTarget(options);
  const path = await rolloutPath(options);
  const lines: string[] = [];
  for (let after = ""; ;) {
    const { entries } = parseRecordPage((await ask(target, `${path}/record?count=${PAGE}${after === "" ? "" : `&after=${after}`}`)).value);
    lines.push(...entries.map(({ text }) => text));
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) return lines;
    after = last.id;
  }
}

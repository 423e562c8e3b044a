import { type Command, Option } from "commander";
import { writeFile } from "node:fs/promises";
import { type Language, LANGUAGES } from "../incidents/incident.ts";
import { reportContent } from "../sla/report-content.ts";
import { toHtml } from "../sla/report-html.ts";
import { toMarkdown } from "../sla/report-markdown.ts";
import type { SlaReport, SlaRow, SlaView } from "../sla/sla.ts";
import { type ClientOptions, addClientOptions, addFlagOption, chooseFlag, chooseTarget } from "./client-options.ts";
import { ask } from "./client.ts";
import { Failed } from "./failed.ts";
import { bad, bold, good, print, remark, span, table } from "./output.ts";
import { parseSlaReport, parseSlaView } from "./sla-answers.ts";

const FORMATS = ["markdown", "json", "html"] as const;

interface ReportOptions extends ClientOptions {
  readonly format: (typeof FORMATS)[number];
  readonly lang: Language;
  readonly out?: string;
}

export function addSla(program: Command): void {
  const sla = program.command("sla").description("what was promised to customers, and what is kept of it");
  addStatus(sla);
  addReport(sla);
  sla.addHelpText("after", "\nExamples:\n  crossfade sla status\n  crossfade sla report --format html --out sla.html");
}

function addStatus(sla: Command): void {
  const command = sla.command("status").description("show every promise with its value, its target and what is left of its error budget");
  addFlagOption(addClientOptions(command)).addHelpText(
    "after",
    "\nExamples:\n  crossfade sla status\n  crossfade sla status --flag v2_migration --json",
  );
  command.action(async (options: ClientOptions) => {
    const target = await chooseTarget(options);
    const { text, value } = await ask(target, `/api/sla?${await flagQuery(options)}`);
    if (options.json) print(text);
    else print(...describeSla(parseSlaView(value), Date.now()));
  });
}

function addReport(sla: Command): void {
  const command = sla
    .command("report")
    .description("a report to keep or to hand out: figures, breaches, coverage and method")
    .addOption(new Option("--format <format>", "how it is written").choices(FORMATS).default("markdown"))
    .addOption(new Option("--lang <language>", "in which language").choices(LANGUAGES).default("en"))
    .option("--out <file>", "write it there (default: print it)");
  addFlagOption(addClientOptions(command)).addHelpText(
    "after",
    "\nExamples:\n  crossfade sla report\n  crossfade sla report --format html --lang fr --out niveaux-de-service.html\n  crossfade sla report --format json | jq .breaches",
  );
  command.action(async (options: ReportOptions) => {
    const { text, value } = await ask(await chooseTarget(options), `/api/sla/report?${await flagQuery(options)}`);
    const format = options.json ? "json" : options.format;
    const written = writtenAs(format, text, parseSlaReport(value), options.lang);
    if (options.out === undefined) process.stdout.write(written);
    else await writeOut(options.out, written);
  });
}

function writtenAs(format: ReportOptions["format"], text: string, report: SlaReport, language: Language): string {
  if (format === "json") return `${text}\n`;
  const content = reportContent(report, language);
  return format === "html" ? toHtml(content, language) : toMarkdown(content);
}

async function writeOut(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new Failed(`--out: ${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`);
  }
  remark(`written to ${file}`);
}

async function flagQuery(options: ClientOptions): Promise<string> {
  const path = await chooseFlag(await chooseTarget(options), options.flag);
  return `flag=${path.slice("/api/flags/".length)}`;
}

/** For a terminal. */
function describeSla({ flag, at, rows }: SlaView, now: number): string[] {
  if (rows.length === 0)
    return [`Nothing is known of the promises for ${flag} yet: they are judged every ten seconds while the store can be reached.`];
  const line = (row: SlaRow): string[] => [
    row.promise === "response_time" && row.limitMs !== undefined ? `${row.promise} ${row.limitMs} ms` : row.promise,
    row.version,
    row.segment,
    share(row.value),
    `${row.direction === "at-most" ? "<=" : ">="} ${share(row.target)}`,
    share(row.budgetLeft),
    Number.isFinite(row.p95) ? `${row.p95?.toFixed(1)} ms` : "-",
    row.sample.toLocaleString("en"),
    `${span(row.coveredMs / 1_000)} of ${span(row.windowMs / 1_000)}`,
    row.keptAgainSince === undefined ? row.state : `${row.state}, kept again for ${span(Math.max(0, at - row.keptAgainSince) / 1_000)}`,
    span(Math.max(0, now - row.since) / 1_000),
  ];
  const broken = rows.filter(({ state }) => state === "breached").length;
  return [
    bold(
      `${flag}: ${rows.every(({ state }) => state === "no-data") ? "too little has been counted yet" : broken === 0 ? good("no promise is broken") : bad(`${broken} broken`)}`,
    ),
    ...table([
      ["PROMISE", "VERSION", "SEGMENT", "VALUE", "TARGET", "BUDGET LEFT", "P95", "SAMPLE", "COVERED", "STATE", "FOR"],
      ...rows.map(line),
    ]),
  ];
}

/** With more digits than elsewhere: 99.996 % is not 100 %. */
function share(value: number): string {
  return Number.isFinite(value) ? `${Number((value * 100).toFixed(4))} %` : "-";
}

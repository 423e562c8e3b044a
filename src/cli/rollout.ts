import { type Command, Option } from "commander";
import { experimentLines } from "./rollout-answers.ts";
import { formatDuration } from "../core/quantity.ts";
import { SPANS } from "../analysis/windows-summary.ts";
import { parseActReceipt, parseDrillReport, parseExperiment, parseFigures, parseRolloutStatus } from "./rollout-answers.ts";
import { addRolloutCheck } from "./rollout-check.ts";
import { addRolloutReplay } from "./rollout-replay.ts";
import { readPlan, rolloutPath } from "./rollout-target.ts";
import { describeFigures, describeRollout } from "./rollout-status.ts";
import { type ClientOptions, addClientOptions, addFlagOption, chooseTarget, parseDurationOption } from "./client-options.ts";
import { ask } from "./client.ts";
import { FailedAsPrinted } from "./failed.ts";
import { bad, good, print } from "./output.ts";
import { renderDrill } from "../controller/drill-report.ts";

interface ActOptions extends ClientOptions {
  readonly reason?: string;
  readonly wait: number;
  readonly role?: string;
  readonly at?: string;
  readonly force?: boolean;
  readonly live?: boolean;
  readonly span?: string;
}

const DEFAULT_WAIT_MS = 2_000;
/** A drill runs hooks, each with its own limit. */
const DRILL_WAIT_MS = 600_000;

export function addRollout(program: Command): void {
  const rollout = program.command("rollout").description("raise the share by a plan, step by step behind gates, and roll it back");
  addRolloutCheck(rollout);
  addStart(rollout);
  addLook(rollout);
  addAct(
    rollout,
    "approve",
    "approve that the present step may be left",
    'crossfade rollout approve --role ops --reason "figures looked at"',
  ).option("--role <name>", "in which role (default: the only one you have)");
  addAct(rollout, "pause", "hold the rollout where it is; triggers still roll it back", 'crossfade rollout pause --reason "trade fair"');
  addAct(
    rollout,
    "resume",
    "let a held rollout go on; after a rollback, begin anew at an earlier step",
    'crossfade rollout resume --at 1 --reason "fixed in 2.0.1"',
  ).option("--at <step>", "name or number of the step at which to begin anew after a rollback");
  addAct(
    rollout,
    "advance",
    "go to the next step now, whatever its gates say",
    'crossfade rollout advance --reason "decided in the war room"',
  );
  addAct(rollout, "rollback", "everybody to the stable arm at once, then the hooks", 'crossfade rollout rollback --reason "sessions lost"');
  addDrill(rollout);
  addFigures(rollout);
  addExperiment(rollout);
  addRolloutReplay(rollout);
}

function withWait(command: Command): Command {
  return command
    .option("--reason <text>", "why, for the audit")
    .addOption(
      new Option("--wait <duration>", "how long to wait for every instance to confirm; 0 does not wait")
        .argParser(parseDurationOption)
        .default(DEFAULT_WAIT_MS, formatDuration(DEFAULT_WAIT_MS)),
    );
}

function addAct(rollout: Command, name: string, description: string, example: string): Command {
  const command = withWait(rollout.command(name).description(description));
  addFlagOption(addClientOptions(command)).addHelpText("after", `\nExample:\n  ${example}`);
  return command.action(async (options: ActOptions) => {
    const body = {
      reason: options.reason ?? "",
      wait: formatDuration(options.wait),
      ...(options.role === undefined ? {} : { role: options.role }),
      ...(options.at === undefined ? {} : { step: options.at }),
    };
    await post(options, name, body);
  });
}

function addStart(rollout: Command): void {
  const command = withWait(rollout.command("start").description("begin a plan").argument("<plan>", "file of the plan")).option(
    "--force",
    "in spite of what `rollout check` calls an error",
  );
  addFlagOption(addClientOptions(command)).addHelpText(
    "after",
    '\nExample:\n  crossfade rollout start config/plans/supersmartmatch.yaml --reason "go of the 7th"',
  );
  command.action(async (file: string, options: ActOptions) => {
    const plan = await readPlan(file);
    await post(options, "start", { plan, force: options.force === true, reason: options.reason ?? "", wait: formatDuration(options.wait) });
  });
}

async function post(options: ActOptions, name: string, body: unknown): Promise<void> {
  const target = await chooseTarget(options);
  const answer = await ask(target, `${await rolloutPath(options)}/${name}`, { method: "POST", body, waitMs: options.wait });
  const receipt = parseActReceipt(answer.value);
  if (options.json) return print(answer.text);
  const all = receipt.acknowledged.length + receipt.missing.length;
  const lacking = options.wait > 0 && receipt.missing.length > 0;
  print(good(`${receipt.flag}: ${receipt.status}`), `  ${receipt.reason}`);
  print(`  revision ${receipt.revision}, confirmed by ${receipt.acknowledged.length} of ${all} ${all === 1 ? "instance" : "instances"}`);
  if (!lacking) return;
  const words = `not confirmed by ${receipt.missing.join(", ")}`;
  print(bad(`  ${words}`));
  throw new FailedAsPrinted(words);
}

function addLook(rollout: Command): void {
  const command = rollout.command("status").description("step, gates, triggers, what it waits for, who leads");
  addFlagOption(addClientOptions(command)).addHelpText("after", "\nExample:\n  crossfade rollout status");
  command.action(async (options: ActOptions) => {
    const answer = await ask(await chooseTarget(options), await rolloutPath(options));
    print(...(options.json ? [answer.text] : describeRollout(parseRolloutStatus(answer.value), Date.now())));
  });
}

function addDrill(rollout: Command): void {
  const command = rollout
    .command("drill")
    .description("rehearse a rollback on the running system and time it; touches no user unless --live")
    .option("--live", "for real: the share goes to 0 and back again, and every hook is run")
    .option("--reason <text>", "why, for the audit");
  addFlagOption(addClientOptions(command)).addHelpText(
    "after",
    "\nExample:\n  crossfade rollout drill\n\nExit code 1 when it took longer than the plan allows (without a plan: 1 s for the traffic, 120 s for all).",
  );
  command.action(async (options: ActOptions) => {
    const body = { live: options.live === true, reason: options.reason ?? "" };
    const answer = await ask(await chooseTarget(options), `${await rolloutPath(options)}/drill`, {
      method: "POST",
      body,
      waitMs: DRILL_WAIT_MS,
    });
    const report = parseDrillReport(answer.value);
    print(...(options.json ? [answer.text] : renderDrill(report)));
    if (!report.ok) throw new FailedAsPrinted("the drill took longer than it may, or something in it failed");
  });
}

function addFigures(rollout: Command): void {
  const command = rollout
    .command("figures")
    .description("what the whole fleet saw of both arms lately")
    .addOption(new Option("--span <span>", "how far back").choices([...SPANS]).default("1m"));
  addFlagOption(addClientOptions(command)).addHelpText("after", "\nExample:\n  crossfade rollout figures --span 5m");
  command.action(async (options: ActOptions) => {
    const answer = await ask(await chooseTarget(options), `${await rolloutPath(options)}/figures?span=${options.span ?? "1m"}`);
    print(...(options.json ? [answer.text] : describeFigures(parseFigures(answer.value))));
  });
}

function addExperiment(rollout: Command): void {
  const command = rollout
    .command("experiment")
    .description("candidate against stable: accuracy, satisfaction, conversion, revenue, latency");
  addFlagOption(addClientOptions(command)).addHelpText("after", "\nExample:\n  crossfade rollout experiment");
  command.action(async (options: ActOptions) => {
    const answer = await ask(await chooseTarget(options), `${await rolloutPath(options)}/experiment`);
    print(...(options.json ? [answer.text] : experimentLines(parseExperiment(answer.value))));
  });
}

import { Command, CommanderError } from "commander";
import { addCheck } from "./check.ts";
import { addDemo } from "./demo.ts";
import { addExplain } from "./explain.ts";
import { Failed, FailedAsPrinted, InvalidFile, WrongUsage } from "./failed.ts";
import { addFlags } from "./flags.ts";
import { addIncident, addMaintenance } from "./incident.ts";
import { addKill } from "./kill.ts";
import { bad, bold, print } from "./output.ts";
import { addNotices } from "./notices.ts";
import { addRollout } from "./rollout.ts";
import { addServe } from "./serve.ts";
import { addSla } from "./sla.ts";
import { addStatus } from "./status.ts";
import { packageVersion } from "./version.ts";

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;

/** Runs a command line, the program's own name left out. Resolves with the exit code; never rejects. */
export async function run(words: readonly string[]): Promise<number> {
  let asJson = false;
  const program = createProgram();
  program.hook("preAction", (_, command) => {
    asJson = command.opts().json === true;
  });
  if (words.length === 0) {
    program.outputHelp();
    return DONE;
  }
  try {
    await program.parseAsync(words, { from: "user" });
    return DONE;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE;
    if (error instanceof WrongUsage) {
      complain(`error: ${error.message}`);
      return WRONG_USAGE;
    }
    if (error instanceof FailedAsPrinted) return FAILED;
    if (error instanceof Failed && asJson) print(JSON.stringify(error.json, null, 2));
    else if (error instanceof InvalidFile) complain(error.message);
    else if (error instanceof Failed) complain(`error: ${error.message}`);
    else complain(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return FAILED;
  }
}

/** All commands with their options, not yet told what to run. */
export function createProgram(): Command {
  const program = new Command("crossfade")
    .description("Moves live traffic from a stable service to a new one, and takes every request back that goes wrong.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .configureHelp({ styleTitle: bold })
    .showHelpAfterError("--help shows what can be said.")
    .exitOverride()
    .addHelpText("after", "\nExample:\n  crossfade demo\n\nExit codes: 0 done, 1 failed, 2 wrong usage.");
  // In the order in which a newcomer needs them. Each inherits the settings above.
  addDemo(program);
  addCheck(program);
  addServe(program);
  addStatus(program);
  addFlags(program);
  addExplain(program);
  addKill(program);
  addRollout(program);
  addIncident(program);
  addMaintenance(program);
  addNotices(program);
  addSla(program);
  return program;
}

function complain(text: string): void {
  process.stderr.write(`${bad(text, process.stderr)}\n`);
}

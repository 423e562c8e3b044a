import { type Command, Option } from "commander";
import { formatDuration } from "../core/quantity.ts";
import { type ClientOptions, addClientOptions, addFlagOption, chooseFlag, chooseTarget, parseDurationOption } from "./client-options.ts";
import { Unreachable, ask } from "./client.ts";
import { printReceipt } from "./receipt.ts";

interface KillOptions extends ClientOptions {
  readonly reason?: string;
  readonly wait: number;
}

export function addKill(program: Command): void {
  addSwitch(program, "kill", true, "send everybody to the stable arm at once; works without a store", "errors on checkout");
  addSwitch(program, "unkill", false, "let the settings decide again", "fixed in 2.4.1");
}

function addSwitch(program: Command, name: string, killed: boolean, description: string, example: string): void {
  const command = program
    .command(name)
    .description(description)
    .option("--reason <text>", "why, for the audit")
    .addOption(
      new Option("--wait <duration>", "how long to wait for every instance to confirm; 0 does not wait")
        .argParser(parseDurationOption)
        .default(2_000, "2s"),
    );
  addFlagOption(addClientOptions(command)).addHelpText("after", `\nExample:\n  crossfade ${name} --reason "${example}"`);
  command.action(async (options: KillOptions) => {
    const target = await chooseTarget(options);
    const body = { killed, reason: options.reason ?? "", wait: formatDuration(options.wait) };
    try {
      const path = await chooseFlag(target, options.flag);
      const answer = await ask(target, `${path}/kill`, { method: "POST", body, waitMs: options.wait });
      printReceipt(answer, options.wait > 0, options.json === true);
    } catch (error) {
      throw error instanceof Unreachable
        ? new Unreachable(`${error.message}\n${otherWays(killed, options.flag)}`, undefined, error)
        : error;
    }
  });
}

/** Whoever wants to kill has no time to look for another way. */
function otherWays(killed: boolean, flag = "FLAG"): string {
  return `Any instance of the fleet will do. With Redis there is also:\n  redis-cli HSET 'crossfade:{${flag}}:flags' kill_switch ${killed}`;
}

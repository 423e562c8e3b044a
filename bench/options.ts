import { parseArgs } from "node:util";
import { TRANSPORTS, type Transport } from "./contenders/crossfade.ts";

/** What the commands can be told; each takes those for which it has a default. */
export interface Options {
  /** Of what the command can measure. */
  readonly only: readonly string[];
  /** Engine of crossfade, where a command compares it with itself. */
  readonly transport: Transport;
  /** Requests a second; 0: as fast as it goes. */
  readonly rate: readonly number[];
  readonly connections: readonly number[];
  readonly rounds: number;
  /** Measured time of each in each round. */
  readonly seconds: number;
  readonly slices: number;
  /** Load before the first round. */
  readonly warm: number;
  readonly json: boolean;
}

export interface Command {
  /** File name without its ending. */
  readonly name: string;
  readonly about: string;
  readonly example: string;
  /** What `--only` takes. */
  readonly choices: readonly string[];
  readonly defaults: Partial<Options>;
  run(options: Options): Promise<void>;
}

class UsageError extends Error {}

type Name = keyof Options;

const TEXTS: Readonly<Record<Name, readonly [value: string, text: string]>> = {
  only: ["A,B", "some of those named above"],
  transport: ["T", TRANSPORTS.join(" or ")],
  rate: ["A,B", "requests a second at constant intervals, 0 as fast as it goes; each is measured"],
  connections: ["A,B", "each is measured"],
  rounds: ["N", "interleaved rounds"],
  seconds: ["N", "measured time of each in each round"],
  slices: ["N", "of the growth"],
  warm: ["N", "seconds of load before the first round, for just-in-time compilers"],
  json: ["", "every round's figures as JSON instead of the tables"],
};
const NAMES = Object.keys(TEXTS).filter((name): name is Name => name in TEXTS);

/** What a command does not take has a value all the same. */
const UNTAKEN: Options = {
  only: [],
  transport: "wire",
  rate: [0],
  connections: [64],
  rounds: 1,
  seconds: 1,
  slices: 1,
  warm: 0,
  json: false,
};

function takenBy(command: Command): readonly Name[] {
  return NAMES.filter((name) => name === "only" || command.defaults[name] !== undefined);
}

function usageOf(command: Command): string {
  const lines = takenBy(command).map((name) => {
    const [value, text] = TEXTS[name];
    const byDefault = command.defaults[name];
    const shown = name === "json" ? "" : `; default ${byDefault === undefined ? "all" : String(byDefault)}`;
    return `  ${`--${name} ${value}`.padEnd(19)}  ${text}${shown}\n`;
  });
  return `${command.about}\nUsage: node bench/${command.name}.ts [options]\n\n${lines.join("")}\nExample: node bench/${command.name}.ts ${command.example}\n`;
}

/** The arguments as text, by name. */
function readArguments(command: Command): ReadonlyMap<string, string | true> {
  const taken = takenBy(command).map((name) => [name, { type: name === "json" ? "boolean" : "string" }] as const);
  try {
    const { values } = parseArgs({ options: { ...Object.fromEntries(taken), help: { type: "boolean", short: "h" } } });
    return new Map(Object.entries(values).flatMap(([name, value]) => (typeof value === "string" || value ? [[name, value]] : [])));
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** `undefined` asks for the help. */
function parseOptions(command: Command): Options | undefined {
  const values = readArguments(command);
  if (values.has("help")) return undefined;
  const defaults = { ...UNTAKEN, only: command.choices, ...command.defaults };
  const textOf = (name: Name): string | undefined => {
    const value = values.get(name);
    return typeof value === "string" ? value : undefined;
  };
  const all = (name: "rate" | "connections", least: number): readonly number[] =>
    textOf(name)
      ?.split(",")
      .map((text) => numberOf(name, text, least)) ?? defaults[name];
  const one = (name: "rounds" | "seconds" | "slices" | "warm", least: number): number => {
    const text = textOf(name);
    return text === undefined ? defaults[name] : numberOf(name, text, least);
  };
  const only = textOf("only")?.split(",") ?? defaults.only;
  for (const name of only) {
    if (!command.choices.includes(name))
      throw new UsageError(`--only: there is no ${JSON.stringify(name)}; there are ${command.choices.join(", ")}`);
  }
  const engine = textOf("transport") ?? defaults.transport;
  const transport = TRANSPORTS.find((known) => known === engine);
  if (transport === undefined) throw new UsageError(`--transport: expected ${TRANSPORTS.join(" or ")}, got ${JSON.stringify(engine)}`);
  return {
    only,
    transport,
    rate: all("rate", 0),
    connections: all("connections", 1),
    rounds: one("rounds", 1),
    seconds: one("seconds", 0.2),
    slices: one("slices", 1),
    warm: one("warm", 0),
    json: values.has("json"),
  };
}

function numberOf(name: Name, text: string, least: number): number {
  const value = text === "" ? Number.NaN : Number(text);
  if (value >= least) return value;
  throw new UsageError(`--${name}: expected a number of at least ${least}, got ${JSON.stringify(text)}`);
}

/** Runs a command: help and mistakes to the right place, exit code 2 for wrong usage and 1 for failures. */
export async function runCommand(command: Command): Promise<void> {
  try {
    const options = parseOptions(command);
    if (options === undefined) process.stdout.write(usageOf(command));
    else await command.run(options);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError) process.stderr.write(`\n${usageOf(command)}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/** Progress: on a terminal or not, it never mixes with the result. */
export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

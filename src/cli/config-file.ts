import { existsSync } from "node:fs";
import type { Config } from "../config/config.ts";
import type { Problem } from "../config/problem.ts";
import { InvalidFile, WrongUsage } from "./failed.ts";
import { printable } from "./output.ts";

const DEFAULT_FILE = "crossfade.yaml";

export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly Problem[];
}

/** The file of `--config`, else crossfade.yaml of this folder. */
export function chooseConfigFile(option: string | undefined): string {
  if (option !== undefined) return option;
  if (existsSync(DEFAULT_FILE)) return DEFAULT_FILE;
  throw new WrongUsage(`Say which configuration file with --config FILE: there is no ${DEFAULT_FILE} in ${process.cwd()}.`);
}

/** Throws {@link InvalidFile} with every problem of the file. */
export async function readConfigFile(file: string): Promise<LoadedConfig> {
  // Loaded when needed: most commands read no file, and a schema takes longer to build than they take to run.
  const { formatProblems, loadConfig } = await import("../config/parse.ts");
  const loaded = await loadConfig(file);
  if ("config" in loaded) return loaded;
  const { problems } = loaded;
  const lines = formatProblems(file, problems).split("\n").map(printable);
  throw new InvalidFile(lines.join("\n"), { file, valid: false, problems });
}

export async function readConfig(file: string): Promise<Config> {
  return (await readConfigFile(file)).config;
}

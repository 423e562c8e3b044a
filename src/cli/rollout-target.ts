import { readFile } from "node:fs/promises";
import { type ClientOptions, chooseFlag, chooseTarget } from "./client-options.ts";
import { Failed, WrongUsage } from "./failed.ts";

/** `/api/rollout/FLAG` of the flag that is meant. */
export async function rolloutPath(options: ClientOptions): Promise<string> {
  const path = await chooseFlag(await chooseTarget(options), options.flag);
  return path.replace("/api/flags/", "/api/rollout/");
}

export async function readPlan(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (code === "ENOENT") throw new WrongUsage(`There is no file ${file}; examples are in config/plans/.`);
    throw new Failed(`${file} cannot be read: ${code}`);
  }
}

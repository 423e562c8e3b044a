import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Reading } from "./scalars.ts";

/** What the meaning of a file depends on besides its own text and the environment. */
export interface Surroundings {
  /** The text of another file that this one names; what is wrong is said in words that follow its name. */
  readonly readFile: (name: string) => Reading<string>;
  /** The absolute path of a file that is named. */
  readonly pathOf?: (name: string) => string;
  /** Milliseconds since 1970, by which certificates are valid or not. */
  readonly now: number;
}

/** A text that stands in no folder can name no other file. */
export const NOWHERE: Surroundings = {
  readFile: () => ({ wrong: "cannot be read, since this configuration does not come from a file" }),
  now: 0,
};

/** No certificate is as large, and what is no regular file might never end. */
const LARGEST = 1_048_576;

/** The surroundings of a configuration file: names in it are relative to its folder. Each file is read once, so that what was checked is what is used. */
export function surroundingsOf(file: string, now: number): Surroundings {
  const folder = dirname(file);
  const known = new Map<string, Reading<string>>();
  return {
    now,
    pathOf: (name) => resolve(folder, name),
    readFile(name) {
      const path = resolve(folder, name);
      const reading = known.get(path) ?? readWhole(path);
      known.set(path, reading);
      return reading;
    },
  };
}

function readWhole(path: string): Reading<string> {
  try {
    const found = statSync(path);
    if (!found.isFile()) return { wrong: "is not a file" };
    if (found.size > LARGEST) return { wrong: "is larger than 1 MiB" };
    return { value: readFileSync(path, "latin1") };
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    return { wrong: unreadable(path, String(code)) };
  }
}

function unreadable(path: string, code: string): string {
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return `does not exist (looked for ${path}; a path is relative to the folder of the configuration file)`;
    case "EACCES":
    case "EPERM":
      return `may not be read by this user (${path}); change its owner or mode`;
    default:
      return `cannot be read (${path}: ${code})`;
  }
}

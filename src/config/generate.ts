import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { jsonSchemaText, referenceText } from "./reference.ts";

/** Writes what is generated from the schema; with `--check` it only says, by its exit code, whether the files are current. */
const FILES: Readonly<Record<string, () => string>> = {
  "docs/configuration.md": referenceText,
  "config/crossfade.schema.json": jsonSchemaText,
};

const root = new URL("../../", import.meta.url);
const check = process.argv.includes("--check");

for (const [name, generate] of Object.entries(FILES)) {
  const file = fileURLToPath(new URL(name, root));
  if (!check) writeFileSync(file, generate());
  else if (current(file) !== generate()) {
    process.stderr.write(`${name} is not current; run: node src/config/generate.ts\n`);
    process.exitCode = 1;
  }
}

function current(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

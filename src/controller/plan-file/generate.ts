import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { planReferenceText } from "./reference.ts";

/** Writes docs/plans.md from the schema; with `--check` it only says, by its exit code, whether it is current. */
const NAME = "docs/plans.md";
const file = fileURLToPath(new URL(`../../../${NAME}`, import.meta.url));

if (!process.argv.includes("--check")) writeFileSync(file, planReferenceText());
else if (current() !== planReferenceText()) {
  process.stderr.write(`${NAME} is not current; run: node src/controller/plan-file/generate.ts\n`);
  process.exitCode = 1;
}

function current(): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { boardText } from "./dashboard.ts";
import { DATA } from "./data.ts";
import { EXECUTIVE } from "./executive.ts";
import { SECURITY } from "./security.ts";
import { WAR_ROOM } from "./war-room.ts";

/** Writes the dashboards; with `--check` it only says, by its exit code, whether they are current. */
const FOLDER = "config/grafana/dashboards";
const root = new URL("../../", import.meta.url);
const check = process.argv.includes("--check");

for (const board of [EXECUTIVE, WAR_ROOM, DATA, SECURITY]) {
  const name = `${FOLDER}/${board.uid}.json`;
  const file = fileURLToPath(new URL(name, root));
  const text = boardText(board);
  if (!check) writeFileSync(file, text);
  else if (current(file) !== text) {
    process.stderr.write(`${name} is not current; run: node src/monitoring/generate.ts\n`);
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

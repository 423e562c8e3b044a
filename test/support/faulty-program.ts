import { readFile } from "node:fs/promises";
import { runServe } from "../../src/app/serve.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { openLines } from "../../src/telemetry/line-writer.ts";
import { configOf } from "./app.ts";

/** The program as `crossfade serve --config FILE` runs it, but with workers that do the harm they are asked for. */
process.exitCode = await runServe({
  config: configOf(await readFile(process.argv[4] ?? "", "utf8")),
  log: createLog("info", { log: "control" }, openLines()),
  version: "0.0.0",
  workerModule: new URL("./faulty-worker.ts", import.meta.url),
  terminal: undefined,
});
process.exit();

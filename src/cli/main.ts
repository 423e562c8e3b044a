#!/usr/bin/env node
import { versionProblem } from "./node-version.ts";

const problem = versionProblem(process.versions.node, process.execPath);
if (problem === undefined) {
  // A reader that has seen enough, such as `head`, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  const { run } = await import("./program.ts");
  process.exitCode = await run(process.argv.slice(2));
} else {
  console.error(problem);
  process.exitCode = 1;
}

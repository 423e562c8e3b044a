import { run } from "../../src/cli/program.ts";

/** The program, whose control thread fails when it gets SIGUSR2. */
process.on("SIGUSR2", () => {
  throw new Error("the control thread failed in a test");
});
await run(process.argv.slice(2));

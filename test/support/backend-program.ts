import { startBackend } from "./backend.ts";

/** A backend in a process of its own, so that it can be killed. Writes its origin. */
const { origin } = await startBackend({ teardown() {} }, "new");
process.stdout.write(`${origin}\n`);

import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { startBackend } from "./backend.ts";
import { Load } from "./load.ts";

/**
 * A backend and its clients on a thread of their own, for tests that keep the main thread busy. Says the backend's origin, is
 * told the proxy's port, and counts answered and lost requests in the two words of `workerData`.
 */
if (parentPort === null || !(workerData instanceof SharedArrayBuffer)) throw new Error("not started as it should be");
const words = new Int32Array(workerData);
const backend = await startBackend({ teardown() {} }, "old");
parentPort.postMessage(backend.origin);
const [port]: number[] = await once(parentPort, "message");
const load = new Load(port ?? 0, { connections: 4, perSecond: 100 }).start();
setInterval(() => {
  Atomics.store(words, 0, load.answered);
  Atomics.store(words, 1, load.lost.length);
}, 5);

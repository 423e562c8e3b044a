import { parentPort } from "node:worker_threads";
import { createProxy } from "../proxy/proxy.ts";
import { createTransport } from "../transport/create.ts";
import { runWorker } from "./run-worker.ts";

/** Entry of a data worker's thread. */
if (parentPort === null) throw new Error("this file is the program of a worker thread: start crossfade with `crossfade serve`");
runWorker(parentPort, { createTransport, createProxy });

import { parentPort } from "node:worker_threads";
import { runWorker } from "../../src/app/run-worker.ts";
import { createProxy } from "../../src/proxy/proxy.ts";
import { createTransport } from "../../src/transport/create.ts";

/** A worker that dies a moment after it has begun to serve, every time. */
if (parentPort === null) throw new Error("not a worker thread");
const { postMessage } = parentPort;

parentPort.postMessage = (message, ...rest) => {
  postMessage.call(parentPort, message, ...rest);
  if (message.kind === "listening") {
    setTimeout(() => {
      throw new Error("died young");
    }, 20);
  }
};

runWorker(parentPort, { createTransport, createProxy });

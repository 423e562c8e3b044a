import { parentPort } from "node:worker_threads";
import { runWorker } from "../../src/app/run-worker.ts";
import { createProxy } from "../../src/proxy/proxy.ts";
import { createTransport } from "../../src/transport/create.ts";

/** A worker that claims a key as soon as it serves, and dies of the answer. */
if (parentPort === null) throw new Error("not a worker thread");
const { postMessage } = parentPort;

parentPort.postMessage = (message, ...rest) => {
  postMessage.call(parentPort, message, ...rest);
  if (message.kind === "listening") {
    postMessage.call(parentPort, { kind: "claim", id: 1, scope: "match\0me", key: "k", fingerprint: "f" });
  }
};
parentPort.on("message", (message) => {
  if (message.kind === "claimed") throw new Error(`the key is ${message.claim.kind}`);
});

runWorker(parentPort, { createTransport, createProxy });

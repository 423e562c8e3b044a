import { parentPort, threadId } from "node:worker_threads";
import { runWorker } from "../../src/app/run-worker.ts";
import { fieldLine } from "../../src/http/head.ts";
import { createProxy } from "../../src/proxy/proxy.ts";
import { createTransport } from "../../src/transport/create.ts";
import type { AnswerHead, Downstream } from "../../src/transport/transport.ts";

/**
 * The real worker, which says in each answer which thread gave it, and does what the header `x-test-fault` of a request
 * tells it, in a turn of its own of the event loop.
 */
if (parentPort === null) throw new Error("not a worker thread");

runWorker(parentPort, {
  createTransport,
  createProxy(options) {
    const proxy = createProxy(options);
    return {
      get observed() {
        return proxy.observed;
      },
      apply: (states) => proxy.apply(states),
      stopObserving: () => proxy.stopObserving(),
      accept: {
        malformed: (failure, detail) => proxy.accept.malformed(failure, detail),
        request(downstream) {
          setImmediate(misbehave, downstream.head.get("x-test-fault"));
          sign(downstream);
          return proxy.accept.request(downstream);
        },
      },
    };
  },
});

function sign(downstream: Downstream): void {
  const signed = (head: AnswerHead): AnswerHead => ({
    ...head,
    edits: { ...head.edits, set: head.edits.set + fieldLine("x-test-thread", String(threadId)) },
  });
  const respond = downstream.respond.bind(downstream);
  const start = downstream.start.bind(downstream);
  downstream.respond = (head, body, trailers) => respond(signed(head), body, trailers);
  downstream.start = (head) => start(signed(head));
}

function misbehave(fault: string | undefined): void {
  switch (fault) {
    case "throw":
      throw new Error("a fault of the test");
    case "heap":
      for (const hoard: unknown[] = []; ;) hoard.push(Array.from({ length: 1_000 }, (_, i) => ({ i })));
    case "spin":
      for (;;);
    case "block":
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      break;
    default:
      break;
  }
}

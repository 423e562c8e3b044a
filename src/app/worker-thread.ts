import { Worker } from "node:worker_threads";
import type { FromWorker, ToWorker } from "./protocol.ts";

/**
 * Of objects that have just been made. Node ends a thread that has reached its limit with 16 MiB to spare for the objects that then move into the
 * old generation; left to itself V8 makes room for three times as many new ones as that, and one full heap then aborts the whole process.
 */
const YOUNG_MB = 24;

export interface ThreadListener {
  onMessage(message: FromWorker): void;
  /** The thread ended, or is about to, without having been asked. Called once at most, never after `terminate`. */
  onFailure(reason: string): void;
}

/** One thread, seen from the control side: its listener may change, when a spare one is put to work. */
export class WorkerThread {
  /** Resolves when the thread has ended and none of its code can run any more. */
  readonly exited: Promise<void>;
  readonly #worker: Worker;
  #listener: ThreadListener;
  #over = false;

  constructor(module: URL, heapMb: number, listener: ThreadListener) {
    this.#listener = listener;
    // Without the control thread's own --import and the like: a replacement must start quickly.
    const resourceLimits = { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: YOUNG_MB };
    this.#worker = new Worker(module, { name: "crossfade", execArgv: [], resourceLimits });
    this.#worker.on("message", (message: FromWorker) => {
      if (!this.#over) this.#listener.onMessage(message);
    });
    this.#worker.on("error", (error) => this.#fail(reasonOf(error, heapMb)));
    this.#worker.on("messageerror", (error) => this.#fail(`sent what cannot be read: ${error.message}`));
    this.exited = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        this.#fail(`ended by itself with code ${code}`);
        resolve();
      });
    });
  }

  listen(listener: ThreadListener): void {
    this.#listener = listener;
  }

  send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  /** Ends the thread wherever it is, in an endless loop too. The listener hears nothing more. */
  terminate(): Promise<void> {
    this.#over = true;
    void this.#worker.terminate();
    return this.exited;
  }

  #fail(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.onFailure(reason);
  }
}

function reasonOf(error: unknown, heapMb: number): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  if ("code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY") return `used up its heap of ${heapMb} MiB`;
  return `threw ${error.stack ?? error.message}`;
}

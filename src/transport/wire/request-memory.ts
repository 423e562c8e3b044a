import { RawRequest } from "../../http/raw-request.ts";

/** Enough for nearly every request with its body; larger ones get memory of their own. */
const BYTES = 8_192;
/** As much is kept for later, however many connections were busy at one time. */
const MOST_FREE = 1_024;

/** Where a request lies from its first byte until it is answered, so that it can be sent again. An idle connection has none. */
export class RequestMemory {
  readonly bytes = Buffer.allocUnsafeSlow(BYTES);
  readonly head = new RawRequest();
}

/** The last given back is the first taken again, while it is still in the processor's caches. */
export class RequestMemoryPool {
  readonly #free: RequestMemory[] = [];

  take(): RequestMemory {
    return this.#free.pop() ?? new RequestMemory();
  }

  give(memory: RequestMemory): void {
    memory.head.reset();
    if (this.#free.length < MOST_FREE) this.#free.push(memory);
  }
}

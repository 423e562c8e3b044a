import type { Config } from "../config/config.ts";
import { boardLength, HEALTHY, UNHEALTHY, UNKNOWN } from "../transport/endpoints.ts";

/**
 * What workers know of endpoints beyond what they see themselves, and what they count of them: every worker reads it with each choice
 * of an endpoint, so that what a check finds counts from the next request on. Endpoints are numbered through all upstreams, in the
 * configuration's order.
 */
export class EndpointBoard {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(config: Config) {
    this.buffer = new SharedArrayBuffer(boardLength(config) * Int32Array.BYTES_PER_ELEMENT);
    this.#words = new Int32Array(this.buffer);
  }

  /** `healthy` is undefined where nothing is known yet. */
  setHealth(endpoint: number, healthy: boolean | undefined): void {
    Atomics.store(this.#words, endpoint, healthy === undefined ? UNKNOWN : healthy ? HEALTHY : UNHEALTHY);
  }

  /** How often workers, dead or alive, have ejected the endpoint. */
  ejections(endpoint: number): number {
    return Atomics.load(this.#words, this.#words.length / 2 + endpoint);
  }
}

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Limits } from "../../config/config.ts";
import { Deadline, type Deadlines, type Expiring } from "../../core/deadlines.ts";

type BodyFailure = "body-too-large" | "request-timeout" | "bad-request";

/**
 * Reads a request body under its limits: whole, to be kept, or as a stream that an upstream reads. Silence counts against the
 * client only while we are the ones who wait.
 */
export class BodyReader implements Expiring {
  readonly #req: IncomingMessage;
  readonly #limits: Limits;
  readonly #deadlines: Deadlines;
  readonly #fail: (failure: BodyFailure) => void;
  /** Set while the client waits for leave to send. */
  #continuation: ServerResponse | undefined;
  readonly #deadline = new Deadline(this);
  #read = 0;
  /** When bytes last came; 0 before the first. */
  lastAt = 0;
  #waitingSince = 0;
  #watching = false;
  #chunks: Buffer[] = [];
  #limit = 0;
  #kept: ((bytes: Buffer | undefined) => void) | undefined;

  constructor(
    req: IncomingMessage,
    limits: Limits,
    deadlines: Deadlines,
    continuation: ServerResponse | undefined,
    fail: (failure: BodyFailure) => void,
  ) {
    this.#req = req;
    this.#limits = limits;
    this.#deadlines = deadlines;
    this.#continuation = continuation;
    this.#fail = fail;
  }

  /** Keeps the body up to `limit` bytes; calls back with all of it, or with undefined when it is longer and was put back. */
  keep(limit: number, done: (bytes: Buffer | undefined) => void): void {
    const length = Number(this.#req.headers["content-length"] ?? 0);
    if (length > limit) {
      done(undefined);
      return;
    }
    this.#limit = limit;
    this.#kept = done;
    this.watch();
    this.#req.on("data", this.#onKeptData);
    this.#req.on("end", this.#onKeptEnd);
  }

  /** Counts and times the body from now on. Attach before, or in the same turn as, whoever consumes it. */
  watch(): void {
    this.#continuation?.writeContinue();
    this.#continuation = undefined;
    if (this.#watching) return;
    this.#watching = true;
    this.#waitingSince = performance.now();
    this.#req.on("data", this.#onData);
    this.#req.once("end", () => this.stop());
    if (this.#limits.bodyTimeoutMs > 0) this.#deadlines.set(this.#deadline, this.#limits.bodyTimeoutMs);
  }

  stop(): void {
    this.#deadlines.clear(this.#deadline);
    this.#req.off("data", this.#onData);
  }

  expired(now: number): void {
    const limit = this.#limits.bodyTimeoutMs;
    const silent = this.#req.readableFlowing === true ? now - this.#waitingSince : 0;
    if (silent >= limit) {
      this.#detach();
      this.#fail("request-timeout");
    } else this.#deadlines.set(this.#deadline, limit - silent, now);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#read += chunk.length;
    this.lastAt = this.#waitingSince = performance.now();
    if (this.#limits.bodyBytes > 0 && this.#read > this.#limits.bodyBytes) {
      this.#detach();
      this.stop();
      this.#fail("body-too-large");
    }
  };

  readonly #onKeptData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    if (this.#read <= this.#limit) return;
    const done = this.#kept;
    this.#detach();
    this.#req.off("data", this.#onData);
    this.#watching = false;
    // What was read goes back in front: the stream is whole again for whoever sends it.
    this.#req.pause();
    for (const put of this.#chunks.reverse()) this.#req.unshift(put);
    this.#chunks = [];
    this.#read = 0;
    done?.(undefined);
  };

  readonly #onKeptEnd = (): void => {
    const done = this.#kept;
    this.#detach();
    const [only] = this.#chunks;
    const bytes = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks);
    this.#chunks = [];
    done?.(bytes);
  };

  #detach(): void {
    this.#kept = undefined;
    this.#req.off("data", this.#onKeptData);
    this.#req.off("end", this.#onKeptEnd);
  }
}

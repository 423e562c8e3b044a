import { createHash } from "node:crypto";
import { describeFault, storeAddress } from "./faults.ts";
import { type AnswerStore, type Claim, type ClaimRequest, NOT_KEPT, SCOPE_SEPARATOR, type Settlement, UNDER_WAY } from "./keyed-answers.ts";
import { AnswersConnection, type AnswersConnectionOptions } from "./keyed-answers-connection.ts";
import { SparseLog } from "./keyed-answers-log.ts";
import { CLAIM, FREE, KEEP, RENEW } from "./keyed-answers-scripts.ts";
import { answerKey, DEFAULT_PREFIX } from "./keys.ts";
import type { StoreLog } from "./log.ts";

interface RedisAnswersOptions extends Omit<AnswersConnectionOptions, "onUp"> {
  /** How long an answer is remembered. */
  readonly ttlMs: number;
  readonly log: StoreLog;
  readonly prefix?: string;
  /**
   * How long a claim outlives the program that made it; while that lives it is renewed. Also how long an answer waits for a server that is away.
   * Default: 60 s.
   */
  readonly leaseMs?: number;
}

/** Most that answers which wait for the server may take, in bytes and in number. */
const WAITING_BYTES = 16 * 1_048_576;
const WAITING_ANSWERS = 10_000;
/** How long `close` waits for the last answers to be written. */
const CLOSING_MS = 500;

/** Keys and answers in Redis, for every program that shares it. */
export function createRedisAnswers(options: RedisAnswersOptions): AnswerStore {
  return new RedisAnswers(options);
}

/** A claim until Redis has heard how it ended. */
interface Open {
  readonly token: string;
  readonly name: string;
  readonly fingerprint: string;
  /** What is to be written, and when it was known; until then the claim is renewed. */
  ending: { readonly settlement: Settlement; readonly at: number } | undefined;
  writing: boolean;
}

class RedisAnswers implements AnswerStore {
  readonly #prefix: string;
  readonly #ttlMs: number;
  readonly #leaseMs: number;
  readonly #address: string;
  readonly #log: SparseLog;
  readonly #connection: AnswersConnection;
  readonly #renewing: NodeJS.Timeout;
  readonly #open = new Map<string, Open>();
  /** Of those that have ended. */
  #waiting = { bytes: 0, count: 0 };
  /** Called when nothing waits to be written any more. */
  #onWritten: (() => void) | undefined;

  constructor({ store, instance, ttlMs, log, prefix = DEFAULT_PREFIX, leaseMs = 60_000 }: RedisAnswersOptions) {
    this.#prefix = prefix;
    this.#ttlMs = ttlMs;
    this.#leaseMs = leaseMs;
    this.#address = storeAddress(store);
    this.#log = new SparseLog(log);
    this.#connection = new AnswersConnection({ store, instance, onUp: () => this.#catchUp() });
    this.#renewing = setInterval(() => this.#catchUp(), leaseMs / 3);
  }

  async claim({ token, scope, key, fingerprint }: ClaimRequest): Promise<Claim> {
    const digest = createHash("sha256").update(`${scope}\0${key}`).digest("hex");
    const name = answerKey(this.#prefix, scope.split(SCOPE_SEPARATOR, 1)[0] ?? "", digest);
    const open: Open = { token, name, fingerprint, ending: undefined, writing: false };
    this.#open.set(token, open);
    try {
      const claim = parseClaim(await this.#connection.run(CLAIM, name, [token, fingerprint, this.#leaseMs]));
      if (claim.kind !== "new") this.#forget(open);
      // Settled and written while the answer to the claim was on its way; the script had to be sent twice.
      else if (!this.#open.has(token)) void this.#connection.run(FREE, name, [token]).catch(() => {});
      return claim;
    } catch (error) {
      // It stays open: what is served is written when the server is back.
      this.#warn(error, "requests with an idempotency key go to their own arm alone");
      return { kind: "unavailable" };
    }
  }

  settle(token: string, settlement: Settlement): void {
    const open = this.#open.get(token);
    if (open === undefined || open.ending !== undefined) return;
    open.ending = { settlement, at: performance.now() };
    this.#waiting.bytes += sizeOf(settlement);
    this.#waiting.count++;
    void this.#write(open, settlement);
    this.#bound();
  }

  async close(): Promise<void> {
    clearInterval(this.#renewing);
    if (this.#waiting.count > 0 && this.#connection.up) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onWritten = resolve;
      const timer = setTimeout(resolve, CLOSING_MS);
      await promise;
      clearTimeout(timer);
    }
    await this.#connection.close();
  }

  /** Writes what could not be written, and renews what is still under way. */
  #catchUp(): void {
    const now = performance.now();
    for (const open of this.#open.values()) {
      const { ending } = open;
      if (ending === undefined) {
        // One that fails is tried again in time: the lease is three times as long.
        if (this.#connection.up) void this.#connection.run(RENEW, open.name, [open.token, open.fingerprint, this.#leaseMs]).catch(() => {});
      } else if (now - ending.at > this.#leaseMs) this.#forget(open);
      else if (!open.writing) void this.#write(open, ending.settlement);
    }
  }

  async #write(open: Open, settlement: Settlement): Promise<void> {
    open.writing = true;
    try {
      if (settlement.kind === "free") await this.#connection.run(FREE, open.name, [open.token]);
      else await this.#connection.run(KEEP, open.name, [open.token, open.fingerprint, this.#ttlMs, settlement.kind, ...encode(settlement)]);
      this.#forget(open);
    } catch (error) {
      this.#warn(error, "what became of an idempotency key is not written yet");
    } finally {
      open.writing = false;
    }
  }

  #forget(open: Open): void {
    if (!this.#open.delete(open.token) || open.ending === undefined) return;
    this.#waiting.bytes -= sizeOf(open.ending.settlement);
    this.#waiting.count--;
    if (this.#waiting.count === 0) this.#onWritten?.();
  }

  /** Gives up the oldest answers that wait, their bodies first: that something was served takes little room. */
  #bound(): void {
    if (this.#waiting.bytes <= WAITING_BYTES && this.#waiting.count <= WAITING_ANSWERS) return;
    for (const open of this.#open.values()) {
      const { ending } = open;
      if (ending === undefined) continue;
      if (this.#waiting.count > WAITING_ANSWERS) this.#forget(open);
      else if (this.#waiting.bytes > WAITING_BYTES) {
        this.#waiting.bytes -= sizeOf(ending.settlement);
        open.ending = { settlement: { kind: ending.settlement.kind === "free" ? "free" : "unkept" }, at: ending.at };
      } else return;
    }
  }

  #warn(error: unknown, consequence: string): void {
    this.#log.warn({ err: error }, `${describeFault(error, this.#address)} Meanwhile ${consequence}.`);
  }
}

const NOTHING = Buffer.alloc(0);

/** Head and body as Redis holds them. */
function encode(settlement: Exclude<Settlement, { readonly kind: "free" }>): readonly (string | Buffer)[] {
  if (settlement.kind === "unkept") return ["", NOTHING];
  const { body, ...head } = settlement.answer;
  return [JSON.stringify(head), Buffer.from(body.buffer, body.byteOffset, body.byteLength)];
}

function sizeOf(settlement: Settlement): number {
  return settlement.kind === "kept" ? settlement.answer.body.byteLength : 0;
}

/** What is no answer of CLAIM throws: the key was written by somebody else. */
function parseClaim(reply: unknown): Claim {
  const [kind, head, body] = Array.isArray(reply) ? reply.map((part: unknown) => part) : [];
  switch (String(kind)) {
    case "new":
      return { kind: "new" };
    case "mismatch":
      return { kind: "mismatch" };
    case "busy":
      return { kind: "busy", detail: UNDER_WAY };
    case "unkept":
      return { kind: "busy", detail: NOT_KEPT };
    case "kept":
      return { kind: "kept", answer: { ...parseHead(String(head)), body: Buffer.isBuffer(body) ? new Uint8Array(body) : NOTHING } };
    default:
      throw new Error(`a key that holds an answer has an unknown state: ${String(kind)}`);
  }
}

function parseHead(text: string): { readonly status: number; readonly fields: readonly string[]; readonly servedBy: string } {
  const head: unknown = JSON.parse(text);
  if (typeof head !== "object" || head === null) throw new Error("the head of a kept answer is no object");
  const { status, fields, servedBy } = head as Record<string, unknown>; // JSON has no other objects
  if (typeof status !== "number" || !Array.isArray(fields)) throw new Error("the head of a kept answer lacks its status or fields");
  return { status, fields: fields.map(String), servedBy: String(servedBy) };
}

import { type AnswerStore, type Claim, type ClaimRequest, NOT_KEPT, type Settlement, UNDER_WAY } from "./keyed-answers.ts";
import { SparseLog } from "./keyed-answers-log.ts";
import type { StoreLog } from "./log.ts";

interface MemoryAnswersOptions {
  /** How long an answer is remembered. */
  readonly ttlMs: number;
  readonly log: StoreLog;
  /** Most memory for answers; those not asked for longest make room. Default: 64 MiB. */
  readonly bytes?: number;
  /** Milliseconds from any origin. */
  readonly now?: () => number;
}

/** What an entry costs beside its texts and its body, about. */
const ENTRY_BYTES = 512;

/** Keys and answers of one program alone; lost with it. */
export function createMemoryAnswers(options: MemoryAnswersOptions): AnswerStore {
  return new MemoryAnswers(options);
}

interface Settled {
  readonly fingerprint: string;
  readonly settlement: Exclude<Settlement, { readonly kind: "free" }>;
  readonly bytes: number;
  readonly until: number;
}

class MemoryAnswers implements AnswerStore {
  readonly #ttlMs: number;
  readonly #limit: number;
  readonly #now: () => number;
  readonly #log: SparseLog;
  /** What each open claim is about. There are no more of them than requests, so nothing bounds them. */
  readonly #claims = new Map<string, { readonly name: string; readonly fingerprint: string }>();
  /** Fingerprints of open claims by name. */
  readonly #busy = new Map<string, string>();
  /** By name; the least recently used first. */
  readonly #settled = new Map<string, Settled>();
  #bytes = 0;

  constructor({ ttlMs, log, bytes = 64 * 1_048_576, now = () => performance.now() }: MemoryAnswersOptions) {
    this.#ttlMs = ttlMs;
    this.#limit = bytes;
    this.#now = now;
    this.#log = new SparseLog(log, now);
  }

  async claim({ token, scope, key, fingerprint }: ClaimRequest): Promise<Claim> {
    const name = `${scope}\0${key}`;
    const busy = this.#busy.get(name);
    if (busy !== undefined) return busy === fingerprint ? { kind: "busy", detail: UNDER_WAY } : { kind: "mismatch" };
    const settled = this.#settled.get(name);
    if (settled !== undefined) {
      this.#remove(name, settled);
      if (settled.until > this.#now()) {
        this.#add(name, settled);
        if (settled.fingerprint !== fingerprint) return { kind: "mismatch" };
        return settled.settlement.kind === "kept" ? settled.settlement : { kind: "busy", detail: NOT_KEPT };
      }
    }
    this.#claims.set(token, { name, fingerprint });
    this.#busy.set(name, fingerprint);
    return { kind: "new" };
  }

  settle(token: string, settlement: Settlement): void {
    const claim = this.#claims.get(token);
    if (claim === undefined) return;
    const { name, fingerprint } = claim;
    this.#claims.delete(token);
    this.#busy.delete(name);
    if (settlement.kind === "free") return;
    const bytes = ENTRY_BYTES + 2 * (name.length + fingerprint.length) + (settlement.kind === "kept" ? sizeOf(settlement.answer) : 0);
    this.#add(name, { fingerprint, settlement, bytes, until: this.#now() + this.#ttlMs });
    this.#makeRoom();
  }

  async close(): Promise<void> {
    this.#claims.clear();
    this.#busy.clear();
    this.#settled.clear();
    this.#bytes = 0;
  }

  #add(name: string, settled: Settled): void {
    this.#settled.set(name, settled);
    this.#bytes += settled.bytes;
  }

  #remove(name: string, settled: Settled): void {
    this.#settled.delete(name);
    this.#bytes -= settled.bytes;
  }

  /** Gives up what has run out, as far as it stands in front, and what there is no room for. */
  #makeRoom(): void {
    const now = this.#now();
    for (const [name, settled] of this.#settled) {
      const lapsed = settled.until <= now;
      if (!lapsed && this.#bytes <= this.#limit) return;
      this.#remove(name, settled);
      if (!lapsed) {
        const message = `answers kept under idempotency keys fill ${this.#limit} bytes: the oldest are forgotten before their time; a store in Redis holds more`;
        this.#log.warn({ bytes: this.#bytes }, message);
      }
    }
  }
}

function sizeOf({ fields, body }: { readonly fields: readonly string[]; readonly body: Uint8Array }): number {
  let bytes = body.byteLength;
  for (const text of fields) bytes += 2 * text.length;
  return bytes;
}

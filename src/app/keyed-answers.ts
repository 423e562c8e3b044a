import { randomUUID } from "node:crypto";
import type { KeyedAnswers } from "../proxy/keyed-answers.ts";
import { type AnswerStore, type Claim, type KeptAnswer, LARGEST_ANSWER, type Settlement, UNDER_WAY } from "../store/keyed-answers.ts";
import type { KeyQuestion, ToWorker } from "./protocol.ts";

/** How long a request waits for word of its key. */
const PATIENCE_MS = 250;

interface Asked {
  readonly id: number;
  readonly fingerprint: string;
  /** Who waits for word of it, and until when; undefined once they have it. */
  waiting: { readonly done: (claim: Claim) => void; readonly timer: NodeJS.Timeout } | undefined;
}

/** The worker's side: asks the control thread, which alone knows what other workers and instances do. */
export class AskedAnswers implements KeyedAnswers {
  readonly #say: (question: KeyQuestion, transfer: readonly ArrayBuffer[]) => void;
  readonly #patienceMs: number;
  /** Requests under way, by scope and key. */
  readonly #open = new Map<string, Asked>();
  readonly #names = new Map<number, string>();
  #asked = 0;

  /** `say` posts to the control thread, giving away the memory named. */
  constructor(say: (question: KeyQuestion, transfer: readonly ArrayBuffer[]) => void, patienceMs = PATIENCE_MS) {
    this.#say = say;
    this.#patienceMs = patienceMs;
  }

  claim(scope: string, key: string, fingerprint: string, done: (claim: Claim) => void): void {
    const name = nameOf(scope, key);
    const known = this.#open.get(name);
    if (known !== undefined) {
      done(known.fingerprint === fingerprint ? { kind: "busy", detail: UNDER_WAY } : { kind: "mismatch" });
      return;
    }
    const id = ++this.#asked;
    // It stays open after that: whatever is served is told all the same, and may be written yet.
    const timer = setTimeout(() => this.#answer(asked, { kind: "unavailable" }), this.#patienceMs);
    const asked: Asked = { id, fingerprint, waiting: { done, timer } };
    this.#open.set(name, asked);
    this.#names.set(id, name);
    this.#say({ kind: "claim", id, scope, key, fingerprint }, []);
  }

  settle(scope: string, key: string, answer: KeptAnswer | undefined): void {
    const name = nameOf(scope, key);
    const asked = this.#open.get(name);
    if (asked === undefined) return;
    clearTimeout(asked.waiting?.timer);
    this.#forget(asked.id, name);
    const settlement = settlementOf(answer);
    this.#say({ kind: "settle", id: asked.id, settlement }, settlement.kind === "kept" ? [settlement.answer.body.buffer] : []);
  }

  /** The control thread's word on a claim. */
  claimed(id: number, claim: Claim): void {
    const name = this.#names.get(id);
    const asked = name === undefined ? undefined : this.#open.get(name);
    if (name === undefined || asked?.waiting === undefined) return;
    if (claim.kind !== "new" && claim.kind !== "unavailable") this.#forget(id, name);
    this.#answer(asked, claim);
  }

  #answer(asked: Asked, claim: Claim): void {
    const { waiting } = asked;
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    asked.waiting = undefined;
    waiting.done(claim);
  }

  #forget(id: number, name: string): void {
    this.#names.delete(id);
    this.#open.delete(name);
  }
}

function nameOf(scope: string, key: string): string {
  return `${scope}\0${key}`;
}

type Told =
  | Exclude<Settlement, { kind: "kept" }>
  | { readonly kind: "kept"; readonly answer: KeptAnswer & { readonly body: Uint8Array<ArrayBuffer> } };

/** With a copy of the body: it may lie in memory that is used again, or be a small part of much more. */
function settlementOf(answer: KeptAnswer | undefined): Told {
  if (answer === undefined) return { kind: "free" };
  const { status, fields, body, servedBy } = answer;
  if (body.byteLength > LARGEST_ANSWER) return { kind: "unkept" };
  try {
    return { kind: "kept", answer: { status, fields, body: new Uint8Array(body), servedBy } };
  } catch {
    return { kind: "unkept" }; // No memory for the copy: what is being served must not fail for that.
  }
}

/** A worker, as far as it is to be answered. */
interface Asker {
  send(message: ToWorker): void;
}

/** The control side: asks the store for the workers, and knows which claims a worker leaves behind. */
export class AnswerDesk {
  readonly #store: AnswerStore;
  /** Tokens of a worker's claims that are not settled, by the worker's number for them. */
  readonly #claims = new Map<Asker, Map<number, string>>();

  constructor(store: AnswerStore) {
    this.#store = store;
  }

  receive(worker: Asker, question: KeyQuestion): void {
    const claims = this.#claimsOf(worker);
    if (question.kind === "settle") {
      const token = claims.get(question.id);
      claims.delete(question.id);
      if (token !== undefined) this.#store.settle(token, question.settlement);
      return;
    }
    const { id, scope, key, fingerprint } = question;
    const token = randomUUID();
    claims.set(id, token);
    void this.#store.claim({ token, scope, key, fingerprint }).then((claim) => {
      if (claim.kind !== "new" && claim.kind !== "unavailable") claims.delete(id);
      worker.send({ kind: "claimed", id, claim });
    });
  }

  /** A worker has ended: nobody will settle what it had claimed. */
  left(worker: Asker): void {
    for (const token of this.#claims.get(worker)?.values() ?? []) this.#store.settle(token, { kind: "free" });
    this.#claims.delete(worker);
  }

  #claimsOf(worker: Asker): Map<number, string> {
    const known = this.#claims.get(worker);
    if (known !== undefined) return known;
    const claims = new Map<number, string>();
    this.#claims.set(worker, claims);
    return claims;
  }
}

import { forwardedFields, HOP_BY_HOP, type HeadEdits, type ResponseHead } from "../http/head.ts";
import { type Claim, fingerprintOf, isFinal, keyOf, type KeptAnswer, scopeOf } from "./keyed-answers.ts";
import { LARGEST_ANSWER } from "../store/keyed-answers.ts";
import type { Exchange } from "./exchange.ts";

/** Speaks of one answer on its way, not of what is remembered. */
const NOT_KEPT: HeadEdits = {
  drop: new Set(["content-length", "server-timing", "date", "x-request-id", "age", ...HOP_BY_HOP]),
  dropPrefix: "x-crossfade-",
  set: "",
};

/** Stands for a body that is longer than any that is kept. */
const TOO_LONG = new Uint8Array(LARGEST_ANSWER + 1);

/** The key under which a request's answer is to be remembered: on routes whose requests may not be repeated otherwise. */
export function idempotencyKeyOf({ route, context, downstream }: Exchange): string | undefined {
  if (route === undefined || route.idempotent || route.action.kind !== "split" || context.keyedAnswers === undefined) return undefined;
  const field = downstream.head.get("idempotency-key");
  return field === undefined ? undefined : keyOf(field);
}

/** The one claim of a request to its key, until it is settled. */
export class KeyClaim {
  readonly #exchange: Exchange;
  readonly #key: string;
  readonly #scope: string;
  /** Asked for, or granted; whoever lets go of it says so. */
  #held = false;

  constructor(exchange: Exchange, key: string) {
    const { route, identity, downstream } = exchange;
    this.#exchange = exchange;
    this.#key = key;
    // Whoever has just been given a name will have another one, or none, when the same request comes again.
    const user = identity?.setCookie === undefined ? (identity?.key ?? "") : "";
    this.#scope = scopeOf(route?.name ?? "", user, downstream.head.get("authorization") ?? "");
  }

  /** Asks for the key; `proceed` follows when the request is the first under it, or nobody can say. */
  ask(proceed: () => void): void {
    const { context, downstream } = this.#exchange;
    const { head, body } = downstream;
    this.#held = true;
    const fingerprint = fingerprintOf(head.method, head.target, body.kind === "kept" ? body.bytes : undefined);
    context.keyedAnswers?.claim(this.#scope, this.#key, fingerprint, (claim) => this.#onClaim(claim, proceed));
  }

  /** Remembers the answer that the client is given, if it is the last word; else the key is free again. */
  settle(head: ResponseHead | undefined, status: number, body: Uint8Array, servedBy: string): void {
    if (!this.#held) return;
    this.#held = false;
    const answer: KeptAnswer | undefined =
      head !== undefined && isFinal(status) ? { status, fields: forwardedFields(head.fields, NOT_KEPT), body, servedBy } : undefined;
    this.#exchange.context.keyedAnswers?.settle(this.#scope, this.#key, answer);
  }

  /** The client is given an answer that is too long to be held, and so to be kept. */
  pass(head: ResponseHead, status: number, servedBy: string): void {
    this.settle(head, status, TOO_LONG, servedBy);
  }

  /** Nothing was answered that must be kept. */
  free(): void {
    this.settle(undefined, 0, new Uint8Array(0), "");
  }

  #onClaim(claim: Claim, proceed: () => void): void {
    const exchange = this.#exchange;
    this.#held = claim.kind === "new" || claim.kind === "unavailable";
    if (exchange.ended || exchange.answered) return this.free();
    switch (claim.kind) {
      case "new":
        exchange.mayRepeat = true;
        return proceed();
      case "unavailable":
        // It goes to one arm alone, as without a key.
        return proceed();
      case "kept":
        return exchange.replay(claim.answer);
      case "busy":
        return exchange.fail("key-busy", claim.detail ?? "a request with this key is still under way");
      case "mismatch":
        return exchange.fail("key-reused", "");
    }
  }
}

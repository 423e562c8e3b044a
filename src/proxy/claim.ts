import { forwardedFields, HOP_BY_HOP, type HeadEdits, type ResponseHead } from "../http/head.ts";
import { type Claim, fingerprintOf, isFinal, keyOf, type KeptAnswer, scopeOf } from "./keyed-answers.ts";
import { LARGEST_ANSWER } from "../store/keyed-answers.ts";
import type { Exchange } from "./exchange.ts";
import { OF_THE_BYTES } from "./respond.ts";

/** Speaks of one answer on its way, not of what is remembered. */
const NOT_KEPT: HeadEdits = {
  drop: new Set(["content-length", "server-timing", "date", "x-request-id", "x-service-version", "age", ...HOP_BY_HOP]),
  dropPrefix: "x-crossfade-",
  set: "",
};

/** Of an answer whose body is another one now. */
const NOT_KEPT_TRANSLATED: HeadEdits = { ...NOT_KEPT, drop: new Set([...NOT_KEPT.drop, ...OF_THE_BYTES]) };

/** Stands for a body that is longer than any that is kept. */
const TOO_LONG = new Uint8Array(LARGEST_ANSWER + 1);

/** The key under which a request's answer is to be remembered: on routes whose requests may not be repeated otherwise. */
export function idempotencyKeyOf({ route, context, downstream, identity }: Exchange): string | undefined {
  if (route === undefined || route.idempotent || route.action.kind !== "split" || context.keyedAnswers === undefined) return undefined;
  // A name that was given just now is another one when the request comes again, and everybody without one would share their keys.
  const isKnown = identity?.key !== undefined && identity.setCookie === undefined;
  if (!isKnown && !downstream.head.has("authorization")) return undefined;
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

  /**
   * Remembers the answer that the client is given, if it is the last word; else the key is free again. `body` is undefined where it is too long to
   * be kept.
   */
  settle(head: ResponseHead | undefined, status: number, body: Uint8Array | undefined, servedBy: string, isTranslated = false): void {
    if (!this.#held) return;
    this.#held = false;
    let answer: KeptAnswer | undefined;
    if (head !== undefined && isFinal(status)) {
      const fields = forwardedFields(head.fields, isTranslated ? NOT_KEPT_TRANSLATED : NOT_KEPT);
      if (isTranslated) fields.push("Content-Type", "application/json");
      answer = { status, fields, body: body ?? TOO_LONG, servedBy };
    }
    this.#exchange.context.keyedAnswers?.settle(this.#scope, this.#key, answer);
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

/** What is known when an attempt has failed without an answer. */
export interface FailedAttempt {
  /** `connect-failed` proves that nothing was sent. */
  readonly kind: "connect-failed" | "reset" | "bad-answer";
  /** It used a connection that had served before, and broke before any byte of an answer: most likely closed while idle. */
  readonly reuseRace: boolean;
}

export interface Means {
  /** The route declares that a request may be processed twice. */
  readonly idempotent: boolean;
  /** The body can be sent again: there is none, it is kept, or none of it has been read. */
  readonly replayable: boolean;
}

/**
 * Whether the request may be sent a second time at all, to whomever: when the first attempt provably did nothing, or when doing it
 * twice does no harm.
 */
export function maySendAgain(failed: FailedAttempt, means: Means): boolean {
  if (!means.replayable) return false;
  return failed.kind === "connect-failed" || means.idempotent;
}

/**
 * Whether the same upstream deserves another try before anybody else is asked: it was not reached and has other endpoints left,
 * or it closed an idle connection just as we reused it, which says nothing about its health.
 */
export function mayRetry(failed: FailedAttempt, means: Means, retries: { readonly done: number; readonly endpoints: number }): boolean {
  if (!maySendAgain(failed, means)) return false;
  if (failed.kind === "connect-failed") return retries.done < retries.endpoints - 1;
  return failed.reuseRace && retries.done < 1;
}

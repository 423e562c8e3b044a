import type { AttemptKind, Outcome } from "../core/words.ts";
import type { CallFailure } from "../transport/transport.ts";
import type { Attempt } from "./attempt.ts";
import type { Context } from "./context.ts";
import type { Destination } from "./routes.ts";
import type { Said } from "./said.ts";

/** What is sent to whom, and why. */
export interface Send {
  readonly to: Destination;
  readonly said: Said;
  readonly kind: AttemptKind;
  readonly again?: Attempt;
  /** On a connection that has not been used before. */
  readonly fresh?: boolean;
}

/** What an attempt tells the exchange it belongs to. */
export interface AttemptOwner {
  readonly context: Context;
  readonly routeIndex: number;
  readonly segment: number;
  readonly method: string;
  readonly floorBp: number;
  /** A copy of the answer is wanted, also where it is passed on as it comes. */
  readonly keepsAnswer: boolean;
  /** The client gets an answer, so no other is needed. */
  readonly answered: boolean;
  attemptInformed(attempt: Attempt, status: number, fields: readonly string[]): void;
  /** The head of an answer that is passed on as it comes. */
  attemptStarted(attempt: Attempt): void;
  /** An answer too long to be held back. False: it is not wanted any more. */
  attemptOverflowed(attempt: Attempt): boolean;
  attemptData(attempt: Attempt, chunk: Uint8Array): void;
  attemptEnded(attempt: Attempt): void;
  attemptFailed(attempt: Attempt, failure: CallFailure): void;
  /** It is over, otherwise than by a failure of its own; before any of the others that say so. */
  attemptClosed(attempt: Attempt, outcome: Outcome): void;
  /** The attempt has used up the time the route gives the candidate. */
  attemptLate(attempt: Attempt): void;
}

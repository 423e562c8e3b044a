import type { AssignedArm } from "../../core/words.ts";
import type { SignalKind } from "../business.ts";

/** What an event says of the answer that somebody got. */
export type Said =
  | { readonly type: "match"; readonly confirmed: boolean }
  /** 0..1 */
  | { readonly type: "rating"; readonly ratio: number }
  | { readonly type: "conversion" }
  | { readonly type: "revenue"; readonly amount: number };

/** What another system reports of itself; the value in the unit of {@link SignalKind}. */
export interface Reported {
  readonly type: SignalKind;
  readonly value: number;
  readonly note: string;
}

export interface EventHead {
  /** What the event is known by: the same for one that is sent again. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** One of the two names whose it is; both: the request is asked first. */
export interface UserEvent extends EventHead {
  readonly kind: "user";
  readonly user: string | undefined;
  readonly requestId: string | undefined;
  readonly segment: string | undefined;
  readonly served: AssignedArm | undefined;
  readonly said: Said;
}

export interface SignalEvent extends EventHead {
  readonly kind: "signal";
  readonly reported: Reported;
}

export type BusinessEvent = UserEvent | SignalEvent;

export interface Refusal {
  /** Place in the batch, from 0; undefined: the batch as a whole. */
  readonly index: number | undefined;
  readonly kind: "invalid" | "late" | "future" | "unattributed";
  readonly field: string;
  /** As it was sent, shortened. */
  readonly value: string;
  /** What was wrong and what would be right. */
  readonly message: string;
}

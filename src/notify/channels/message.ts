import type { Delivery, Notice } from "../notice.ts";
import type { Outcome } from "../state.ts";
import type { Words } from "../words.ts";

/** What goes to a channel, in the words of the channel's language. */
export interface Message {
  /** Of the delivery: the same in every try, on whichever instance, so that receivers can tell a repetition. Letters, digits, `.`, `_` and `-`. */
  readonly id: string;
  readonly words: Words;
  readonly notice: Notice;
  readonly delivery: Pick<Delivery, "part" | "index" | "tries">;
  /** Where it can be acknowledged; undefined: by command alone. */
  readonly link: string | undefined;
  /** When it is sent, epoch milliseconds. */
  readonly at: number;
}

/** `remark`: it went out, but not quite as it should. */
export type Sent = Outcome & { readonly remark?: string };

/** Sends one message once. Never rejects; ends within the channel's time limit, or soon after `signal`. */
export type Send = (message: Message, signal: AbortSignal) => Promise<Sent>;

import type { Notice, NoticesView } from "./notice.ts";

/** What people may ask of notices and do about them, on any instance. */
export interface NoticeOperations {
  /** As it was last known here; no await. With a flag: what is about it, or about no flag. */
  view(flag?: string): NoticesView;
  /** Looks again, so that `view` is up to date. Never rejects: without a store what is known stays. */
  refresh(): Promise<void>;
  /**
   * Stops reminders and escalations of a notice. Who came first stays: the notice that is returned says who. Throws `Refused` for one that is not
   * known or is over, `StoreUnavailable` where it cannot be kept.
   */
  acknowledge(id: string, by: { readonly who: string; readonly reason: string }, via: Via): Promise<Notice>;
  /** Sends a message to one channel at once, beside everything else. Throws `Refused` for a channel that is not known. */
  test(channel: string, by: string): Promise<TestResult>;
  /** What a link says, if it is one of ours. */
  checkLink(id: string, query: URLSearchParams): Promise<LinkCheck>;
}

export type Via = NonNullable<Notice["acknowledged"]>["via"];

export interface TestResult {
  readonly channel: string;
  readonly ok: boolean;
  /** What went wrong, or what was remarkable; no secret of the channel's. */
  readonly detail: string;
  readonly ms: number;
}

export type LinkCheck =
  /** `by`: the channel that it was sent to. */
  | { readonly kind: "good"; readonly by: string; readonly notice: Notice; readonly subject: string }
  /** It was ours. */
  | { readonly kind: "expired" }
  | { readonly kind: "wrong" };

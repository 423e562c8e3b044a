import type { Answer, Call, FileAnswer, StreamAnswer } from "./call.ts";

export type AnyAnswer = Answer | FileAnswer | StreamAnswer;

/** One thing that the admin API answers. */
export interface AdminRoute {
  readonly method: "GET" | "PATCH" | "POST";
  /** `{name}` stands for one segment of the path; the call has it under that name. */
  readonly path: string;
  /**
   * true: for probes, answered without a token, and whatever the Host header says. "page": without a token; but where there is none, to this
   * machine's own names only, as everything else.
   */
  readonly open: boolean | "page";
  readonly about: string;
  /** Longest body in bytes; 64 KiB unless given. */
  readonly bodyBytes?: number;
  /** Longest that an answer may take; that of others unless given. */
  readonly timeoutMs?: number;
  /** Changes nothing that viewers would have to be shown before the next second. */
  readonly quiet?: boolean;
  /** Only for clients whose Accept names text/html; comes before a route of the same path without it. */
  readonly html?: boolean;
  readonly handle: (call: Call) => AnyAnswer | Promise<AnyAnswer>;
}

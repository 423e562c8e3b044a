import type { Answer, Call } from "./call.ts";

/** One thing that the admin API answers. */
export interface AdminRoute {
  readonly method: "GET" | "PATCH" | "POST";
  /** `{flag}` stands for one segment of the path. */
  readonly path: string;
  /** For probes: answered without a token, and whatever the Host header says. */
  readonly open: boolean;
  readonly about: string;
  /** Longest body in bytes; 64 KiB unless given. */
  readonly bodyBytes?: number;
  /** Longest that an answer may take; that of others unless given. */
  readonly timeoutMs?: number;
  readonly handle: (call: Call) => Answer | Promise<Answer>;
}

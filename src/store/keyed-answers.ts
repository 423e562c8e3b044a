/** An answer that was served once and is given again to whoever repeats the request under the same key. */
export interface KeptAnswer {
  readonly status: number;
  /** Name, value, name, value … as the client got them, without those of one connection, our own X-Crossfade-* and Server-Timing. */
  readonly fields: readonly string[];
  readonly body: Uint8Array;
  /** Name of the upstream that gave it. */
  readonly servedBy: string;
}

/** What is known of a key. */
export type Claim =
  /** Nobody has used it: it is the caller's until it settles it. */
  | { readonly kind: "new" }
  | { readonly kind: "kept"; readonly answer: KeptAnswer }
  /** The first request is under way, or its answer was too long to be kept: `detail` says which. */
  | { readonly kind: "busy"; readonly detail?: string }
  /** It was used for another request. */
  | { readonly kind: "mismatch" }
  /** Nobody can say. */
  | { readonly kind: "unavailable" };

/** What becomes of a key at the end. `unkept`: an answer was served that is too long to be kept. `free`: as if the key had never been used. */
export type Settlement = { readonly kind: "kept"; readonly answer: KeptAnswer } | { readonly kind: "unkept" } | { readonly kind: "free" };

export interface ClaimRequest {
  /** Says whose the claim is: unlike any other's, in any process. */
  readonly token: string;
  readonly scope: string;
  readonly key: string;
  readonly fingerprint: string;
}

/** Where keys and their answers are held. */
export interface AnswerStore {
  /** Never rejects. After `new` and `unavailable` the token is to be settled, once; after the others it is forgotten. */
  claim(request: ClaimRequest): Promise<Claim>;
  /** Never throws. A token that is not known (any more) is nobody's loss. */
  settle(token: string, settlement: Settlement): void;
  close(): Promise<void>;
}

/** Longest body of an answer that is kept, in bytes. */
export const LARGEST_ANSWER = 1_048_576;

export const UNDER_WAY = "a request with this key is still under way";
export const NOT_KEPT = "the request with this key was answered, and the answer was too long to be kept";

/** The part of a scope that may be shown: see `scopeOf`. */
export const SCOPE_SEPARATOR = "\0";

import { createHash } from "node:crypto";
import type { DocumentView, View } from "./view.ts";

/** Larger ones are refused: every instance reads a new one within a second, and each write keeps the server busy meanwhile. */
export const MOST_DOCUMENT_BYTES = 1_048_576;

/** A rollout's document, or one beside the rollouts, as this instance holds it. */
export interface HeldDocument {
  /** Grows with every write; no two texts have the same, but after a loss of data, and then only until that is noticed. */
  readonly version: number;
  /** Number of the lease under which it was written, or that was the last one handed out when a person wrote it; 0: there was none. */
  readonly fence: number;
  readonly text: string;
  readonly digest: string;
  /** The count of revisions (see `Held.history`) beside which it stood. */
  readonly history: string;
}

export function digestOf(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}

/** What tells one document from another; the scripts compare it. Empty: there is none. */
export function identOf(document: Pick<HeldDocument, "version" | "fence" | "digest"> | DocumentView | undefined): string {
  return document === undefined || !("version" in document) ? "" : `${document.version}:${document.fence}:${document.digest}`;
}

export type DocumentStep =
  /** What is held is what the store has, or there is nothing. */
  | { readonly kind: "agree" }
  /** The store's is to be held. */
  | { readonly kind: "take"; readonly document: HeldDocument }
  /** The store has lost one: this is to be written in the place of what it has. */
  | { readonly kind: "restore"; readonly document: HeldDocument; readonly why: string };

/**
 * Of two documents the higher version is the newer one. Two of one version were written on both sides of a failover that lost the one: the
 * store's stays, for it is that of the settings there, and gets a number of its own, or whoever knows the lost one by the number would take
 * the one for the other. A store that was begun anew, and has a document, is believed.
 */
export function reconcile(
  held: HeldDocument | undefined,
  stored: DocumentView,
  history: string,
  what = "the rollout's document",
): DocumentStep {
  if (stored.kind === "other") return { kind: "agree" };
  if (stored.kind === "none") {
    return held === undefined ? { kind: "agree" } : { kind: "restore", document: held, why: `the store had lost ${what}` };
  }
  if (identOf(held) === identOf(stored)) return { kind: "agree" };
  const found = { version: stored.version, fence: stored.fence, digest: stored.digest, text: stored.text ?? "", history };
  const anew = held !== undefined && held.history !== "" && history !== "" && held.history !== history;
  if (held === undefined || anew || stored.version > held.version) return { kind: "take", document: found };
  if (stored.version < held.version) {
    const why = `the store had fallen back to version ${stored.version} of ${what}`;
    return { kind: "restore", document: held, why };
  }
  const version = stored.version + 1;
  const why = `the store had lost another version ${stored.version} of ${what}; the one that stands there is version ${version} now`;
  return { kind: "restore", document: { ...found, version }, why };
}

/** What is held after a look at the store; what is to be written back stays until it is. */
export function documentAfter(
  held: HeldDocument | undefined,
  { document, history }: Pick<View, "document" | "history">,
): HeldDocument | undefined {
  const step = reconcile(held, document, history);
  if (step.kind === "take") return step.document;
  const stale = step.kind === "agree" && document.kind === "document" && held !== undefined && held.history !== history;
  return stale ? { ...held, history } : held;
}

import type { Outliers } from "../config/config.ts";

/**
 * Whether an endpoint that goes on failing is left alone.
 *
 * in     asked like any other; so many failures in a row put it out
 * out    ejected until an instant, then asked again at the next opportunity
 * trial  that is being done: one request finds out, and until it is known no other is sent
 *
 * A trial that begins well lets the others in again; only an answer that ends well makes everything before it forgotten, so that one
 * who begins each answer and then breaks it off is found out too.
 */
export type Standing =
  | { readonly kind: "in"; readonly failures: number; readonly ejections: number }
  | { readonly kind: "out"; readonly until: number; readonly ejections: number }
  | { readonly kind: "trial"; readonly ejections: number };

/** Nothing is held against it. */
export const BLAMELESS: Standing = { kind: "in", failures: 0, ejections: 0 };

/** An endpoint that is ejected again and again is ejected for at most so many times the first length. */
export const LONGEST_FACTOR = 10;

/** Whether a request may be sent to it at `now`, in milliseconds on any steady clock. */
export function isFit(standing: Standing, now: number): boolean {
  return standing.kind === "in" || (standing.kind === "out" && now >= standing.until);
}

/** A request is sent. */
export function afterSend(standing: Standing, now: number): Standing {
  return standing.kind === "out" && now >= standing.until ? { kind: "trial", ejections: standing.ejections } : standing;
}

/** An answer has begun that is no failure so far. */
export function afterBeginning(standing: Standing, { consecutive }: Outliers): Standing {
  // The next failure is the last one again.
  return standing.kind === "trial" ? { kind: "in", failures: consecutive - 1, ejections: standing.ejections } : standing;
}

/** A request failed. `mayEject`: not too many others are out. */
export function afterFailure(standing: Standing, rules: Outliers, now: number, mayEject: boolean): Standing {
  // It was asked all the same, for there was nobody else.
  if (standing.kind === "out") return standing;
  const failures = standing.kind === "in" ? standing.failures + 1 : rules.consecutive;
  if (failures < rules.consecutive || !mayEject) return { kind: "in", failures, ejections: standing.ejections };
  const ejections = standing.ejections + 1;
  return { kind: "out", until: now + rules.ejectedForMs * Math.min(ejections, LONGEST_FACTOR), ejections };
}

/** A request ended without saying anything of the endpoint: its client left, say. */
export function afterNothing(standing: Standing, now: number): Standing {
  return standing.kind === "trial" ? { kind: "out", until: now, ejections: standing.ejections } : standing;
}

/** How many of so many endpoints may be out at a time. */
export function mostEjected({ mostEjectedBp }: Outliers, endpoints: number): number {
  return Math.floor((endpoints * mostEjectedBp) / 10_000);
}

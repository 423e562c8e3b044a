/**
 * once: for a single look at data of which the amount was not chosen by looking · always: holds at every look at once, however often and
 * for however long one looks while the data grow.
 */
export type Look = "once" | "always";

/** What data say of a true value. */
export interface Estimate {
  /** Undefined without data. */
  readonly value: number | undefined;
  /** The true value is below with a probability of at most the risk; -Infinity (or the least possible value) where nothing is known. */
  readonly low: number;
  /** The true value is above with a probability of at most the risk; Infinity (or the greatest possible value) where nothing is known. */
  readonly high: number;
}

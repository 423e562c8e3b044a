import type { Judged, VerdictWord } from "../analysis/check.ts";
import { type FieldWrites, type InForce, percentageOf, shareText } from "./fields.ts";
import type { Plan } from "./plan.ts";
import type { Rollout } from "./rollout.ts";

/** What the leader saw just now. */
export interface Seen {
  /** Of the present step. */
  readonly triggers: readonly Judged[];
  readonly gates: readonly Judged[];
  readonly webhooks: readonly { readonly name: string; readonly verdict: VerdictWord; readonly why: string }[];
  readonly calendar: { readonly open: boolean; readonly why: string; readonly opensAt: number | undefined };
  readonly inForce: InForce;
  /** Age of the newest figures, ms; undefined: there are none. */
  readonly figuresAgeMs: number | undefined;
  /** Of the stable arm, just now; undefined: it could not be asked. */
  readonly stable: { readonly healthy: boolean; readonly detail: string } | undefined;
  /** Over both arms. */
  readonly requestsPerSecond: number | undefined;
  /** The instance that looks. */
  readonly self: string;
  /** Instances heard of lately, this one too; undefined: not known. */
  readonly alive: readonly string[] | undefined;
  /** How long each hook may take, milliseconds, by name, as far as this instance knows it. */
  readonly hookLimits: Readonly<Record<string, number>>;
  /** This instance's clock less the store's, ms; undefined: not known. */
  readonly clockOffMs: number | undefined;
  /** Instances that serve and of which no figures come. */
  readonly silent: readonly string[];
}

/** What to do. `reasons` say for people why the rollout is where it is, or why it moves. */
export type Next =
  | { readonly kind: "stay"; readonly reasons: readonly string[] }
  /** Document, settings and audit in one stroke. `fields` undefined: no setting changes. */
  | {
      readonly kind: "write";
      readonly rollout: Rollout;
      readonly fields: FieldWrites | undefined;
      /** As in {@link Transition}. */
      readonly raises: boolean;
      readonly who: string;
      readonly reason: string;
      readonly reasons: readonly string[];
    }
  /** Write `rollout`, in which the hook is marked as running, then run it, then write what `hookEnded` makes of the result. */
  | { readonly kind: "hook"; readonly rollout: Rollout; readonly index: number; readonly reasons: readonly string[] };

/** A change of the document, the settings that belong to it, and what the audit says of it. */
export interface Transition {
  readonly rollout: Rollout;
  readonly fields: FieldWrites | undefined;
  /** Whether the fields can put more users on the candidate: then they are written over the revision that was seen and no other. */
  readonly raises: boolean;
  readonly reason: string;
}

/** Name under which the program acts by itself. */
export const ITSELF = "crossfade";
/** The audit keeps a reason with every change: long enough for the figures of a dozen checks. */
const MOST_REASON = 2_000;

export function written({ rollout, fields, raises, reason }: Transition, reasons: readonly string[]): Next {
  return { kind: "write", rollout, fields, raises, who: ITSELF, reason: clipped(reason), reasons };
}

export function staying(...reasons: readonly string[]): Next {
  return { kind: "stay", reasons };
}

export function clipped(text: string): string {
  return text.length <= MOST_REASON ? text : `${text.slice(0, MOST_REASON - 2).toWellFormed()} …`;
}

/** `business (25 %)` */
export function stepText(plan: Plan, step: number): string {
  return `${plan.steps[step]?.name ?? "no step"} (${shareText(percentageOf(plan, step))})`;
}

const LENGTHS: readonly (readonly [unit: string, seconds: number])[] = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
];

/** A length for people, in its two largest units: `3d 4h`, `59s`. */
export function lengthText(ms: number): string {
  let rest = Math.ceil(Math.max(0, ms) / 1_000);
  const parts: string[] = [];
  for (const [unit, seconds] of LENGTHS) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.length === 0 ? "0s" : parts.slice(0, 2).join(" ");
}

/** An instant for people; the number itself where it is no date. */
export function instantText(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}

import type { FlagView } from "../admin/flag-view.ts";
import type { FlagStatus, Receipt, Status } from "../admin/operations.ts";
import type { Explanation } from "../rollout/explain.ts";
import { Failed } from "./failed.ts";

// The answers come from an admin API of the same version, so each is known by a few of its members and not checked
// leaf by leaf: these casts are the place where that is assumed.

export function parseReceipt(value: unknown): Receipt {
  if (has(value, "revision", "number") && Array.isArray(value.acknowledged) && Array.isArray(value.missing))
    return value as unknown as Receipt;
  throw foreign("a receipt");
}

export function parseFlagView(value: unknown): FlagView {
  if (has(value, "flag", "string") && has(value, "settings", "object") && has(value, "fields", "object"))
    return value as unknown as FlagView;
  throw foreign("a flag");
}

export function parseFlagList(value: unknown): readonly FlagStatus[] {
  if (has(value, "flags", "object") && Array.isArray(value.flags)) return value.flags as FlagStatus[];
  throw foreign("a list of flags");
}

export function parseExplanation(value: unknown): Explanation {
  if (has(value, "arm", "string") && has(value, "bucket", "number") && has(value, "rule", "string")) return value as unknown as Explanation;
  throw foreign("an explanation");
}

/** Figures without data are null in JSON where the type says NaN; `Number.isFinite` is false for both. */
export function parseStatus(value: unknown): Status {
  if (has(value, "instance", "string") && Array.isArray(value.flags) && Array.isArray(value.traffic)) return value as unknown as Status;
  throw foreign("a status");
}

function has(value: unknown, member: string, type: "string" | "number" | "object"): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && member in value && typeof Reflect.get(value, member) === type;
}

function foreign(what: string): Failed {
  return new Failed(`The answer is not ${what} as this version knows it: is the running crossfade of another version?`);
}

import type { SlaReport, SlaView } from "../sla/sla.ts";
import { Failed } from "./failed.ts";

// As in answers.ts: an answer of the same version is known by a few of its members.

/** Figures without data are null in JSON where the type says NaN; `Number.isFinite` is false for both. */
export function parseSlaView(value: unknown): SlaView {
  if (isView(value)) return value as unknown as SlaView;
  throw foreign("a view of what was promised");
}

export function parseSlaReport(value: unknown): SlaReport {
  if (isView(value) && Array.isArray(value["breaches"])) return value as unknown as SlaReport;
  throw foreign("a report of what was promised");
}

function isView(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && "flag" in value && "rows" in value && Array.isArray(value.rows);
}

function foreign(what: string): Failed {
  return new Failed(`The answer is not ${what} as this version knows it: is the running crossfade of another version?`);
}

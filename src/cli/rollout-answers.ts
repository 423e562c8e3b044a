import { type ExperimentReport, renderExperiment } from "../analysis/experiment.ts";
import type { ActReceipt, FiguresView, RolloutStatus } from "../controller/desk.ts";
import type { DrillReport } from "../controller/drill-report.ts";
import { Failed } from "./failed.ts";

// As in answers.ts: an answer of the same version is known by a few of its members.

export function parseRolloutStatus(value: unknown): RolloutStatus {
  if (hasText(value, "flag")) return value as unknown as RolloutStatus;
  throw foreign("the status of a rollout");
}

export function parseActReceipt(value: unknown): ActReceipt {
  if (hasText(value, "rollout") && hasText(value, "status") && Array.isArray(value["missing"])) return value as unknown as ActReceipt;
  throw foreign("a receipt");
}

export function parseDrillReport(value: unknown): DrillReport {
  if (isRecord(value) && typeof value["ok"] === "boolean") return value as unknown as DrillReport;
  throw foreign("the report of a drill");
}

export function parseFigures(value: unknown): FiguresView {
  if (hasText(value, "span") && Array.isArray(value["rows"])) return value as unknown as FiguresView;
  throw foreign("figures");
}

export function parseExperiment(value: unknown): ExperimentReport {
  if (isRecord(value) && isRecord(value["assigned"]) && isRecord(value["served"])) return value as unknown as ExperimentReport;
  throw foreign("the report of an experiment");
}

/** What JSON has left out or made null is undefined again where the report is put in words. */
export function experimentLines(report: ExperimentReport): string[] {
  return renderExperiment(report);
}

export interface RecordPage {
  readonly entries: readonly { readonly id: string; readonly text: string }[];
}

export function parseRecordPage(value: unknown): RecordPage {
  if (isRecord(value) && Array.isArray(value["entries"])) return value as unknown as RecordPage;
  throw foreign("a record");
}

function hasText(value: unknown, member: string): value is Record<string, unknown> {
  return isRecord(value) && typeof value[member] === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function foreign(what: string): Failed {
  return new Failed(`The answer is not ${what} as this version knows it: is the running crossfade of another version?`);
}

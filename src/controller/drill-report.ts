import { formatDuration } from "../core/quantity.ts";
import type { HookResult } from "./hooks.ts";

/** What a rehearsal of a rollback showed. Plain data; durations in milliseconds. */
export interface DrillReport {
  /** shadow: nobody's arm changed · live: the share was 0 for a while. */
  readonly kind: "shadow" | "live";
  readonly flag: string;
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Everything that was rehearsed worked, within its limits. */
  readonly ok: boolean;
  /** Why not; empty when ok. */
  readonly problems: readonly string[];
  /** What the rollback took, from the write to the end of the last hook, without waiting that only a rehearsal needs. */
  readonly ms: number;
  readonly limitMs: number;
  /** `ms` if every hook that was not rehearsed took all of its time. */
  readonly worstMs: number;
  /** From the write to the last instance's acknowledgement. Undefined: it was not made. */
  readonly trafficMs: number | undefined;
  readonly trafficLimitMs: number;
  readonly phases: readonly DrillPhase[];
  /** Those that acknowledged. */
  readonly instances: readonly string[];
  /** Those that are alive and did not. */
  readonly laggards: readonly string[];
  readonly hooks: readonly DrilledHook[];
  /** Whether the share is what it was before; undefined: it was never touched. */
  readonly putBack: boolean | undefined;
}

export const PHASES = ["stable arm", "traffic", "last request", "hooks", "everything", "put back"] as const;

export interface DrillPhase {
  readonly name: (typeof PHASES)[number];
  /** unknown: it could not be found out · left-out: it did not come to it. */
  readonly status: "ok" | "late" | "failed" | "unknown" | "left-out";
  readonly ms: number | undefined;
  readonly limitMs: number | undefined;
  /** For people; may be empty. */
  readonly detail: string;
}

export interface DrilledHook {
  readonly name: string;
  /** left-out: it did not come to it. */
  readonly status: HookResult["status"] | "not-rehearsed" | "left-out";
  readonly ms: number | undefined;
  readonly limitMs: number;
  readonly detail: string;
}

/** Lines for people. */
export function renderDrill(report: DrillReport): string[] {
  const { kind, flag, ok, ms, limitMs, worstMs, phases, hooks, instances, laggards, problems } = report;
  const rows = [
    ["phase", "took", "limit", "result", ""],
    ...phases.map((phase) => [phase.name, took(phase.ms), limit(phase.limitMs), word(phase.status), line(phase.detail)]),
    ...(hooks.length === 0
      ? []
      : [
          ["", "", "", "", ""],
          ["hook", "took", "limit", "result", ""],
        ]),
    ...hooks.map((hook) => [hook.name, took(hook.ms), limit(hook.limitMs), word(hook.status), line(hook.detail)]),
  ];
  const skipped = hooks.filter(({ status }) => status === "not-rehearsed").length;
  const worst = `${skipped} not rehearsed: up to ${took(worstMs)} with ${skipped === 1 ? "its limit" : "their limits"}`;
  return [
    `${kind} drill of ${flag}: ${ok ? "ok" : "NOT OK"}, ${took(ms)} of ${limit(limitMs)}`,
    "",
    ...aligned(rows),
    "",
    `confirmed by ${instances.length === 0 ? "nobody" : instances.join(", ")}`,
    ...(laggards.length === 0 ? [] : [`not confirmed by ${laggards.join(", ")}`]),
    ...(skipped === 0 ? [] : [worst]),
    ...problems.map((problem) => `! ${problem}`),
  ];
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 1 || column === 2 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

function took(ms: number | undefined): string {
  if (ms === undefined) return "-";
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

function limit(ms: number | undefined): string {
  return ms === undefined ? "-" : formatDuration(ms);
}

function word(status: string): string {
  return status.replaceAll("-", " ");
}

/** The last thing that was said, which is where programs say what went wrong. */
function line(detail: string): string {
  const lines = detail.split("\n").filter((text) => text.trim() !== "");
  const [first = "", last = ""] = [lines[0], lines.length > 1 ? lines.at(-1) : ""];
  return (last === "" ? first : `${first}: ${last.trim()}`).slice(0, 160);
}

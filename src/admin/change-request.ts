import { formatDuration, parseDuration } from "../core/quantity.ts";
import { type Fault, Problem } from "./problem.ts";

/** A change waits so long for its confirmations unless it says otherwise: they come within milliseconds, where all is well. */
const DEFAULT_WAIT_MS = 500;

/** Longest time that a change may wait for its confirmations. */
export const MAX_WAIT_MS = 60_000;
const MAX_REASON = 500;

export interface ChangeRequest {
  /** Values as the store holds them; null removes a field, so that the file's value counts again. */
  readonly fields: Readonly<Record<string, string | null>>;
  readonly reason: string;
  /** 0: do not wait. */
  readonly waitMs: number;
}

export interface KillRequest {
  readonly killed: boolean;
  readonly reason: string;
  readonly waitMs: number;
}

/**
 * The body of a PATCH: `{"fields": {"rollout_percentage": "25"}, "reason": "...", "wait": "2s"}`, or the fields beside
 * `reason` and `wait` without the level of `fields`. Whether the values make sense is the store's to say.
 */
export function parseChange(body: unknown): ChangeRequest {
  const { reason, wait, ...rest } = requireObject(body, '{"fields": {"rollout_percentage": "25"}, "reason": "..."}');
  const faults: Fault[] = [];
  let given = rest;
  if (isObject(rest.fields)) {
    given = rest.fields;
    refuseOthers(rest, ["fields"], "send settings inside `fields`, or all of them without it", faults);
  }
  const fields = Object.entries(given).flatMap(([field, value]): [string, string | null][] => {
    if (value === null || typeof value === "string") return [[field, value]];
    if (typeof value === "number" || typeof value === "boolean") return [[field, String(value)]];
    faults.push(fault(field, value, "is not a string, number, boolean or null; a segment is written `segment.NAME`"));
    return [];
  });
  if (fields.length === 0 && faults.length === 0) {
    throw new Problem(
      "invalid-settings",
      'Nothing to change: `fields` is empty. Send, for example, {"fields": {"rollout_percentage": "25"}}.',
    );
  }
  const request = { fields: Object.fromEntries(fields), reason: parseReason(reason, faults), waitMs: parseWait(wait, faults) };
  refuse(faults);
  return request;
}

/** The body of a kill: `{"killed": false, "reason": "...", "wait": "2s"}`. No body at all means: kill. */
export function parseKill(body: unknown): KillRequest {
  const faults: Fault[] = [];
  const { killed = true, reason, wait, ...rest } = body === undefined ? {} : requireObject(body, '{"killed": true, "reason": "..."}');
  refuseOthers(rest, [], "the members are killed, reason and wait", faults);
  if (typeof killed !== "boolean") faults.push(fault("killed", killed, "is not true or false"));
  const request = { killed: killed === true, reason: parseReason(reason, faults), waitMs: parseWait(wait, faults) };
  refuse(faults);
  return request;
}

export function parseReason(reason: unknown, faults: Fault[]): string {
  if (reason === undefined || reason === null) return "";
  if (typeof reason === "string" && reason.length <= MAX_REASON) return reason.trim();
  faults.push(fault("reason", reason, `is not a text of at most ${MAX_REASON} characters`));
  return "";
}

export function parseWait(wait: unknown, faults: Fault[]): number {
  if (wait === undefined || wait === null) return DEFAULT_WAIT_MS;
  const ms = typeof wait === "string" ? parseDuration(wait) : undefined;
  if (ms !== undefined && ms <= MAX_WAIT_MS) return ms;
  faults.push(fault("wait", wait, `is not a duration of at most ${formatDuration(MAX_WAIT_MS)}, such as "2s"`));
  return 0;
}

export function refuseOthers(given: Readonly<Record<string, unknown>>, known: readonly string[], right: string, faults: Fault[]): void {
  for (const [name, value] of Object.entries(given)) {
    if (!known.includes(name)) faults.push(fault(name, value, `is not understood here: ${right}`));
  }
}

export function refuse(faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  throw new Problem("invalid-settings", `Nothing was changed: ${faults.map((f) => f.message).join("; ")}`, { errors: faults });
}

export function fault(field: string, value: unknown, wrong: string): Fault {
  const shown = JSON.stringify(value).slice(0, 100);
  return { field, value: shown, message: `${field}: ${shown} ${wrong}` };
}

export function requireObject(body: unknown, example: string): Readonly<Record<string, unknown>> {
  if (isObject(body)) return body;
  throw new Problem("malformed-request", `The body must be a JSON object, such as ${example}.`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { parseReason, parseWait, refuse, refuseOthers, requireObject, fault } from "./change-request.ts";
import type { Fault } from "./problem.ts";

/** What the body of an act on a rollout may say; members beside those named to the parser are refused. */
export interface ActRequest {
  readonly reason: string;
  readonly waitMs: number;
  readonly plan: string | undefined;
  readonly role: string | undefined;
  readonly step: string | undefined;
  readonly force: boolean;
  readonly live: boolean;
}

const TEXTS = ["plan", "role", "step"] as const;
const SWITCHES = ["force", "live"] as const;

/** `{"reason": "...", "wait": "2s"}` and the members of `known`. No body at all says nothing. */
export function parseActRequest(body: unknown, known: readonly ((typeof TEXTS)[number] | (typeof SWITCHES)[number])[]): ActRequest {
  const faults: Fault[] = [];
  const given = body === undefined ? {} : requireObject(body, '{"reason": "..."}');
  const { reason, wait, ...rest } = given;
  refuseOthers(rest, known, `the members are ${[...known, "reason", "wait"].join(", ")}`, faults);
  const text = (name: (typeof TEXTS)[number]): string | undefined => {
    const value = rest[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === "string" && value.trim() !== "") return name === "plan" ? value : value.trim();
    if (typeof value === "number" && name === "step") return String(value);
    faults.push(fault(name, value, "is not a text"));
    return undefined;
  };
  const yes = (name: (typeof SWITCHES)[number]): boolean => {
    const value = rest[name] ?? false;
    if (typeof value !== "boolean") faults.push(fault(name, value, "is not true or false"));
    return value === true;
  };
  const request = {
    reason: parseReason(reason, faults),
    waitMs: parseWait(wait, faults),
    plan: text("plan"),
    role: text("role"),
    step: text("step"),
    force: yes("force"),
    live: yes("live"),
  };
  refuse(faults);
  return request;
}

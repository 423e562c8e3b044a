import { STATUS_CODES } from "node:http";
import { isArray, isObject, type Json, type JsonObject } from "./json.ts";

/** An error message longer than this is a page, not a message. */
const MAX_MESSAGE = 1_000;
/** More complaints than this help nobody. */
const MAX_COMPLAINTS = 10;

/** `{"error": "..."}`, as Flask services write it. */
export function writeFlaskError(_status: number, message: string): JsonObject {
  return { error: message };
}

export function readFlaskError(status: number, body: Json | undefined): string {
  return isObject(body) ? (messageAt(body, ["error", "message", "detail"]) ?? standard(status)) : standard(status);
}

/** FastAPI: `{"detail": "..."}`, and a list of complaints where the request itself was wrong. */
export function writeFastApiError(status: number, message: string): JsonObject {
  return { detail: status === 422 ? [{ type: "value_error", loc: ["body"], msg: message }] : message };
}

/** `body.candidate.name: Field required; ...` */
export function readFastApiError(status: number, body: Json | undefined): string {
  if (!isObject(body)) return standard(status);
  const detail = body["detail"];
  if (!isArray(detail)) return messageAt(body, ["detail", "error", "message"]) ?? standard(status);
  const complaints = detail.slice(0, MAX_COMPLAINTS).flatMap((complaint) => {
    if (!isObject(complaint) || typeof complaint["msg"] !== "string") return [];
    const loc = isArray(complaint["loc"]) ? complaint["loc"].filter((part) => typeof part === "string" || typeof part === "number") : [];
    return [loc.length === 0 ? complaint["msg"] : `${loc.join(".")}: ${complaint["msg"]}`];
  });
  return complaints.length === 0 ? standard(status) : cut(complaints.join("; "));
}

function messageAt(body: JsonObject, names: readonly string[]): string | undefined {
  for (const name of names) {
    const message = body[name];
    if (typeof message === "string" && message !== "") return cut(message);
  }
  return undefined;
}

function cut(message: string): string {
  return message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE)}…`;
}

/** What the status itself says, where the body says nothing that can be read. */
function standard(status: number): string {
  return STATUS_CODES[status] ?? `status ${status}`;
}

import { STATUS_CODES } from "node:http";

const STATUSES = 600;
/** As a list: Node's own table is an object, and looking a number up in it takes longer than reading a head. */
const REASONS = Array.from({ length: STATUSES }, (_, status) => STATUS_CODES[status] ?? "");

/** The usual words for a status; empty for one that has none. */
export function usualReason(status: number): string {
  return REASONS[status] ?? "";
}

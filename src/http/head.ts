import { isUtf8 } from "node:buffer";

/** A message head as received. Field names compare without case. */
export interface Head {
  /** First value of a field, or undefined. `name` is in lower case. */
  get(name: string): string | undefined;
  /** Whether a field is there. `name` is in lower case. */
  has(name: string): boolean;
  /** Every value of a field, in order. */
  all(name: string): readonly string[];
  /** All fields as received: name, value, name, value ... */
  readonly fields: readonly string[];
}

export interface RequestHead extends Head {
  readonly method: string;
  /** Origin-form: path and query, as received (an absolute-form target has been taken apart, `*` stays). */
  readonly target: string;
  /** The authority the client asked for; empty where HTTP/1.0 gave none. */
  readonly host: string;
  readonly version: "1.0" | "1.1" | "2.0";
}

export interface ResponseHead extends Head {
  readonly status: number;
  readonly reason: string;
  /** The same head, to be had for as long as anybody likes: one that was lent may lie in memory that is used again. */
  keep(): ResponseHead;
}

/** What is changed in a head on its way through: what is dropped first, then `set` appended. */
export interface HeadEdits {
  /** Names in lower case, with `-` for `_`. Engines prepare for a set once and know it again: it must not change. */
  readonly drop: ReadonlySet<string>;
  /** Names that begin so are dropped too; lower case. */
  readonly dropPrefix: string | undefined;
  /** Lines like those of `set`, in front of them, that are the same for many messages and therefore encoded once. */
  readonly common?: Uint8Array;
  /** Whole lines as they go on the wire, each `Name: value` and CRLF; made by {@link fieldLine}. Empty for none. */
  readonly set: string;
}

/**
 * A line of {@link HeadEdits}. Name and value are ours, or were read by a parser that lets no control character through; what came
 * any other way is checked before.
 */
export function fieldLine(name: string, value: string): string {
  return `${name}: ${value}\r\n`;
}

/** Lines for {@link HeadEdits.common}. */
export function encodeLines(lines: string): Uint8Array {
  return Buffer.from(lines, "latin1");
}

/** Fields that speak of one connection only (RFC 9110, 7.6.1), and the framing, which is written anew. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "http2-settings",
]);

/**
 * The fields to send on: those of `fields` that are not hop-by-hop, not named by Connection and not dropped, then those
 * that are set. Content-Length stays: the sender checks it against what it sends.
 */
export function forwardedFields(fields: readonly string[], edits: HeadEdits): string[] {
  const nominated = nominatedFields(fields);
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const lower = name.toLowerCase();
    // Gateways of the CGI family read `_` as `-`: what may not pass under one spelling may not under the other.
    const plain = lower.includes("_") ? lower.replaceAll("_", "-") : lower;
    if (HOP_BY_HOP.has(plain) || edits.drop.has(plain) || nominated?.has(lower)) continue;
    if (plain !== lower && (plain === "content-length" || plain === "host")) continue;
    if (edits.dropPrefix !== undefined && plain.startsWith(edits.dropPrefix)) continue;
    kept.push(name, fields[i + 1] ?? "");
  }
  if (edits.common !== undefined) appendLines(kept, Buffer.from(edits.common).toString("latin1"));
  appendLines(kept, edits.set);
  return kept;
}

/** Finished lines as name, value, name, value ..., for engines that write heads by fields. */
function appendLines(fields: string[], lines: string): void {
  for (let at = 0; at < lines.length;) {
    const colon = lines.indexOf(": ", at);
    const end = lines.indexOf("\r\n", colon);
    fields.push(lines.slice(at, colon), lines.slice(colon + 2, end));
    at = end + 2;
  }
}

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** A value as text: fields are handed over byte by byte, but who writes beyond ASCII writes UTF-8. */
export function textOf(value: string): string {
  if (isAscii(value)) return value;
  const bytes = Buffer.from(value, "latin1");
  return isUtf8(bytes) ? bytes.toString() : value;
}

/** Names listed in Connection. `close` and `keep-alive` alone, the usual case, cost nothing. */
function nominatedFields(fields: readonly string[]): Set<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    const value = (fields[i + 1] ?? "").toLowerCase();
    if (value === "close" || value === "keep-alive" || value === "upgrade") continue;
    for (const token of value.split(",")) (names ??= new Set()).add(token.trim());
  }
  // Framing is not the sender's to take away from us by naming it.
  names?.delete("content-length");
  names?.delete("host");
  return names;
}

/** A head over a flat list of fields, for engines that have one. */
export class FieldList implements Head {
  readonly fields: readonly string[];

  constructor(fields: readonly string[]) {
    this.fields = fields;
  }

  get(name: string): string | undefined {
    const fields = this.fields;
    for (let i = 0; i + 1 < fields.length; i += 2) if (sameName(fields[i] ?? "", name)) return fields[i + 1];
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  all(name: string): readonly string[] {
    const fields = this.fields;
    const values: string[] = [];
    for (let i = 0; i + 1 < fields.length; i += 2) if (sameName(fields[i] ?? "", name)) values.push(fields[i + 1] ?? "");
    return values;
  }
}

/** Length first: it tells nearly all names apart without a copy in lower case. */
function sameName(name: string, lower: string): boolean {
  return name.length === lower.length && (name === lower || name.toLowerCase() === lower);
}

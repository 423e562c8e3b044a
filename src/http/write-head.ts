import { NameSet, isName, nameOf, plainStartsWith } from "./field-names.ts";
import { forwardedFields, HOP_BY_HOP, type Head, type HeadEdits, type RequestHead } from "./head.ts";
import { CR, LF, SP, STRIDE } from "./raw-fields.ts";
import { RawHead } from "./raw-head.ts";
import { RawRequest } from "./raw-request.ts";
import { usualReason } from "./status.ts";

/** Besides what speaks of one connection only: the length is written anew. */
const NEVER_COPIED: readonly string[] = [...HOP_BY_HOP, "content-length"];

/** Below this a loop is quicker than a call. */
const SHORT = 32;
/** More than start line and framing lines take, apart from the strings in them. */
const LINES = 256;
const COLON = 0x3a;
const ZERO = 0x30;

const HOST = nameOf("host");
const VERSION_LINE = Buffer.from(" HTTP/1.1\r\n");
const CHUNKED_LINE = Buffer.from("Transfer-Encoding: chunked\r\n");
const LENGTH_NAME = Buffer.from("Content-Length: ");
const KEEP_ALIVE_LINE = Buffer.from("Connection: keep-alive\r\n");
const CLOSE_LINE = Buffer.from("Connection: close\r\n");

interface UsualLine {
  readonly reason: string;
  readonly line: Buffer;
}

/** Status lines with the usual words, made when first needed. */
const usualLines: (UsualLine | undefined)[] = Array.from({ length: 600 }, () => undefined);

/** What can be prepared of edits once. */
interface Prepared {
  readonly names: NameSet;
  readonly prefix: Uint8Array | undefined;
  /** The same edits without `set`, for heads that are lists. */
  readonly bare: HeadEdits;
}

const prepared = new WeakMap<ReadonlySet<string>, Prepared>();
/** The two in use: requests and answers take turns. */
let last: Prepared | undefined;
let lastButOne: Prepared | undefined;

/** An upper bound of what a head takes when it is written. `extra`: length of the strings that are given beside it. */
export function headRoom(head: Head | undefined, edits: HeadEdits, extra: number): number {
  let room = LINES + extra + edits.set.length + (edits.common?.length ?? 0);
  if (head instanceof RawHead) return room + (head.end - head.start) + head.count;
  const fields = head?.fields ?? [];
  for (const text of fields) room += text.length + 2;
  return room;
}

/**
 * Writes the head of a request to an endpoint into `out`, which has {@link headRoom} behind `at` and is not what `head` was read from; returns its end.
 * `hostIfNone` is for clients that named no host. Nothing is checked: all strings are ours or were read by a parser that lets no control
 * character through.
 */
export function writeRequestHead(
  out: Buffer,
  at: number,
  head: RequestHead,
  method: string,
  target: string,
  edits: HeadEdits,
  hostIfNone: string,
  framing: "none" | "chunked" | number,
): number {
  let to = writeText(out, at, method);
  out[to++] = SP;
  const raw = head instanceof RawRequest ? head : undefined;
  if (raw?.isRawTarget(target)) to = copy(out, to, raw.bytes, raw.targetStart, raw.targetEnd);
  else to = writeText(out, to, target);
  to = copy(out, to, VERSION_LINE, 0, VERSION_LINE.length);
  const noHost = raw === undefined ? head.host === "" : raw.namesNoHost;
  to = writeFields(out, to, head, edits, noHost);
  if (noHost) to = writeText(out, to, `Host: ${hostIfNone}\r\n`);
  to = writeLines(out, to, edits);
  to = writeFraming(out, to, framing);
  out[to] = CR;
  out[to + 1] = LF;
  return to + 2;
}

/**
 * Writes the head of an answer to a client, as {@link writeRequestHead} does that of a request. Without `reason` the usual words stand.
 * `as-received`: the Content-Length that came, as answers to HEAD and 304 carry it without a body.
 */
export function writeResponseHead(
  out: Buffer,
  at: number,
  version11: boolean,
  status: number,
  reason: string,
  from: Head | undefined,
  edits: HeadEdits,
  framing: "none" | "as-received" | "chunked" | number,
  connection: "keep-alive" | "close" | "",
): number {
  let to = writeStatusLine(out, at, version11, status, reason);
  if (from !== undefined) to = writeFields(out, to, from, edits, false);
  to = writeLines(out, to, edits);
  to = writeFraming(out, to, framing === "as-received" ? receivedLength(from) : framing);
  if (connection === "keep-alive") to = copy(out, to, KEEP_ALIVE_LINE, 0, KEEP_ALIVE_LINE.length);
  else if (connection === "close") to = copy(out, to, CLOSE_LINE, 0, CLOSE_LINE.length);
  out[to] = CR;
  out[to + 1] = LF;
  return to + 2;
}

function writeStatusLine(out: Buffer, at: number, version11: boolean, status: number, reason: string): number {
  const usual = usualLines[status] ?? usualLine(status);
  if (version11 && (reason === "" || reason === usual.reason)) return copy(out, at, usual.line, 0, usual.line.length);
  return writeText(out, at, `HTTP/1.${version11 ? 1 : 0} ${status} ${reason || usual.reason}\r\n`);
}

function usualLine(status: number): UsualLine {
  const reason = usualReason(status);
  const usual = { reason, line: Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n`) };
  if (status < usualLines.length) usualLines[status] = usual;
  return usual;
}

function receivedLength(from: Head | undefined): "none" | number {
  if (from === undefined) return "none";
  const length = from instanceof RawHead ? from.contentLength : Number(from.get("content-length") ?? -1);
  return length >= 0 ? length : "none";
}

function writeFraming(out: Buffer, at: number, framing: "none" | "chunked" | number): number {
  if (framing === "none") return at;
  if (framing === "chunked") return copy(out, at, CHUNKED_LINE, 0, CHUNKED_LINE.length);
  let to = writeNumber(out, copy(out, at, LENGTH_NAME, 0, LENGTH_NAME.length), framing);
  out[to++] = CR;
  out[to++] = LF;
  return to;
}

/** The fields that go on, in their order, as {@link forwardedFields} has them. */
function writeFields(out: Buffer, at: number, head: Head, edits: HeadEdits, noHost: boolean): number {
  const preparedEdits = prepare(edits);
  // Names in Connection are rare beyond the usual ones, and not worth a second way to read them.
  if (!(head instanceof RawHead) || head.nominates) return writeList(out, at, forwardedFields(head.fields, preparedEdits.bare), noHost);
  const { names, prefix } = preparedEdits;
  const { bytes, slots } = head;
  const last = head.count * STRIDE;
  let to = at;
  // Lines that go on as they are, and lie together, are copied together.
  let run = -1;
  for (let slot = 0; slot < last; slot += STRIDE) {
    const line = slots[slot] ?? 0;
    const colon = slots[slot + 1] ?? 0;
    const key = slots[slot + 4] ?? 0;
    const kept =
      !names.has(bytes, line, colon, key) &&
      (prefix === undefined || !plainStartsWith(bytes, line, colon, prefix)) &&
      !(noHost && key === HOST.key && isName(bytes, line, colon, HOST.octets));
    const from = slots[slot + 2] ?? 0;
    const end = slots[slot + 3] ?? 0;
    if (kept && from === colon + 2 && bytes[colon + 1] === SP && (slots[slot + STRIDE] ?? 0) === end + 2) {
      if (run < 0) run = line;
      continue;
    }
    if (run >= 0) to = copy(out, to, bytes, run, line);
    run = -1;
    if (!kept) continue;
    to = copy(out, to, bytes, line, colon);
    out[to++] = COLON;
    out[to++] = SP;
    to = copy(out, to, bytes, from, end);
    out[to++] = CR;
    out[to++] = LF;
  }
  return run < 0 ? to : copy(out, to, bytes, run, slots[last] ?? 0);
}

function writeList(out: Buffer, at: number, fields: readonly string[], noHost: boolean): number {
  let to = at;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const lower = name.toLowerCase();
    if (lower === "content-length" || (noHost && lower === "host")) continue;
    to = writeText(out, to, `${name}: ${fields[i + 1]}\r\n`);
  }
  return to;
}

function prepare({ drop, dropPrefix }: HeadEdits): Prepared {
  if (last !== undefined && last.bare.drop === drop && last.bare.dropPrefix === dropPrefix) return last;
  const before = lastButOne;
  lastButOne = last;
  if (before !== undefined && before.bare.drop === drop && before.bare.dropPrefix === dropPrefix) return (last = before);
  let found = prepared.get(drop);
  if (found === undefined || found.bare.dropPrefix !== dropPrefix) {
    found = {
      names: new NameSet([...NEVER_COPIED, ...drop]),
      prefix: dropPrefix === undefined ? undefined : Buffer.from(dropPrefix, "latin1"),
      bare: { drop, dropPrefix, set: "" },
    };
    prepared.set(drop, found);
  }
  return (last = found);
}

function copy(out: Buffer, at: number, bytes: Buffer, from: number, end: number): number {
  const length = end - from;
  if (length < SHORT) for (let i = 0; i < length; i++) out[at + i] = bytes[from + i] ?? 0;
  else bytes.copy(out, at, from, end);
  return at + length;
}

function writeText(out: Buffer, at: number, text: string): number {
  const length = text.length;
  if (length < SHORT / 2) for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i);
  else out.write(text, at, "latin1");
  return at + length;
}

function writeLines(out: Buffer, at: number, { common, set }: HeadEdits): number {
  if (common === undefined) return writeText(out, at, set);
  out.set(common, at);
  return writeText(out, at + common.length, set);
}

function writeNumber(out: Buffer, at: number, value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const tens = Math.floor(rest / 10);
    out[i] = ZERO + (rest - tens * 10);
    rest = tens;
  }
  return at + digits;
}

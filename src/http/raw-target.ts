import type { RefusalName } from "./refusals.ts";

/** Octets of a request target as Node's parser takes them, and among them those for which the path is looked at again. */
const PLAIN_OCTET = 1;
const PERCENT = 2;
const HASH = 4;
const BACKSLASH = 8;
const DOT = 16;

/** 0: may not stand in a target. The rest are flags, to be joined. */
export const TARGET = new Uint8Array(256).fill(PLAIN_OCTET, 0x21, 0x7f);
TARGET[0x25] = PLAIN_OCTET | PERCENT;
TARGET[0x23] = PLAIN_OCTET | HASH;
TARGET[0x5c] = PLAIN_OCTET | BACKSLASH;
TARGET[0x2e] = PLAIN_OCTET | DOT;

const SLASH = 0x2f;
const QUESTION = 0x3f;
const SEMICOLON = 0x3b;

/** The flags of a target that was made of another. */
export function targetFlags(target: string): number {
  let flags = 0;
  for (let i = 0; i < target.length; i++) flags |= TARGET[target.charCodeAt(i) & 0xff] ?? 0;
  return flags;
}

/**
 * Targets that servers normalise differently: the route we choose must be the one that the backend sees. [start, end) begins with a
 * slash; `flags` are those of its octets.
 */
export function refuseTarget(bytes: Buffer, start: number, end: number, flags: number): RefusalName | undefined {
  if (flags === PLAIN_OCTET) return bytes[start + 1] === SLASH && end - start > 1 ? "double-slash" : undefined;
  if ((flags & HASH) !== 0) return "target-fragment";
  let pathEnd = start;
  while (pathEnd < end && bytes[pathEnd] !== QUESTION) pathEnd++;
  if ((flags & BACKSLASH) !== 0) {
    for (let i = start; i < pathEnd; i++) if (bytes[i] === 0x5c) return "backslash";
  }
  if (pathEnd - start > 1 && bytes[start + 1] === SLASH) return "double-slash";
  if ((flags & PERCENT) !== 0) {
    const escape = refuseEscapes(bytes, start, pathEnd);
    if (escape !== undefined) return escape;
  }
  return hasDotSegment(bytes, start, pathEnd) ? "dot-segment" : undefined;
}

function refuseEscapes(bytes: Buffer, start: number, end: number): RefusalName | undefined {
  let encoded = false;
  for (let i = start; i < end; i++) {
    if (bytes[i] !== 0x25) continue;
    const octet = i + 2 < end ? escapedAt(bytes, i) : -1;
    if (octet < 0) return "bad-escape";
    if (octet === 0 || octet === SLASH || octet === 0x5c) encoded = true;
    i += 2;
  }
  return encoded ? "encoded-slash" : undefined;
}

/** The octet that an escape stands for; -1 when it is none. */
function escapedAt(bytes: Buffer, at: number): number {
  const high = hexDigit(bytes[at + 1] ?? 0);
  const low = hexDigit(bytes[at + 2] ?? 0);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/** -1 when it is none. */
function hexDigit(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const lower = octet | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** A segment that is `.` or `..`, in whatever spelling, with or without parameters behind `;`. The escapes have been found good. */
function hasDotSegment(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (bytes[i] !== SLASH) continue;
    let at = i + 1;
    let dots = 0;
    for (;;) {
      if (at < end && bytes[at] === 0x2e) at++;
      else if (at + 2 < end && bytes[at] === 0x25 && escapedAt(bytes, at) === 0x2e) at += 3;
      else break;
      dots++;
    }
    if ((dots === 1 || dots === 2) && (at >= end || bytes[at] === SLASH || bytes[at] === SEMICOLON)) return true;
  }
  return false;
}

const HOST_OCTET = new Uint8Array(256);
for (const octet of Buffer.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~!$&'()*+,;=%-")) HOST_OCTET[octet] = 1;
const V6_OCTET = new Uint8Array(256);
for (const octet of Buffer.from("0123456789abcdefABCDEF:.")) V6_OCTET[octet] = 1;

/** `host`, `host:port`, `[v6]:port`; empty is allowed (RFC 9110, 7.2). */
export function isAuthority(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  if (at < end && bytes[at] === 0x5b) {
    at++;
    const from = at;
    while (at < end && V6_OCTET[bytes[at] ?? 0] === 1) at++;
    if (at >= end || bytes[at] !== 0x5d || at - from < 2 || at - from > 45) return false;
    at++;
  } else while (at < end && HOST_OCTET[bytes[at] ?? 0] === 1) at++;
  if (at === end) return true;
  if (bytes[at] !== 0x3a || end - at > 6) return false;
  for (at++; at < end; at++) {
    const digit = bytes[at] ?? 0;
    if (digit < 0x30 || digit > 0x39) return false;
  }
  return true;
}

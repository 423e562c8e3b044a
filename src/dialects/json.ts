import { isUtf8 } from "node:buffer";

/** A JSON value. An integer beyond 2^53 is held as the object that `JSON.rawJSON` makes, so that it is written as it was read. */
export type Json = null | boolean | number | string | RawInteger | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** An integer too large for a double, kept as its text. */
export interface RawInteger {
  readonly rawJSON: string;
}

declare global {
  // Node has these three; the library that TypeScript ships does not declare them yet.
  interface JSON {
    rawJSON(text: string): RawInteger;
    isRawJSON(value: unknown): value is RawInteger;
    parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  }
}

/** Beyond this many levels a value is refused: writing it, or walking it, could exhaust the stack. */
export const MAX_DEPTH = 64;

/** Sixteen digits that begin an integer: the shortest that a double may not hold. */
const LARGE = /(?<![\d.])[1-9]\d{15}/;

/** Undefined for what is no JSON: bytes that are not UTF-8 among it, for reading them anyway would alter an id. */
export function parseJson(bytes: Uint8Array): Json | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  try {
    // JSON.parse gives nothing but JSON values.
    const value = JSON.parse(text) as Json;
    // The reviver makes parsing three times as slow, and recurses where JSON.parse alone does not.
    if (!LARGE.test(text) || isDeep(value)) return value;
    return JSON.parse(text, keepLarge) as Json;
  } catch {
    return undefined;
  }
}

function keepLarge(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined || !/^-?\d+$/.test(source)) return value;
  return JSON.rawJSON(source);
}

export function isDeep(value: Json): boolean {
  let level: Json[] = [value];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const next: Json[] = [];
    for (const parent of level) {
      if (!isContainer(parent)) continue;
      for (const child of Array.isArray(parent) ? parent : Object.values(parent)) if (isContainer(child)) next.push(child);
    }
    if (next.length === 0) return false;
    level = next;
  }
  return true;
}

function isContainer(value: unknown): value is readonly Json[] | JsonObject {
  return typeof value === "object" && value !== null;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** Whether nothing is lost with it. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  if (typeof value !== "object" || JSON.isRawJSON(value)) return false;
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
}

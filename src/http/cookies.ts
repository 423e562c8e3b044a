import { timingSafeEqual } from "node:crypto";
import type { KeyedHash } from "../core/keyed-hash.ts";

/** Every value of a cookie in the Cookie fields of a request. */
export function cookieValues(fields: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  for (const field of fields) {
    for (const pair of field.split(";")) {
      const equals = pair.indexOf("=");
      if (equals > 0 && pair.slice(0, equals).trim() === name) values.push(pair.slice(equals + 1).trim());
    }
  }
  return values;
}

/** `id.signature`: the id can be read by anybody and made by nobody but us. */
export function signId(id: string, key: KeyedHash): string {
  return `${id}.${signature(id, key)}`;
}

/** The id in a signed value, or undefined if we did not sign it. Comparison takes the same time whatever differs. */
export function verifyId(value: string, key: KeyedHash): string | undefined {
  const dot = value.lastIndexOf(".");
  if (dot <= 0 || value.length > 200 || value.length - dot - 1 !== SIGNATURE_LENGTH) return undefined;
  const id = value.slice(0, dot);
  // What is not ASCII needs more bytes than there is room for, and is cut off.
  if (given.write(value.slice(dot + 1)) !== SIGNATURE_LENGTH) return undefined;
  wanted.write(signature(id, key));
  return timingSafeEqual(given, wanted) ? id : undefined;
}

const SIGNATURE_LENGTH = 27;
/** Filled anew for each comparison. */
const given = Buffer.alloc(SIGNATURE_LENGTH);
const wanted = Buffer.alloc(SIGNATURE_LENGTH);

function signature(id: string, key: KeyedHash): string {
  return key.digest(id, "base64url").slice(0, SIGNATURE_LENGTH);
}

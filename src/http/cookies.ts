import { createHmac, timingSafeEqual } from "node:crypto";

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
export function signId(id: string, secret: Uint8Array): string {
  return `${id}.${signature(id, secret)}`;
}

/** The id in a signed value, or undefined if we did not sign it. Comparison takes the same time whatever differs. */
export function verifyId(value: string, secret: Uint8Array): string | undefined {
  const dot = value.lastIndexOf(".");
  if (dot <= 0 || value.length > 200) return undefined;
  const id = value.slice(0, dot);
  const given = Buffer.from(value.slice(dot + 1));
  const wanted = Buffer.from(signature(id, secret));
  return given.length === wanted.length && timingSafeEqual(given, wanted) ? id : undefined;
}

function signature(id: string, secret: Uint8Array): string {
  return createHmac("sha256", secret).update(id).digest("base64url").slice(0, 27);
}

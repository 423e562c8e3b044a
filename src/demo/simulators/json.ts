/** Reading of JSON whose shape nobody vouches for: what is missing or of another type reads as empty. */

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objectAt(value: unknown, key: string): JsonObject {
  const found = isObject(value) ? value[key] : undefined;
  return isObject(found) ? found : {};
}

export function listAt(value: unknown, key: string): readonly unknown[] {
  const found = isObject(value) ? value[key] : undefined;
  return Array.isArray(found) ? found : [];
}

export function textAt(value: unknown, key: string): string {
  const found = isObject(value) ? value[key] : undefined;
  return typeof found === "string" ? found : "";
}

/** A number, or a text that begins with one ("3 ans"); 0 otherwise. */
export function numberAt(value: unknown, key: string): number {
  const found = isObject(value) ? value[key] : undefined;
  const number = typeof found === "string" ? Number.parseFloat(found) : found;
  return typeof number === "number" && Number.isFinite(number) ? number : 0;
}

/** The texts of a list, and the `name` of the objects in it. */
export function namesAt(value: unknown, key: string): string[] {
  return listAt(value, key)
    .map((entry) => (typeof entry === "string" ? entry : textAt(entry, "name")))
    .filter((name) => name !== "");
}

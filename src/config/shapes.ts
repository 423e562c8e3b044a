import { z } from "zod";
import { NAME, NAME_RULE } from "./scalars.ts";
import { show } from "./problem.ts";

/** Mappings and lists that say in their own words what they expected. Unknown keys are refused everywhere. */

type Shape = Readonly<Record<string, z.ZodType>>;

/** A mapping with fixed keys. `example` is how one is written. */
export function mapping<const S extends Shape>(shape: S, example: string) {
  return z.strictObject(shape, { error: structural(`a mapping such as { ${example} }`) });
}

/** A mapping whose keys are names that the file gives. */
export function named<V extends z.ZodType>(what: string, value: V, example: string) {
  const key = z.string().regex(NAME, { error: ({ input }) => `${show(input)} cannot name ${what}; expected ${NAME_RULE}` });
  return z.record(key, value, { error: structural(`a mapping from the name of ${what} to its settings, such as { ${example} }`) });
}

/** A mapping whose keys are any short text. */
export function labelled<V extends z.ZodType>(what: string, value: V, example: string) {
  const key = z
    .string()
    .min(1, { error: `${what} must not be empty` })
    .max(256, { error: `${what} is too long` });
  return z.record(key, value, { error: structural(`a mapping such as { ${example} }`) });
}

export function list<V extends z.ZodType>(item: V, example: string, min = 0) {
  const expected = `a list such as [ ${example} ]`;
  const items = z.array(item, { error: structural(expected) });
  return min === 0 ? items : items.min(min, { error: `is empty; expected ${expected}` });
}

/** One of two forms: a scalar, or a mapping. The scalar's own words must tell of both. */
export function either<A extends z.ZodType, B extends z.ZodType>(scalar: A, section: B) {
  return z.union([scalar, section]);
}

function structural(expected: string): (issue: { readonly code?: string; readonly input?: unknown }) => string | undefined {
  return ({ code, input }) => {
    if (code !== "invalid_type") return undefined;
    if (input === undefined) return `is missing; expected ${expected}`;
    if (input === null) return `is empty; expected ${expected}, or leave the key out for its default`;
    return `expected ${expected}, found ${show(input)}`;
  };
}

import type { Condition } from "../config/config.ts";
import type { RequestHead } from "../http/head.ts";
import { queryValues } from "../http/target.ts";

/** Finds the first condition that a request meets; -1 if it meets none. `body` is undefined where it is not at hand: such a request meets no condition on it. */
export function firstMet(conditions: readonly Condition[], head: RequestHead, body: Uint8Array | undefined): number {
  let document: { readonly value: unknown } | undefined;
  return conditions.findIndex((condition) => {
    switch (condition.kind) {
      case "header":
        return head.has(condition.name);
      case "query":
        return queryValues(head.target, condition.name).length > 0;
      case "body":
        if (body === undefined) return false;
        document ??= { value: parsed(body) };
        return isSomething(valueAt(document.value, condition.pointer));
    }
  });
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
  } catch {
    return undefined;
  }
}

/** What stands at a JSON pointer (RFC 6901); `*` stands for the first element. */
function valueAt(document: unknown, pointer: string): unknown {
  let value = document;
  for (const part of pointer.slice(1).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(value)) value = value[name === "*" ? 0 : Number(name)];
    else if (typeof value === "object" && value !== null && Object.hasOwn(value, name)) value = Reflect.get(value, name);
    else return undefined;
  }
  return value;
}

/** Neither nothing, nor empty. */
function isSomething(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

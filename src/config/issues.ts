import { z } from "zod";
import { type Finding, formatPath, nearest, type Path } from "./problem.ts";
import { configSchema } from "./schema.ts";

/** Makes findings of what the schema refused. */
export function findingsOf(issues: readonly z.core.$ZodIssue[], data: unknown, base: Path = []): Finding[] {
  return issues.flatMap((issue) => findingsOfIssue(issue, data, base));
}

function findingsOfIssue(issue: z.core.$ZodIssue, data: unknown, base: Path): Finding[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === "symbol" ? String(part) : part))];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(path, key), at: "key" as const }));
    case "invalid_key":
      return issue.issues.slice(0, 1).map(({ message }) => ({ path, message, at: "key" as const }));
    case "invalid_union":
      return findingsOf(issue.errors[isMapping(valueAt(data, path)) ? 1 : 0] ?? [], data, path);
    default:
      return [{ path, message: issue.message }];
  }
}

/** Keys that people will look for, or know from elsewhere, and what to do instead. */
const ABSENT: readonly { readonly at: RegExp; readonly message: string }[] = [
  {
    at: /^listeners\[\d+\](\.tls)?\.(http2|h2|alpn|protocols)$/,
    message:
      "HTTP/2 is not spoken in this version, only HTTP/1.1; leave the key out, and let a load balancer that speaks HTTP/2 to clients stand in front",
  },
  {
    at: /^upstreams\.[^.]+(\.tls)?\.(http2|h2|alpn|protocols)$/,
    message: "HTTP/2 is not spoken in this version; backends are spoken to in HTTP/1.1, so leave the key out",
  },
  {
    at: /^store\.(cluster|nodes)$/,
    message: "Redis Cluster is not supported in this version; use one redis:// URL, or sentinels and master",
  },
];

function unknownKey(path: Path, key: string): string {
  const absent = ABSENT.find(({ at }) => at.test(formatPath([...path, key])));
  if (absent) return absent.message;
  const known = knownKeys(path);
  const near = nearest(key, known);
  return near === undefined ? `is not a known key; known here: ${known.join(", ")}` : `is not a known key; did you mean ${near}?`;
}

let jsonSchema: z.core.JSONSchema.BaseSchema | undefined;

/** The keys that the schema has at a path. */
function knownKeys(path: Path): readonly string[] {
  jsonSchema ??= z.toJSONSchema(configSchema, { io: "input" });
  let node: z.core.JSONSchema._JSONSchema | undefined = jsonSchema;
  for (const part of path) node = childOf(node, part);
  return Object.keys(mappingForm(node)?.properties ?? {});
}

type JsonNode = z.core.JSONSchema._JSONSchema | undefined;

function childOf(node: JsonNode, part: string | number): JsonNode {
  const form = mappingForm(node);
  if (typeof part === "number") return Array.isArray(form?.items) ? undefined : form?.items;
  return form?.properties?.[part] ?? form?.additionalProperties;
}

/** Of a value with two forms, the one that is a mapping. */
function mappingForm(node: JsonNode): z.core.JSONSchema.BaseSchema | undefined {
  if (node === undefined || typeof node === "boolean") return undefined;
  const forms = node.anyOf ?? [];
  return forms.length === 0 ? node : mappingForm(forms.find((form) => typeof form === "object" && form.type === "object"));
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const part of path) {
    if (Array.isArray(value) && typeof part === "number") value = value[part];
    else if (isMapping(value) && Object.hasOwn(value, String(part))) value = value[String(part)];
    else return undefined;
  }
  return value;
}

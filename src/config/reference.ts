import { z } from "zod";
import { configSchema } from "./schema.ts";

/** What is generated from the schema: the JSON Schema for editors, and docs/configuration.md. */

type JsonNode = z.core.JSONSchema.BaseSchema;

/** Draft 7, which the YAML plug-ins of editors understand best. */
function jsonSchema(): JsonNode {
  const schema = z.toJSONSchema(configSchema, { io: "input", target: "draft-7" });
  return { ...schema, title: "Configuration file of crossfade" };
}

export function jsonSchemaText(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}

const INTRODUCTION = `# Configuration

<!-- Generated from src/config by \`node src/config/generate.ts\`; edit the descriptions there. -->

One YAML file says where clients connect, where requests go and who is moved to the candidate. \`crossfade check --config FILE\`
reports every mistake in it at once, each with its line and what would be right. The smallest useful file:

\`\`\`yaml
listeners:
  - address: 0.0.0.0:8080
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062] }
  v2: { endpoints: [http://127.0.0.1:5070] }
routes:
  - { name: all, match: { path: /** }, stable: v1, candidate: v2, flag: move }
flags:
  move: { rollout_percentage: 10 }
\`\`\`

How values are written:

- **duration**: \`250ms\`, \`10s\`, \`5m\`, \`12h\`, \`90d\`. A bare number is refused, except \`0\`.
- **percentage**: \`25\`, \`25%\` or \`12.5%\`, from 0 to 100 with at most two decimals. \`0.85\` is 0.85 %.
- **size**: \`512KiB\`, \`16MiB\` (1,024s), \`1MB\` (1,000s), or bytes.
- **name**: a letter, then letters, digits, \`_\`, \`.\` or \`-\`, at most 64 in all.
- **environment**: \`\${NAME}\` and \`\${NAME:-default}\` are filled in wherever a value stands; the default counts where the variable is
  missing or empty. A variable that is missing and has no default is an error. \`$\${\` is a plain \`\${\`. Inside \`{ }\` and \`[ ]\` YAML
  needs quotes around a placeholder.

Unknown keys are refused, everywhere. \`config/crossfade.schema.json\` describes the file to editors; with most, this first line is enough:
\`# yaml-language-server: $schema=crossfade.schema.json\`.
`;

const LIVE = `## Live settings

The file is read at the start. What is marked *live* above can be changed while the program runs, through the store, the admin API or
\`crossfade flags set\`. In Redis a flag's settings are the hash \`crossfade:{FLAG}:flags\`, and any client may write it:

\`\`\`
redis-cli HSET crossfade:{my_migration}:flags rollout_percentage 25 segment.beta_users 100
\`\`\`

| Field | Value | In the file |
|---|---|---|
| \`enabled\` | true or false | \`enabled\` |
| \`rollout_percentage\` | percentage | \`rollout_percentage\` |
| \`kill_switch\` | true or false | \`kill_switch\` |
| \`segment.<name>\` | percentage | \`user_segments.<name>.percentage\` |
| \`fallback.enabled\` | true or false | \`fallback_system.enabled\` |
| \`fallback.response_time\` | duration from 1ms to 1m; here a bare number is milliseconds | \`fallback_system.conditions.response_time\` |
| \`fallback.response_time_ms\` | another name for the same | |
| \`fallback.error_rate\` | percentage | \`fallback_system.conditions.error_rate\` |
| \`fallback.accuracy\` | percentage: \`85\` or \`85%\`; \`0.85\` is 0.85 % | \`fallback_system.conditions.accuracy\` |
| \`monitoring.sampling_rate\` | percentage | \`monitoring_enhanced.sampling_rate\` |

A field that is absent has the file's value. An edit is taken as a whole: if one of its fields is invalid or unknown, none of them
changes anything, and the log, a metric and the admin API say what was wrong. A mistake left in the hash does not stand in the way of
later edits of other fields. \`kill_switch\` is the one exception: a valid value of it always counts, whatever else is wrong.
`;

/** docs/configuration.md. */
export function referenceText(): string {
  const root = jsonSchema();
  const general: string[] = [];
  const sections: string[] = [];
  for (const [key, node] of childrenOf(root)) {
    const rows = rowsBelow(key, node);
    if (rows.length === 0 && node.type !== "array") {
      general.push(row(key, node, isRequired(root, key)));
      continue;
    }
    const type = rows.length === 0 ? `List of ${itemKind(node)}. ` : "";
    const fallback = isRequired(root, key) ? "Required." : `Default: ${shownDefault(node)}.`;
    const intro =
      `${node.description ?? ""}\n\n${type}${rows.length === 0 || isRequired(root, key) || hasDefault(node) ? fallback : ""}`.trim();
    sections.push(`## ${key}\n\n${intro}\n${rows.length === 0 ? "" : `\n${table(rows)}`}`);
  }
  return [INTRODUCTION, ...sections, `## The program\n\n${table(general)}`, LIVE].join("\n");
}

function table(rows: readonly string[]): string {
  return ["| Field | Type | Default | Meaning |", "|---|---|---|---|", ...rows, ""].join("\n");
}

/** The rows of everything below a node, itself left out. */
function rowsBelow(path: string, node: JsonNode): string[] {
  if (node.type === "array" && isNode(node.items)) return rowsBelow(`${path}[]`, node.items);
  if (isNode(node.additionalProperties)) {
    const at = `${path}.<${path.endsWith("values") ? "value" : "name"}>`;
    const below = rowsBelow(at, node.additionalProperties);
    return below.length === 0 ? [row(at, node.additionalProperties, false)] : below;
  }
  const mapping = (node.anyOf ?? []).find((form): form is JsonNode => isNode(form) && form.type === "object") ?? node;
  return childrenOf(mapping).flatMap(([key, child]) => {
    const at = `${path}.${key}`;
    return [row(at, child, isRequired(mapping, key)), ...rowsBelow(at, child)];
  });
}

function row(path: string, node: JsonNode, required: boolean): string {
  const meaning = (node.description ?? "").trim().replaceAll("|", "\\|");
  return `| \`${path}\` | ${kindOf(node)} | ${required ? "required" : shownDefault(node)} | ${meaning} |`;
}

function kindOf(node: JsonNode): string {
  if (node.title !== undefined) return node.title;
  if (node.anyOf)
    return [...new Set(node.anyOf.filter(isNode).map(kindOf))]
      .filter((kind, _, all) => all.length === 1 || kind !== "mapping")
      .join(" or ");
  if (node.type === "array") return `list of ${itemKind(node)}`;
  return "mapping";
}

function itemKind(node: JsonNode): string {
  if (!isNode(node.items)) return "values";
  const kind = kindOf(node.items);
  return /^(mapping|name|size|header|path|URL|method|network)$/.test(kind)
    ? `${kind}s`
    : kind === "identity source"
      ? "identity sources"
      : kind;
}

function hasDefault(node: JsonNode): boolean {
  return node.default !== undefined && JSON.stringify(node.default) !== "{}";
}

/** A mapping of nothing but defaults has none of its own to show. */
function shownDefault(node: JsonNode): string {
  if (!hasDefault(node)) return "";
  const { default: value } = node;
  if (value === "" || (Array.isArray(value) && value.length === 0)) return "empty";
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return `\`[${value.join(", ")}]\``;
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

function isRequired(parent: JsonNode, key: string): boolean {
  return parent.required?.includes(key) ?? false;
}

function childrenOf(node: JsonNode): [string, JsonNode][] {
  return Object.entries(node.properties ?? {}).filter((entry): entry is [string, JsonNode] => isNode(entry[1]));
}

function isNode(value: unknown): value is JsonNode {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

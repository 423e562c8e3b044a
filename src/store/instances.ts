import type { FlagKeys } from "./keys.ts";
import { HEARTBEAT, INSTANCES } from "./scripts.ts";
import type { Session } from "./session.ts";
import type { AuditEntry, InstanceState } from "./store.ts";
import { type FieldChange, parseFields } from "./view.ts";

/** An instance that was not heard of for so long counts as gone; its entry stays to be seen a while. */
const ALIVE_MS = 6_000;
const FORGOTTEN_MS = 60_000;

/** Says which revision this instance runs, and that it is alive. */
export async function beat(session: Session, keys: FlagKeys, instance: string, revision: number): Promise<void> {
  await session.run(HEARTBEAT, [keys.instances], [instance, revision, FORGOTTEN_MS]);
}

export async function withdraw(session: Session, keys: FlagKeys, instance: string): Promise<void> {
  await session.command("HDEL", keys.instances, instance);
}

export async function listInstances(session: Session, keys: FlagKeys): Promise<InstanceState[]> {
  const reply = await session.run(INSTANCES, [keys.instances], []);
  const [now, entries] = Array.isArray(reply) ? reply.map((part: unknown) => part) : [];
  const states = Object.entries(parseFields(entries)).flatMap(([instance, text]): InstanceState[] => {
    const entry = parseJson(text);
    if (!isRecord(entry) || typeof entry["revision"] !== "number" || typeof entry["at"] !== "number") return [];
    const at = entry["at"];
    return [{ instance, revision: entry["revision"], at: new Date(at).toISOString(), alive: Math.abs(Number(now) - at) <= ALIVE_MS }];
  });
  return states.toSorted((a, b) => (a.instance < b.instance ? -1 : 1));
}

/** The newest entries first. */
export async function readAudit(session: Session, keys: FlagKeys, count: number): Promise<AuditEntry[]> {
  const reply = await session.command("XREVRANGE", keys.audit, "+", "-", "COUNT", count);
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((item: unknown): AuditEntry[] => {
    if (!Array.isArray(item)) return [];
    const id = String(item[0]);
    const fields = parseFields(item[1]);
    const status = fields["status"];
    return [
      {
        id,
        at: new Date(Number(id.split("-")[0])).toISOString(),
        who: fields["who"] ?? "",
        reason: fields["reason"] ?? "",
        revision: Number(fields["revision"] ?? 0),
        status: status === "refused" || status === "restored" ? status : "accepted",
        changes: parseChanges(fields["changes"] ?? "[]"),
      },
    ];
  });
}

function parseChanges(text: string): FieldChange[] {
  const list = parseJson(text);
  if (!Array.isArray(list)) return [];
  const value = (of: unknown): string | null => (typeof of === "string" ? of : null);
  return list.flatMap((item: unknown) =>
    isRecord(item) ? [{ field: String(item["field"]), from: value(item["from"]), to: value(item["to"]) }] : [],
  );
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

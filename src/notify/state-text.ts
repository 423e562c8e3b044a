import { z } from "zod";
import { PRIORITIES } from "../incidents/incident.ts";
import type { SeenMemory } from "./happenings.ts";
import { NOTICE_KINDS } from "./notice.ts";
import type { NoticeState } from "./state.ts";

/** Of the form below. Any change that an older program would misread raises it. */
const VERSION = 1;

const instant = z.number();
const count = z.int().nonnegative();
const facts = z.record(z.string(), z.string());
const kind = z.enum(NOTICE_KINDS);
/** A member that JSON leaves out because it is undefined, put back by the transforms below. */
const absent = <T extends z.ZodType>(schema: T) => schema.optional();

const notice = z
  .object({
    id: z.string().min(1),
    kind,
    severity: z.enum([...PRIORITIES, "info"]),
    group: z.string(),
    flag: absent(z.string()),
    facts,
    openedAt: instant,
    lastAt: instant,
    count,
    acknowledged: absent(z.object({ by: z.string(), at: instant, via: z.enum(["link", "cli", "dashboard"]) })),
    resolvedAt: absent(instant),
    levels: z.record(z.string(), count),
    latest: kind,
    ended: absent(z.object({ kind, facts })),
    heard: z.array(z.string()),
    told: z.enum(["open", "over"]),
    toldAt: instant,
    remindedAt: instant,
    flow: count,
    flowEndsAt: instant,
    made: count,
    news: count,
  })
  .transform(({ flag, acknowledged, resolvedAt, ended, ...rest }) => ({ ...rest, flag, acknowledged, resolvedAt, ended }));

const delivery = z.object({
  id: z.string().min(1),
  notice: z.string(),
  channel: z.string(),
  part: z.enum(["first", "news", "again", "level", "flow", "end"]),
  index: count,
  dueAt: instant,
  tries: count,
  nextAt: instant,
  status: z.enum(["waiting", "sent", "failed"]),
  detail: z.string(),
  createdAt: instant,
  policy: z.string(),
});

const health = z
  .object({ sentAt: absent(instant), failingSince: absent(instant), lastError: z.string() })
  .transform(({ sentAt, failingSince, lastError }) => ({ sentAt, failingSince, lastError }));

const rollout = z
  .object({
    id: z.string(),
    plan: z.string(),
    status: z.enum(["progressing", "waiting", "held", "rolling-back", "rolled-back", "completed"]),
    stays: count,
    standing: z.object({ why: z.enum(["", "gates", "approval", "pause", "foreign", "killed"]), stay: count }),
    rollbackAt: absent(instant),
  })
  .transform(({ rollbackAt, ...rest }) => ({ ...rest, rollbackAt }));

const flagMemory = z
  .object({
    rollout: absent(z.union([rollout, z.literal("none")])),
    killedSince: absent(instant),
    breakers: z.record(z.string(), z.object({ since: instant })),
    triggers: z.record(z.string(), z.object({ since: instant, told: z.boolean() })),
  })
  .transform(({ rollout, killedSince, ...rest }) => ({ ...rest, rollout, killedSince }));

const board = z.object({
  incident: count,
  maintenance: count,
  open: z.record(z.string(), count),
  announced: z.array(z.string()),
});

const seen = z
  .object({
    flags: z.record(z.string(), flagMemory),
    board: absent(board),
    sla: z.record(z.string(), z.enum(["warning", "breached"])),
    store: z.object({ downSince: absent(instant), told: z.boolean() }).transform(({ downSince, told }) => ({ downSince, told })),
  })
  .transform(({ flags, board, sla, store }): SeenMemory => ({ flags, board, sla, store }));

const document = z.object({
  version: z.literal(VERSION),
  next: count.min(1),
  seen: absent(seen),
  notices: z.array(notice),
  deliveries: z.array(delivery),
  channels: z.record(z.string(), health),
  dropped: z.object({ notices: count, deliveries: count }),
});

/** The document "notices" as the store keeps it. */
export function encodeNotices(state: NoticeState): string {
  return JSON.stringify({ version: VERSION, ...state });
}

/**
 * Reads what {@link encodeNotices} wrote, whole or not at all; never throws. `problem` says in one sentence why it cannot be read, `newer` that a
 * newer program wrote it: then nothing may be written over it.
 */
export function decodeNotices(text: string): { readonly state: NoticeState } | { readonly problem: string; readonly newer: boolean } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { problem: "the document of the notices is damaged: it is not JSON", newer: false };
  }
  const version = typeof json === "object" && json !== null && "version" in json ? json.version : undefined;
  if (typeof version !== "number") return { problem: "the document of the notices is damaged: it has no version", newer: false };
  if (version > VERSION) {
    const problem = `the document of the notices has version ${version} and this program reads version ${VERSION}: a newer crossfade wrote it; upgrade this instance`;
    return { problem, newer: true };
  }
  const found = document.safeParse(json);
  if (!found.success) {
    const [first] = found.error.issues;
    return { problem: `the document of the notices is damaged: ${first?.path.map(String).join(".")}: ${first?.message}`, newer: false };
  }
  const { next, seen: memory, notices, deliveries, channels, dropped } = found.data;
  return { state: { next, seen: memory, notices, deliveries, channels, dropped } };
}

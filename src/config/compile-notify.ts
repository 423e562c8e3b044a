import type { Channel, Notifications } from "./config-told.ts";
import type { ConfigFile } from "./schema.ts";

type NotificationsFile = ConfigFile["notifications"];
type ChannelFile = NotificationsFile["channels"][string];

const PORTS = { implicit: 465, required: 587, opportunistic: 587 } as const;

/** A channel that is off is gone from wherever it is named; levels stay, so that the times of the others are those of the file. */
export function compileNotifications(file: NotificationsFile): Notifications {
  const channels = Object.entries(file.channels).flatMap(([name, channel]) => compileChannel(name, channel) ?? []);
  const known = new Set(channels.map(({ name }) => name));
  const there = (names: readonly string[]): string[] => [...new Set(names)].filter((name) => known.has(name));
  return {
    channels,
    routes: file.routes
      .map((route) => ({
        severities: route.severities.length === 0 ? (["P0", "P1", "P2", "P3", "info"] as const) : route.severities,
        kinds: route.kinds,
        channels: there(route.channels),
      }))
      .filter((route) => route.channels.length > 0),
    escalations: Object.entries(file.escalations).map(([name, { severities, levels }]) => ({
      name,
      severities: [...new Set(severities)],
      levels: levels.map(({ after, channels }) => ({ afterMs: after, channels: there(channels) })),
    })),
    reminders: {
      P0: file.reminders.P0 || undefined,
      P1: file.reminders.P1 || undefined,
      P2: file.reminders.P2 || undefined,
      P3: file.reminders.P3 || undefined,
    },
    rollbackFlow: file.rollback_flow.map(({ after, channels }) => ({ afterMs: after, channels: there(channels) })),
    groupForMs: file.group_for,
    url: file.url?.replace(/\/+$/, ""),
    secret: file.secret,
  };
}

/** Undefined: it is off. */
function compileChannel(name: string, channel: ChannelFile): Channel | undefined {
  const { slack, email, webhook, headers, secret, language, timeout } = channel;
  const base = { name, language, timeoutMs: timeout };
  if (slack !== undefined) return { ...base, kind: "slack", url: slack };
  if (webhook !== undefined) {
    const sent = Object.entries(headers).filter(([, value]) => value !== "");
    const fields = Object.fromEntries(sent.map(([field, value]) => [field.toLowerCase(), value]));
    return { ...base, kind: "webhook", url: webhook, headers: fields, secret };
  }
  if (email === undefined) return undefined;
  const { from, host, port, tls, user, password } = email;
  const to = [...new Set(email.to.filter((address) => address !== undefined))];
  if (from === undefined || host === undefined || to.length === 0) return undefined;
  return { ...base, kind: "email", from, to, host, port: port ?? PORTS[tls], tls, user, password };
}

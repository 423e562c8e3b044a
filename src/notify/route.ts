import type { Notifications } from "../config/config-told.ts";
import type { NoticeKind, Severity } from "./notice.ts";

/** Who hears of it: the channels of every route that fits, each once. */
export function channelsFor({ routes, channels }: Notifications, severity: Severity, kind: NoticeKind): readonly string[] {
  const fitting = routes.filter(({ severities, kinds }) => severities.includes(severity) && (kinds.length === 0 || kinds.includes(kind)));
  return existing(
    channels,
    fitting.flatMap((route) => route.channels),
  );
}

/** Those that there are, each once: one that was switched off is left out. */
export function existing(channels: Notifications["channels"], names: readonly string[]): readonly string[] {
  return [...new Set(names)].filter((name) => channels.some((channel) => channel.name === name));
}

const RANK: Readonly<Record<Severity, number>> = { P0: 4, P1: 3, P2: 2, P3: 1, info: 0 };

/** Rises with how bad it is. */
export function rankOf(severity: Severity): number {
  return RANK[severity];
}

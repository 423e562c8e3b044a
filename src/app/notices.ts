import type { Config } from "../config/config.ts";
import type { RolloutStatus } from "../controller/desk.ts";
import type { Board } from "../incidents/incident.ts";
import { linkKey } from "../notify/ack-link.ts";
import { NoticeDesk } from "../notify/desk.ts";
import type { SeenBreaker, SeenFlag, SeenWorld } from "../notify/happenings.ts";
import type { SlaView } from "../sla/sla.ts";
import { type SettingsStore, StoreUnavailable } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";

export interface NoticesParts {
  readonly config: Config;
  readonly instance: string;
  readonly store: SettingsStore;
  /** The sticky cookies' secret, of which the key of links is made where it has none of its own. */
  readonly secret: Uint8Array;
  readonly rollout: (flag: string) => Promise<RolloutStatus>;
  readonly isKilled: (flag: string) => boolean;
  /** Of this instance, with the flag of each. */
  readonly breakers: () => readonly (SeenBreaker & { readonly flag: string })[];
  /** As of now; undefined: it cannot be had. */
  readonly board: () => Promise<Board | undefined>;
  readonly sla: (flag: string) => SlaView | undefined;
  readonly log: Log;
}

/** What is worth telling people, gathered from all over the program. */
export function createNotices(parts: NoticesParts): NoticeDesk {
  const { config, instance, store, log } = parts;
  const changes = new LastChanges(parts);
  return new NoticeDesk({
    instance,
    notifications: config.notifications,
    documents: store.documents,
    storeHealth: () => store.health,
    key: linkKey(config.notifications.secret ?? parts.secret),
    log,
    look: async (at): Promise<Omit<SeenWorld, "store">> => ({
      at,
      instance,
      flags: await Promise.all(config.flags.map(({ name }) => seenFlag(name, parts, changes))),
      board: await parts.board(),
      sla: config.flags.flatMap(({ name }) => parts.sla(name) ?? []),
    }),
  });
}

async function seenFlag(flag: string, parts: NoticesParts, changes: LastChanges): Promise<SeenFlag> {
  const status = await parts.rollout(flag).catch((error: unknown) => {
    // Of what cannot be read nothing is concluded: neither that it is over nor that it never was.
    if (!(error instanceof StoreUnavailable))
      parts.log.warn({ flag, err: error }, "the rollout cannot be read for notices; it is tried again");
    return undefined;
  });
  const killed = parts.isKilled(flag);
  return {
    flag,
    rollout: status === undefined ? undefined : (status.rollout ?? "none"),
    view: status?.view,
    killed,
    lastChange: await changes.of(flag, killed),
    breakers: parts
      .breakers()
      .filter((breaker) => breaker.flag === flag)
      .map(({ route, upstream, state, why }) => ({ route, upstream, state, why })),
  };
}

/** How old a pull of the switch may be that explains a change seen just now. */
const RECENT_MS = 60_000;

/** Who pulled the kill switch: read from the audit once after each pull, not every second. */
class LastChanges {
  readonly #store: SettingsStore;
  readonly #known = new Map<string, { readonly killed: boolean; readonly change: SeenFlag["lastChange"] }>();

  constructor({ store }: NoticesParts) {
    this.#store = store;
  }

  async of(flag: string, killed: boolean): Promise<SeenFlag["lastChange"]> {
    const known = this.#known.get(flag);
    if (known?.killed === killed) return known.change;
    try {
      const entries = await this.#store.audit(flag, 5);
      const wanted = killed ? "true" : "false";
      // The switch works before it is written down: what stands there may be an earlier pull of it.
      const entry = entries.find(
        ({ at, changes }) =>
          Date.now() - Date.parse(at) < RECENT_MS && changes.some(({ field, to }) => field === "kill_switch" && (to ?? "false") === wanted),
      );
      const change = entry && { who: entry.who, reason: entry.reason };
      this.#known.set(flag, { killed, change });
      return change;
    } catch {
      // A kill without a store is in no audit; what is told of it does not wait for one.
      return undefined;
    }
  }
}

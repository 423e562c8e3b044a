import { eventKeys, type EventKeys } from "./event-keys.ts";
import { planEvents } from "./event-plan.ts";
import { ADD_EVENTS, ALL_OF, CHANGES } from "./event-scripts.ts";
import {
  type CountedEvent,
  type EventChanges,
  type EventStore,
  INBOX_KEPT,
  type InboxEntry,
  type MinuteSums,
  SIGNAL_LANES,
  type SignalsRead,
  type UserSums,
  type WithSession,
} from "./event-store.ts";
import { newestSignals, readSignal } from "./event-texts.ts";
import { faultCode } from "./faults.ts";
import { DEFAULT_PREFIX } from "./keys.ts";
import type { Session } from "./session.ts";
import { StoreUnavailable } from "./store.ts";
import { parseFields } from "./view.ts";

export interface RedisEventsOptions {
  readonly using: WithSession;
  readonly prefix?: string;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Keys that one script reads at a time, so that nobody waits long for its end. */
const MINUTES_AT_ONCE = 100;
/** Events that one script counts: in a few milliseconds. */
const BATCH = 50;
/** A sign that a key holds something else; the connection is as good as before. */
const MISPLACED: ReadonlySet<string> = new Set(["WRONGTYPE", "WRONGKIND"]);

/** In Redis, for all who share it. Whatever is read or written fails as `using` does, and with StoreUnavailable where a key is not ours. */
export function createRedisEvents(options: RedisEventsOptions): EventStore {
  return new RedisEvents(options);
}

type Work<T> = (session: Pick<Session, "run" | "command">, keys: EventKeys) => Promise<T>;

class RedisEvents implements EventStore {
  readonly #using: WithSession;
  readonly #prefix: string;
  readonly #now: () => number;

  constructor({ using, prefix = DEFAULT_PREFIX, now = Date.now }: RedisEventsOptions) {
    this.#using = using;
    this.#prefix = prefix;
    this.#now = now;
  }

  async add(flag: string, events: readonly CountedEvent[], rememberMs: number): Promise<readonly ("accepted" | "duplicate")[]> {
    return this.#on(flag, async (session, keys) => {
      const answers: unknown[] = [];
      for (let i = 0; i < events.length; i += BATCH) {
        const plan = planEvents(keys, events.slice(i, i + BATCH), rememberMs, this.#now());
        answers.push(...listOf(await session.run(ADD_EVENTS, plan.keys, [plan.json])));
      }
      return events.map((_, i) => (answers[i] === 1 ? "accepted" : "duplicate"));
    });
  }

  async changes(flag: string, since: number): Promise<EventChanges> {
    return this.#on(flag, async (session, keys) => {
      const [version, ...members] = listOf(await session.run(CHANGES, [keys.changed], [since])).map(Number);
      return { version: version ?? 0, minutes: members.filter(Number.isInteger) };
    });
  }

  async minutes(flag: string, fromMinute: number, toMinute: number): Promise<readonly MinuteSums[]> {
    return this.#on(flag, async (session, keys) => {
      const found: MinuteSums[] = [];
      for (let from = fromMinute; from <= toMinute; from += MINUTES_AT_ONCE) {
        const length = Math.min(MINUTES_AT_ONCE, toMinute - from + 1);
        const asked = Array.from({ length }, (_, i) => from + i);
        const hashes = listOf(await session.run(ALL_OF, asked.map(keys.minute), []));
        for (const [i, minute] of asked.entries()) {
          for (const { label, count, ...rest } of sumsIn(hashes[i])) found.push({ minute, label, count, ...rest });
        }
      }
      return found;
    });
  }

  async users(flag: string, rollout: string): Promise<readonly UserSums[]> {
    return this.#on(flag, async (session, keys) => {
      const sums = sumsIn(await session.command("HGETALL", keys.moments(rollout)));
      return sums.map(({ label, count, ...rest }) => ({ label, users: count, ...rest }));
    });
  }

  async signals(flag: string, from: number, count: number): Promise<readonly string[]> {
    return this.#on(flag, async (session, keys) => {
      const lanes = SIGNAL_LANES.map((lane) => session.command("XREVRANGE", keys.signals(lane), "+", "-", "COUNT", count));
      const entries = (await Promise.all(lanes)).flatMap((reply) => listOf(reply).map(entryOf));
      return newestSignals(
        entries.flatMap(({ fields }) => readSignal(fields["signal"] ?? "")),
        from,
        count,
      );
    });
  }

  async signalsAfter(flag: string, cursor: string, count: number): Promise<SignalsRead> {
    return this.#on(flag, async (session, keys) => {
      const starts = cursor.split(",");
      const lanes = SIGNAL_LANES.map((lane, i) => session.command("XRANGE", keys.signals(lane), after(starts[i]), "+", "COUNT", count));
      const read = (await Promise.all(lanes)).map((reply) => listOf(reply).map(entryOf));
      return {
        cursor: read.map((entries, i) => entries.at(-1)?.id ?? starts[i] ?? "").join(","),
        signals: read
          .flat()
          .flatMap(({ id, fields }) => readSignal(fields["signal"] ?? "").map(({ text }) => ({ text, arrivedAt: millisecondsOf(id) }))),
      };
    });
  }

  async inbox(flag: string, count: number, from = ""): Promise<readonly InboxEntry[]> {
    return this.#on(flag, async (session, keys) => {
      const entries = listOf(await session.command("XRANGE", keys.inbox, after(from), "+", "COUNT", count)).map(entryOf);
      return entries.map(({ id, fields }) => ({ id, at: millisecondsOf(id), text: fields["event"] ?? "", as: fields["as"] }));
    });
  }

  async passOn(flag: string, events: readonly { readonly text: string; readonly as: string }[]): Promise<void> {
    await this.#on(flag, async (session, keys) => {
      const add = ["MAXLEN", "~", INBOX_KEPT, "*"];
      await Promise.all(events.map(({ text, as }) => session.command("XADD", keys.inbox, ...add, "event", text, "as", as)));
    });
  }

  async done(flag: string, ids: readonly string[]): Promise<number> {
    if (ids.length === 0) return 0;
    return this.#on(flag, async (session, keys) => Number(await session.command("XDEL", keys.inbox, ...ids)));
  }

  /** A key that somebody uses for something else is told of, and does not end the session: the settings are none the worse for it. */
  async #on<T>(flag: string, work: Work<T>): Promise<T> {
    const keys = eventKeys(this.#prefix, flag);
    const result = await this.#using<{ readonly value: T } | { readonly misplaced: unknown }>(async (session) => {
      try {
        return { value: await work(session, keys) };
      } catch (error) {
        if (!MISPLACED.has(faultCode(error))) throw error;
        return { misplaced: error };
      }
    });
    if ("value" in result) return result.value;
    const told = result.misplaced instanceof Error ? result.misplaced.message : "";
    throw new StoreUnavailable(
      `A key of the events of ${flag} (${keys.inbox}, ${keys.inbox}:*) holds something else; delete or rename it (${told})`,
      {
        cause: result.misplaced,
      },
    );
  }
}

function after(id: string | undefined): string {
  return id === undefined || id === "" ? "-" : `(${id}`;
}

function listOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

function entryOf(entry: unknown): { readonly id: string; readonly fields: Readonly<Record<string, string>> } {
  const [id, fields] = listOf(entry);
  return { id: String(id), fields: parseFields(fields) };
}

/** An entry's number begins with the server's time. */
function millisecondsOf(id: string): number {
  return Number(id.split("-")[0]);
}

interface Sums extends Omit<UserSums, "users"> {
  readonly count: number;
}

function sumsIn(hash: unknown): Sums[] {
  return Object.entries(parseFields(hash)).map(([label, text]) => {
    const [count = 0, y = 0, n = 0, yy = 0, nn = 0, yn = 0] = text.split(" ").map(Number);
    return { label, count, y, n, yy, nn, yn };
  });
}

import { type CountBatch, type CountChanges, type CountStore, COUNTS_KEPT_MS, type HourCounts } from "./counts.ts";
import { ADD_COUNTS } from "./counts-scripts.ts";
import { cellField, cellText, COVERED, coveredText, hourName, readHour } from "./counts-text.ts";
import { ALL_OF, CHANGES } from "./event-scripts.ts";
import type { WithSession } from "./event-store.ts";
import { faultCode } from "./faults.ts";
import { type CountKeys, countKeys, DEFAULT_PREFIX } from "./keys.ts";
import { StoreUnavailable } from "./store.ts";
import { parseFields } from "./view.ts";

export interface RedisCountsOptions {
  readonly using: WithSession;
  readonly prefix?: string;
}

/** Keys that one script reads at a time, so that nobody waits long for its end. */
const HOURS_AT_ONCE = 48;
const MISPLACED: ReadonlySet<string> = new Set(["WRONGTYPE", "WRONGKIND"]);

/** In Redis, for all who share it. Fails as `using` does, and with StoreUnavailable where a key is not ours. */
export function createRedisCounts({ using, prefix = DEFAULT_PREFIX }: RedisCountsOptions): CountStore {
  const on = async <T>(flag: string, work: (session: Session, keys: CountKeys) => Promise<T>): Promise<T> => {
    const keys = countKeys(prefix, flag);
    // A key that somebody uses for something else is no reason to give up the connection.
    const done = await using(async (session): Promise<{ readonly value: T } | { readonly misplaced: Error }> =>
      work(session, keys).then(
        (value) => ({ value }),
        (error: unknown) => {
          if (error instanceof Error && MISPLACED.has(faultCode(error))) return { misplaced: error };
          throw error;
        },
      ),
    );
    if ("value" in done) return done.value;
    const told = `A key of the counts of ${flag} (${keys.hour("*")}) holds something else; delete or rename it (${done.misplaced.message})`;
    throw new StoreUnavailable(told, { cause: done.misplaced });
  };
  return {
    add: async (flag, batch) =>
      on(flag, async (session, keys) => {
        const names = [keys.writer(batch.writer), keys.changed, ...batch.hours.map(({ hour }) => keys.hour(hourName(hour)))];
        await session.run(ADD_COUNTS, names, argumentsOf(batch));
      }),
    changes: async (flag, since) =>
      on(flag, async (session, keys): Promise<CountChanges> => {
        const [version, ...members] = listOf(await session.run(CHANGES, [keys.changed], [since])).map(Number);
        return { version: version ?? 0, hours: members.filter(Number.isInteger) };
      }),
    hours: async (flag, hours) =>
      on(flag, async (session, keys) => {
        const found: HourCounts[] = [];
        for (let i = 0; i < hours.length; i += HOURS_AT_ONCE) {
          const asked = hours.slice(i, i + HOURS_AT_ONCE);
          const names = asked.map((hour) => keys.hour(hourName(hour)));
          const hashes = listOf(await session.run(ALL_OF, names, []));
          for (const [at, hour] of asked.entries()) {
            const fields = parseFields(hashes[at]);
            if (Object.keys(fields).length > 0) found.push(readHour(hour, fields));
          }
        }
        return found;
      }),
  };
}

type Session = Parameters<Parameters<WithSession>[0]>[0];

function argumentsOf({ seq, hours }: CountBatch): (string | number)[] {
  return [
    seq,
    COUNTS_KEPT_MS,
    ...hours.flatMap(({ hour, covered, cells }) => {
      const fields = [COVERED, coveredText(covered), ...cells.flatMap((cell) => [cellField(cell), cellText(cell)])];
      return [fields.length / 2, hour, ...fields];
    }),
  ];
}

function listOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

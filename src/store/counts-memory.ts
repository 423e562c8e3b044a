import { type CountStore, COUNTS_KEPT_MS, type HourCounts } from "./counts.ts";
import { HOUR_MS } from "./counts-text.ts";
import { mergeHours } from "./counts-merge.ts";

interface FlagCounts {
  version: number;
  readonly hours: Map<number, { readonly counts: HourCounts; readonly version: number }>;
  readonly writers: Map<string, number>;
}

/** Of one program alone; lost with it. */
export function createMemoryCounts({ now = Date.now }: { readonly now?: () => number } = {}): CountStore {
  const flags = new Map<string, FlagCounts>();
  const of = (flag: string): FlagCounts => {
    const known = flags.get(flag) ?? { version: 0, hours: new Map(), writers: new Map() };
    flags.set(flag, known);
    return known;
  };
  return {
    async add(flag, { writer, seq, hours }) {
      const kept = of(flag);
      if ((kept.writers.get(writer) ?? -1) >= seq) return;
      kept.writers.set(writer, seq);
      kept.version++;
      for (const more of hours) {
        const before = kept.hours.get(more.hour)?.counts;
        kept.hours.set(more.hour, { counts: before === undefined ? more : mergeHours(before, more), version: kept.version });
      }
      const oldest = (now() - COUNTS_KEPT_MS) / HOUR_MS;
      for (const hour of kept.hours.keys()) if (hour < oldest) kept.hours.delete(hour);
    },
    async changes(flag, since) {
      const { version, hours } = of(flag);
      return { version, hours: [...hours].filter(([, held]) => held.version > since).map(([hour]) => hour) };
    },
    async hours(flag, hours) {
      const kept = of(flag);
      return hours.flatMap((hour) => kept.hours.get(hour)?.counts ?? []);
    },
  };
}

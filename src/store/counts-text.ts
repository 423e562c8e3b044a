import type { CountCell, HourCounts } from "./counts.ts";

/** How counts stand in an hour's hash. Lua adds to the same texts, so what is written here is what its scripts read. */

export const HOUR_MS = 3_600_000;
const MINUTES_AN_HOUR = 60;
/** Field with a 0 or 1 for each minute. No cell is called so: theirs have a colon. */
export const COVERED = "covered";
const LAST_EDGE = "inf";

/** `v2:enterprise`; names have no colon. */
export function cellField({ version, segment }: Pick<CountCell, "version" | "segment">): string {
  return `${version}:${segment}`;
}

/** `failed=3 10=412 100=9 inf=1` */
export function cellText({ failed, answered }: Pick<CountCell, "failed" | "answered">): string {
  const parts = [...answered].map(([edge, count]) => `${edge === Infinity ? LAST_EDGE : edge}=${count}`);
  return [...(failed > 0 ? [`failed=${failed}`] : []), ...parts].join(" ");
}

export function coveredText(covered: ReadonlySet<number>): string {
  return Array.from({ length: MINUTES_AN_HOUR }, (_, minute) => (covered.has(minute) ? "1" : "0")).join("");
}

/** Of what somebody else wrote by hand what makes no sense is left out. */
export function readHour(hour: number, fields: Readonly<Record<string, string>>): HourCounts {
  const covered = new Set(
    (fields[COVERED] ?? "").split("").flatMap((mark, minute) => (mark === "1" && minute < MINUTES_AN_HOUR ? [minute] : [])),
  );
  const cells = Object.entries(fields).flatMap(([field, text]): CountCell[] => {
    const colon = field.indexOf(":");
    return colon < 0 ? [] : [{ version: field.slice(0, colon), segment: field.slice(colon + 1), ...readCell(text) }];
  });
  return { hour, covered, cells };
}

function readCell(text: string): Pick<CountCell, "failed" | "answered"> {
  let failed = 0;
  const answered = new Map<number, number>();
  for (const part of text.split(" ")) {
    const [name = "", value = ""] = part.split("=");
    const count = Number(value);
    if (!(count > 0) || !Number.isSafeInteger(count)) continue;
    const edge = name === LAST_EDGE ? Infinity : Number(name);
    if (name === "failed") failed = count;
    else if (name !== "" && edge > 0) answered.set(edge, (answered.get(edge) ?? 0) + count);
  }
  return { failed, answered };
}

/** `2026-11-23T02` */
export function hourName(hour: number): string {
  return new Date(hour * HOUR_MS).toISOString().slice(0, 13);
}

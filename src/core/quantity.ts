/** Durations, shares and sizes as people write them. Every parser returns undefined for what it does not understand. */

const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1_000,
  mb: 1_000_000,
  gb: 1_000_000_000,
  kib: 1_024,
  mib: 1_048_576,
  gib: 1_073_741_824,
};

/** `250ms`, `10s`, `5m`, `1.5h`: milliseconds. A bare number is refused, except `0`: its unit would be a guess. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*(us|ms|s|m|h|d)$/.exec(trimmed);
  if (!match) return undefined;
  return Number(match[1]) * (UNIT_MS[match[2] ?? ""] ?? Number.NaN);
}

/** Milliseconds as the shortest duration that {@link parseDuration} reads back. */
export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"] as const) {
    const size = UNIT_MS[unit] ?? 1;
    if (ms >= size && Number.isInteger(ms / size)) return `${ms / size}${unit}`;
  }
  return `${Number(ms.toFixed(3))}ms`;
}

/** `25`, `25%`, `12.5 %`: basis points (0..10000). At most two decimals; anything outside 0..100 is undefined. */
export function parseShare(text: string): number | undefined {
  const match = /^(\d{1,3}(?:\.\d{1,2})?)\s*%?$/.exec(text.trim());
  if (!match) return undefined;
  const basisPoints = Math.round(Number(match[1]) * 100);
  return basisPoints <= 10_000 ? basisPoints : undefined;
}

/** Basis points as a percentage without its sign: 2500 is `25`, 1250 is `12.5`. */
export function formatShare(basisPoints: number): string {
  return String(basisPoints / 100);
}

/** `16KiB`, `1 MB`, `4096`: bytes, a whole number. Units: b, kB, MB, GB (thousands), KiB, MiB, GiB (1,024s). */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)\s*([a-z]{0,3})$/i.exec(text.trim());
  if (!match) return undefined;
  const size = UNIT_BYTES[(match[2] ?? "").toLowerCase()];
  if (size === undefined) return undefined;
  const bytes = Number(match[1]) * size;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Bytes in the largest 1,024-based unit that divides them. */
export function formatBytes(bytes: number): string {
  for (const unit of ["GiB", "MiB", "KiB"] as const) {
    const size = UNIT_BYTES[unit.toLowerCase()] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  1: true,
  on: true,
  yes: true,
  false: false,
  0: false,
  off: false,
  no: false,
};

/** `true`, `1`, `on`, `yes` and their opposites, in any case. */
export function parseSwitch(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  // Every object has members by other names, `__proto__` for one.
  return Object.hasOwn(BOOLEANS, word) ? BOOLEANS[word] : undefined;
}

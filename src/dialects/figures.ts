import type { SalaryRange } from "./canonical.ts";
import type { Json } from "./json.ts";

/** 77.3 of 100 as 0.773: ten places of the larger scale are kept, and no dust of binary division. */
export function fromPercent(percent: number | undefined): number | undefined {
  return percent === undefined ? undefined : Math.round(percent * 1e10) / 1e12;
}

export function toPercent(ratio: number | undefined): number | undefined {
  return ratio === undefined ? undefined : Math.round(ratio * 1e12) / 1e10;
}

export function fromSeconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(seconds * 1e9) / 1e6;
}

export function toSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1e6) / 1e9;
}

/** Two places tell every month from its neighbours. */
export function yearsOfMonths(months: number): number {
  return Math.round((months / 12) * 100) / 100;
}

/** Whole months: a service may well refuse a fraction of one. */
export function monthsOfYears(years: number): number {
  return Math.round(years * 12);
}

/** 5, "5", "5 ans", "5 years"; undefined for what says anything else ("3-5 ans", "senior"). */
export function readYears(value: Json | undefined): number | undefined {
  if (typeof value === "number") return value >= 0 && value <= 999 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const digits = /^\s{0,4}(\d{1,3}(?:\.\d{1,4})?)\s{0,4}(?:ans?|years?)?\s{0,4}$/i.exec(value)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

const AMOUNT = String.raw`(\d{1,3}(?:[ \u00a0\u202f]\d{3})+|\d{1,9}(?:[.,]\d{1,2})?)\s?(k)?\s?€?`;
const SALARY = new RegExp(`^\\s{0,4}${AMOUNT}(?:\\s?(?:-|–|à|to)\\s?${AMOUNT})?\\s{0,4}$`, "i");

/** "45-60K€", "45K€ - 60K€", "45 000 - 60 000 €", "50K€"; undefined for what is no clear amount in euros a year. */
export function readSalary(text: string): Required<SalaryRange> | undefined {
  const [, first, firstK, second, secondK] = SALARY.exec(text) ?? [];
  if (first === undefined) return undefined;
  // "45-60K" means thousands at both ends; "45K-60" is anybody's guess.
  if (second !== undefined && firstK !== undefined && secondK === undefined) return undefined;
  const thousands = (firstK ?? secondK) !== undefined;
  const min = amountOf(first, thousands);
  const max = amountOf(second ?? first, thousands);
  // Without a K, 45 may be thousands a year or euros an hour.
  return min <= max && (thousands || min >= 1_000) ? { min, max } : undefined;
}

function amountOf(digits: string, thousands: boolean): number {
  const amount = Number(digits.replaceAll(/[ \u00a0\u202f]/g, "").replace(",", "."));
  return thousands ? Math.round(amount * 1_000) : amount;
}

/** "45-60K€"; undefined where the text would not read back as the same range. */
export function writeSalary({ min, max }: SalaryRange): string | undefined {
  if (min === undefined || max === undefined) return undefined;
  const [unit, sign] = min % 1_000 === 0 && max % 1_000 === 0 ? [1_000, "K€"] : [1, "€"];
  const text = min === max ? `${max / unit}${sign}` : `${min / unit}-${max / unit}${sign}`;
  const read = readSalary(text);
  return read?.min === min && read.max === max ? text : undefined;
}

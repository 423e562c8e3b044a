import { nearest, show } from "../../config/problem.ts";
import { parseDuration } from "../../core/quantity.ts";

export type Fields = Readonly<Record<string, unknown>>;

export interface Fault {
  readonly field: string;
  readonly value: string;
  readonly message: string;
}

/** Times that a number can stand for: what is smaller was meant as seconds. */
const FIRST_MS = 100_000_000_000;
const LAST_MS = 8_640_000_000_000_000;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;
const LONGEST_NOTE = 500;
const LONGEST_SHOWN = 60;

/** Reads the fields of one event and gathers what is wrong with them; a wrong one has some value all the same. */
export class FieldReader {
  readonly #given: Fields;
  readonly faults: Fault[] = [];

  constructor(given: Fields) {
    this.#given = given;
  }

  has(field: string): boolean {
    return this.#value(field) !== undefined;
  }

  fault(field: string, wrong: string): void {
    const value = shown(this.#value(field));
    this.faults.push({ field, value, message: this.has(field) ? `${field}: ${value} ${wrong}` : `${field}: ${wrong}` });
  }

  word<const T extends string>(field: string, known: readonly T[]): T | undefined {
    if (this.has(field)) return this.optionalWord(field, known);
    this.fault(field, `is missing; send one of ${known.join(", ")}`);
    return undefined;
  }

  optionalWord<const T extends string>(field: string, known: readonly T[]): T | undefined {
    const value = this.#value(field);
    if (value === undefined) return undefined;
    const word = known.find((one) => one === value);
    if (word !== undefined) return word;
    const near = typeof value === "string" ? nearest(value.slice(0, 100), known) : undefined;
    const those = known.length === 0 ? "there is none here; leave it out" : `known: ${known.join(", ")}`;
    this.fault(field, `is not known; ${near === undefined ? those : `did you mean ${near}?`}`);
    return undefined;
  }

  optionalText(field: string, longest: number): string | undefined {
    const value = this.#value(field);
    if (value === undefined) return undefined;
    // Whoever numbers users or events may send the number.
    const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
    if (typeof text === "string" && text.length > 0 && text.length <= longest) return text;
    this.fault(field, `is not a text of 1 to ${longest} characters`);
    return undefined;
  }

  /** Cut where it is too long, and empty where it is no text. */
  note(field: string): string {
    const value = this.#value(field);
    return typeof value === "string" ? value.slice(0, LONGEST_NOTE).toWellFormed() : "";
  }

  truth(field: string): boolean {
    const value = this.#value(field);
    if (typeof value !== "boolean") this.fault(field, this.has(field) ? "is neither true nor false" : "is missing; send true or false");
    return value === true;
  }

  number(field: string, min: number, max: number, right: string): number {
    const value = this.#value(field);
    if (typeof value === "number" && value >= min && value <= max) return value;
    this.fault(field, this.has(field) ? `is not ${right}` : `is missing; send ${right}`);
    return min;
  }

  whole(field: string, right: string): number {
    const value = this.number(field, 0, Number.MAX_SAFE_INTEGER, right);
    if (Number.isInteger(value)) return value;
    this.fault(field, `is not a whole number; send ${right}`);
    return 0;
  }

  /** `0.4`, or a duration such as `400ms`. */
  seconds(field: string): number {
    const value = this.#value(field);
    const ms = typeof value === "string" ? parseDuration(value) : undefined;
    return ms === undefined ? this.number(field, 0, 1e9, "a number of seconds such as 0.4, or a duration such as 400ms") : ms / 1_000;
  }

  /** `P0` .. `P3`: 0..3. */
  severity(field: string): number {
    const value = this.#value(field);
    const match = typeof value === "string" ? /^\s*p([0-3])\s*$/i.exec(value) : null;
    if (match === null) this.fault(field, this.has(field) ? "is not P0, P1, P2 or P3" : "is missing; send P0, P1, P2 or P3");
    return Number(match?.[1] ?? 3);
  }

  /** Epoch milliseconds; undefined: it is absent or wrong. */
  time(field: string): number | undefined {
    const value = this.#value(field);
    if (value === undefined) return undefined;
    if (typeof value === "number" && value >= FIRST_MS && value <= LAST_MS) return Math.floor(value);
    const ms = typeof value === "string" && ISO.test(value) ? Date.parse(value) : Number.NaN;
    if (Number.isFinite(ms)) return ms;
    const isSeconds = typeof value === "number" && value >= FIRST_MS / 1_000 && value < FIRST_MS;
    this.fault(
      field,
      isSeconds
        ? "looks like seconds; send milliseconds"
        : "is not a time; send one such as 2026-05-04T09:30:00Z, or milliseconds since 1970",
    );
    return undefined;
  }

  /** Null means as much as nothing. */
  #value(field: string): unknown {
    return Object.hasOwn(this.#given, field) ? (this.#given[field] ?? undefined) : undefined;
  }
}

/** As it came: a text is seen to be one. */
export function shown(value: unknown): string {
  return typeof value === "string" && value.length <= LONGEST_SHOWN ? JSON.stringify(value) : show(value);
}

export function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { z } from "zod";
import { formatBytes, formatDuration, parseBytes, parseDuration, parseShare, parseSwitch } from "../core/quantity.ts";
import { show, suggest } from "./problem.ts";

/**
 * How one kind of value is written, read and described. The file's numbers and truth values may come as text too, since
 * an environment variable can stand for any of them.
 */
export interface Scalar<T> {
  /** Its name in the reference. */
  readonly kind: string;
  /** What would be right, as the object of "expected". */
  readonly expected: string;
  /** Takes the value as text. */
  readonly read: (text: string) => Reading<T>;
  /** What editors check. */
  readonly json: JsonType;
  /** What a null in the file stands for, where it is a value and no mistake. */
  readonly null?: string;
}

export type Reading<T> = { readonly value: T } | { readonly wrong: string };

interface JsonType {
  readonly type: "string" | "boolean" | readonly ("string" | "number" | "boolean" | "null")[];
  readonly pattern?: string;
  readonly enum?: readonly (string | boolean)[];
}

/** A value that must be there. */
export function required<T>(scalar: Scalar<T>, description: string) {
  return z
    .unknown()
    .transform((given, context): T => {
      const reading = readScalar(scalar, given);
      if ("value" in reading) return reading.value;
      context.addIssue({ code: "custom", message: reading.wrong });
      return z.NEVER;
    })
    .meta({ ...withEnvironment(scalar.json), title: scalar.kind, description });
}

/** A value with a default, written as in the file. */
export function defaulted<T>(scalar: Scalar<T>, value: string | number | boolean, description: string) {
  return required(scalar, description).prefault(value).meta({ description });
}

/** A value that may be left out; `absent` says what happens then. */
export function optional<T>(scalar: Scalar<T>, absent: string, description: string) {
  return required(scalar, description)
    .optional()
    .meta({ description: `${description} ${absent}` });
}

export function readScalar<T>(scalar: Scalar<T>, given: unknown): Reading<T> {
  if (given === undefined) return { wrong: `is missing; expected ${scalar.expected}` };
  if (given === null && scalar.null !== undefined) return scalar.read(scalar.null);
  if (given === null) return { wrong: `is empty; expected ${scalar.expected}, or leave the key out for its default` };
  if (typeof given === "object") return { wrong: `expected ${scalar.expected}, found ${show(given)}` };
  return scalar.read(String(given));
}

/** A placeholder may stand wherever a value may, so a pattern must let it through. */
function withEnvironment(json: JsonType): JsonType {
  return json.pattern === undefined ? json : { ...json, pattern: `\\$\\{|${json.pattern}` };
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** Milliseconds. */
export function duration({ min, max }: Bounds): Scalar<number> {
  const range = `from ${min === 0 ? "0" : formatDuration(min)} to ${formatDuration(max)}`;
  const expected = `a duration ${range}, such as 250ms, 10s, 5m or 12h`;
  return {
    kind: "duration",
    expected,
    read(text) {
      const ms = parseDuration(text);
      if (ms === undefined && /^\s*\d/.test(text) && isNumber(text))
        return { wrong: `${show(Number(text))} has no unit; write ${text.trim()}ms, ${text.trim()}s or ${text.trim()}m` };
      if (ms === undefined) return { wrong: `${show(text)} is not a duration; expected ${expected}` };
      if (ms < min || ms > max) return { wrong: `${text.trim()} is out of range; expected ${expected}` };
      return { value: ms };
    },
    json: { type: ["string", "number"], pattern: "^\\s*(0|\\d+(\\.\\d+)?\\s*(us|ms|s|m|h|d))\\s*$" },
  };
}

/** Basis points. */
export const share: Scalar<number> = {
  kind: "percentage",
  expected: "a percentage from 0 to 100 with at most two decimals, such as 25 or 12.5%",
  read(text) {
    const basisPoints = parseShare(text);
    if (basisPoints !== undefined) return { value: basisPoints };
    const figure = Number(text.replace(/%\s*$/, ""));
    const outside = isNumber(text.replace(/%\s*$/, "")) && (figure < 0 || figure > 100);
    return { wrong: `${show(text)} is ${outside ? "out of range" : "not a percentage"}; expected ${share.expected}` };
  },
  json: { type: ["string", "number"], pattern: "^\\s*\\d{1,3}(\\.\\d{1,2})?\\s*%?\\s*$" },
};

/** Bytes. */
export function size({ min, max }: Bounds): Scalar<number> {
  const range = `from ${min === 0 ? "0" : formatBytes(min)} to ${formatBytes(max)}`;
  const expected = `a size ${range}, such as 512KiB or 16MiB`;
  return {
    kind: "size",
    expected,
    read(text) {
      const bytes = parseBytes(text);
      if (bytes === undefined) return { wrong: `${show(text)} is not a size; expected ${expected}` };
      if (bytes < min || bytes > max) return { wrong: `${text.trim()} is out of range; expected ${expected}` };
      return { value: bytes };
    },
    json: { type: ["string", "number"], pattern: "^\\s*\\d+(\\.\\d+)?\\s*([kKmMgG][iI]?)?[bB]?\\s*$" },
  };
}

export function whole({ min, max }: Bounds): Scalar<number> {
  const expected = `a whole number from ${min} to ${max}`;
  return {
    kind: "whole number",
    expected,
    read(text) {
      const value = /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : Number.NaN;
      if (value >= min && value <= max) return { value };
      return { wrong: `${show(text)} is ${isNumber(text) ? "out of range" : "not a number"}; expected ${expected}` };
    },
    json: { type: ["string", "number"], pattern: "^\\s*\\d+\\s*$" },
  };
}

export const positive: Scalar<number> = {
  kind: "number",
  expected: "a number above 0, such as 1 or 100",
  read(text) {
    const value = isNumber(text) ? Number(text) : Number.NaN;
    if (value > 0 && value <= 1e9) return { value };
    return { wrong: `${show(text)} is not usable here; expected ${positive.expected}` };
  },
  json: { type: ["string", "number"] },
};

export const toggle: Scalar<boolean> = {
  kind: "true or false",
  expected: "true or false",
  read(text) {
    const value = parseSwitch(text);
    return value === undefined ? { wrong: `${show(text)} is neither true nor false` } : { value };
  },
  json: { type: ["boolean", "string"] },
};

export function choice<const T extends string>(values: readonly T[], kind = listed(values)): Scalar<T> {
  return {
    kind,
    expected: listed(values),
    read(text) {
      const value = values.find((known) => known === text.trim().toLowerCase());
      return value === undefined ? { wrong: `${show(text)} is not known here; expected ${listed(values)}` } : { value };
    },
    json: { type: "string", pattern: `^(${values.join("|")})$` },
  };
}

export interface TextOptions {
  readonly kind?: string;
  readonly expected: string;
  readonly pattern?: RegExp;
  readonly min?: number;
  readonly max?: number;
}

export function text({ kind = "text", expected, pattern, min = 1, max = 256 }: TextOptions): Scalar<string> {
  return {
    kind,
    expected,
    read(given) {
      if (given.length < min)
        return { wrong: given === "" ? `is empty; expected ${expected}` : `${show(given)} is too short; expected ${expected}` };
      if (given.length > max) return { wrong: `is too long (${given.length} characters, at most ${max}); expected ${expected}` };
      if (pattern && !pattern.test(given)) return { wrong: `${show(given)} cannot be used here; expected ${expected}` };
      return { value: given };
    },
    json: pattern ? { type: "string", pattern: pattern.source } : { type: ["string", "number", "boolean"] },
  };
}

/** A secret: never repeated in a message, and absent when empty, since `${NAME:-}` is how one is left out. */
export function secret(min: number): Scalar<string | undefined> {
  const expected = `at least ${min} visible ASCII characters without spaces`;
  return {
    kind: "secret",
    expected,
    read(given) {
      if (given === "") return { value: undefined };
      if (given.length < min) return { wrong: `has ${given.length} characters; expected ${expected}` };
      return /^[!-~]+$/.test(given) ? { value: given } : { wrong: `holds a space or a character outside ASCII; expected ${expected}` };
    },
    json: { type: ["string", "number"] },
  };
}

/** The path of a file with certificates or a key. */
export const pemFile = text({ kind: "path", expected: "the path of a file in PEM, such as tls/site.pem", max: 1_024 });

/** A name that ends up in metric labels, Redis keys and log lines. */
export function nameOf(what: string): Scalar<string> {
  return text({ kind: "name", expected: `${what}: ${NAME_RULE}`, pattern: NAME, max: 64 });
}

/** Begins with a letter: JavaScript would move a name that looks like a number to the front of its mapping. */
export const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
export const NAME_RULE = "a letter, then letters, digits, _ . or -, at most 64 in all";

/** A field name of HTTP (RFC 9110), also good for cookies. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

/** Fields of a request that the program sends itself, or that belong to the connection. */
export const OWN_FIELDS = /^(content-.*|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|x-crossfade-.*)$/;

function listed(values: readonly string[]): string {
  if (values.length < 2) return values.join("");
  return `${values.slice(0, -1).join(", ")} or ${values.at(-1) ?? ""}`;
}

export function unknownWord(what: string, word: string, known: readonly string[], none: string): string {
  return `${what} ${show(word)} is not known; ${suggest(word, known, none)}`;
}

function isNumber(text: string): boolean {
  return /^\s*[-+]?\d+(\.\d+)?\s*$/.test(text);
}

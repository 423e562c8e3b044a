/**
 * Where the words of a JSON text end, and what they mean, on its bytes. What is taken for JSON is what JSON.parse takes of the decoded
 * text, neither more nor less (RFC 8259; bytes that are no UTF-8 count as replacement characters). Ends are places behind the last byte;
 * 0 says that there is no such word, for no word ends there.
 */

/** What is above it is no blank: compact documents have none, and call nothing to find that out. */
export const BLANK = 0x20;
export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const SMALL_E = 0x65;
const SMALL_U = 0x75;

/** Bytes that stand for themselves in a string: all but controls, quote and backslash. Beyond the end reads as 0, which is none. */
const PLAIN = new Uint8Array(256).fill(1, 0x20);
PLAIN[QUOTE] = PLAIN[BACKSLASH] = 0;
/** What may follow a backslash, besides `u`. */
const ESCAPED = new Uint8Array(256);
for (const byte of Buffer.from('"\\/bfnrt')) ESCAPED[byte] = 1;
const HEX = new Uint8Array(256);
for (const byte of Buffer.from("0123456789abcdefABCDEF")) HEX[byte] = 1;
const TRUE = Buffer.from("true");
const FALSE = Buffer.from("false");
const NULL = Buffer.from("null");

/** The byte there, 0 beyond the end. */
export function byteAt(bytes: Uint8Array, at: number): number {
  return at < bytes.length ? (bytes[at] ?? 0) : 0;
}

/** Where the blanks at the end begin. */
export function blanksStart(bytes: Uint8Array): number {
  let at = bytes.length;
  while (at > 0 && isBlank(bytes[at - 1] ?? 0)) at--;
  return at;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

export function blanksEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && isBlank(bytes[at] ?? 0)) at++;
  return at;
}

/** Where the string that begins at `start` ends, behind its quote; negative where it holds escapes; 0 if it is no string. */
export function stringEnd(bytes: Uint8Array, start: number): number {
  const at = plainEnd(bytes, start + 1);
  if (at < bytes.length && bytes[at] === QUOTE) return at + 1;
  const end = escapedEnd(bytes, at);
  return end === 0 ? 0 : -end;
}

/** Four bytes a turn, each by a table: quicker than one a turn, and than one sum over all four. */
function plainEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  const four = bytes.length - 3;
  for (; at < four; at += 4) {
    if (PLAIN[bytes[at] ?? 0] === 0) return at;
    if (PLAIN[bytes[at + 1] ?? 0] === 0) return at + 1;
    if (PLAIN[bytes[at + 2] ?? 0] === 0) return at + 2;
    if (PLAIN[bytes[at + 3] ?? 0] === 0) return at + 3;
  }
  while (at < bytes.length && PLAIN[bytes[at] ?? 0] === 1) at++;
  return at;
}

function escapedEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const byte = byteAt(bytes, at);
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return 0;
    const escaped = bytes[at + 1] ?? 0;
    if (ESCAPED[escaped] === 1) at += 2;
    else if (escaped === SMALL_U && areHex(bytes, at + 2)) at += 6;
    else return 0;
    at = plainEnd(bytes, at);
  }
}

function areHex(bytes: Uint8Array, at: number): boolean {
  for (let i = at; i < at + 4; i++) if (HEX[bytes[i] ?? 0] === 0) return false;
  return true;
}

/** Where the number, `true`, `false` or `null` that begins at `start` with the byte `first` ends. */
export function bareEnd(bytes: Uint8Array, start: number, first: number): number {
  if (first === MINUS || (first >= ZERO && first <= NINE)) return numberEnd(bytes, start, first);
  const literal = first === TRUE[0] ? TRUE : first === FALSE[0] ? FALSE : first === NULL[0] ? NULL : undefined;
  return literal !== undefined && stands(bytes, start, literal) ? start + literal.length : 0;
}

function numberEnd(bytes: Uint8Array, start: number, first: number): number {
  const whole = first === MINUS ? start + 1 : start;
  let at = digitsEnd(bytes, whole);
  if (at === whole || (at > whole + 1 && bytes[whole] === ZERO)) return 0;
  if (bytes[at] === DOT) {
    const end = digitsEnd(bytes, at + 1);
    if (end === at + 1) return 0;
    at = end;
  }
  if (((bytes[at] ?? 0) | 0x20) === SMALL_E) {
    const sign = bytes[at + 1] ?? 0;
    const digits = sign === PLUS || sign === MINUS ? at + 2 : at + 1;
    at = digitsEnd(bytes, digits);
    if (at === digits) return 0;
  }
  return at;
}

function digitsEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const byte = bytes[at] ?? 0;
    if (byte < ZERO || byte > NINE) return at;
    at++;
  }
}

export function stands(bytes: Uint8Array, at: number, what: Uint8Array): boolean {
  for (let i = 0; i < what.length; i++) if (bytes[at + i] !== what[i]) return false;
  return true;
}

/** A text to look for, and its bytes where it stands without escapes. */
export interface Word {
  readonly text: string;
  readonly bytes: Uint8Array;
}

export function wordOf(text: string): Word {
  return { text, bytes: Buffer.from(text) };
}

/** Which of the words the string is that begins at `at`; undefined if none. Builds no text where there are no escapes. */
export function wordAt<W extends Word>(bytes: Uint8Array, at: number, words: readonly W[]): W | undefined {
  const end = stringEnd(bytes, at);
  if (end < 0) {
    const text = textOf(bytes, at, end);
    return words.find((word) => word.text === text);
  }
  const length = end - at - 2;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word !== undefined && word.bytes.length === length && stands(bytes, at + 1, word.bytes)) return word;
  }
  return undefined;
}

/** The string from `at` to `end`, as {@link stringEnd} gave it. */
export function textOf(bytes: Uint8Array, at: number, end: number): string {
  const text: unknown = JSON.parse(rangeOf(bytes, at, Math.abs(end)).toString());
  return String(text);
}

function rangeOf(bytes: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
}

export function isNumber(first: number): boolean {
  return first === MINUS || (first >= ZERO && first <= NINE);
}

/** The number from `start` to `end`, as JSON.parse gives it. */
export function numberOf(bytes: Uint8Array, start: number, end: number): number {
  return plainNumber(bytes, start, end) ?? Number(rangeOf(bytes, start, end).toString("latin1"));
}

/** Whether the number from `start` to `end` is written as whole numbers usually are: digits, none for nothing. */
export function isWhole(bytes: Uint8Array, start: number, end: number): boolean {
  const whole = bytes[start] === MINUS ? start + 1 : start;
  return digitsEnd(bytes, whole) === end && !(whole > start && bytes[whole] === ZERO);
}

/** Powers of ten, and whole numbers of so many digits, are exact; and so is rounded rightly what is divided once. */
const EXACT_DIGITS = 15;

/** A number without exponent and with few digits, which needs no text; undefined for any other. */
function plainNumber(bytes: Uint8Array, start: number, end: number): number | undefined {
  if (end - start > EXACT_DIGITS) return undefined;
  let digits = 0;
  let divisor = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= ZERO && byte <= NINE) {
      digits = digits * 10 + byte - ZERO;
      divisor *= 10;
    } else if (byte === DOT) divisor = 1;
    else if (byte !== MINUS) return undefined;
  }
  const size = divisor === 0 ? digits : digits / divisor;
  return bytes[start] === MINUS ? -size : size;
}

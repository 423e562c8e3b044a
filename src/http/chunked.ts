import { LOWER } from "./field-names.ts";
import { CR, DONE, LF, MORE, REFUSED, TEXT, type ReadResult } from "./raw-fields.ts";
import { RawTrailers } from "./raw-trailers.ts";
import type { RefusalName } from "./refusals.ts";

const SIZE = 0;
const SIZE_LF = 1;
const DATA = 2;
const DATA_CR = 3;
const DATA_LF = 4;
const TRAILERS = 5;
const EXTENSION = 6;
const EXTENSION_NAME = 7;
const EXTENSION_VALUE = 8;
const EXTENSION_TOKEN = 9;
const EXTENSION_QUOTED = 10;
const EXTENSION_ESCAPED = 11;
const EXTENSION_END = 12;

/** 2^52 is as far as whole hexadecimal digits go without a size becoming inexact. */
const DIGITS = 13;
/** Below this a loop is quicker than a call. */
const SHORT = 32;
const FIRST_TRAILERS = 512;

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const ESCAPE = 0x5c;

const NONE: readonly string[] = Object.freeze([]);

const NO_DIGIT = 255;
/** What a hexadecimal digit stands for. */
const HEX = new Uint8Array(256).fill(NO_DIGIT);
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  HEX[text.charCodeAt(0)] = digit;
  HEX[text.toUpperCase().charCodeAt(0)] = digit;
}

/**
 * Takes chunked bodies out of their chunks (RFC 9112, 7.1), piece by piece as the bytes come, in place: what the chunks of one read
 * carry is moved together. No blanks are taken in size lines, which Node's parser refuses too.
 */
export class ChunkedReader {
  /** The data of the last read is [dataStart, dataEnd) of its bytes, empty where there was none. */
  dataStart = 0;
  dataEnd = 0;
  /** Where reading stopped; once DONE the index behind the message. */
  consumed = 0;
  refusal: RefusalName | undefined = undefined;
  /** Name, value ... once DONE, without those that may not be trailers. */
  trailers: readonly string[] = NONE;

  readonly #maxExtensionBytes: number;
  readonly #maxTrailerBytes: number;
  #state = SIZE;
  #digits = 0;
  /** Of the chunk, what is still to come. */
  #left = 0;
  #extensionBytes = 0;
  /** Trailers are gathered where they lie together, for they may come in pieces. */
  #gathered: Buffer | undefined = undefined;
  #gatheredBytes = 0;
  #parsed: RawTrailers | undefined = undefined;

  /** Limits for one message: bytes of all its chunk extensions, and of its trailers with their empty line. */
  constructor(maxExtensionBytes = 16_384, maxTrailerBytes = 16_384) {
    this.#maxExtensionBytes = maxExtensionBytes;
    this.#maxTrailerBytes = maxTrailerBytes;
  }

  /** Before the next message. */
  reset(): void {
    this.dataStart = 0;
    this.dataEnd = 0;
    this.consumed = 0;
    this.refusal = undefined;
    this.trailers = NONE;
    this.#state = SIZE;
    this.#digits = 0;
    this.#left = 0;
    this.#extensionBytes = 0;
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
    this.#parsed?.reset();
  }

  /**
   * Reads bytes[start, end), which must follow those of the last read. Data is to be taken after each read, also after one that is REFUSED.
   * DONE: the last chunk and the trailers have been read.
   */
  read(bytes: Buffer, start: number, end: number): ReadResult {
    this.dataStart = start;
    this.dataEnd = start;
    let at = start;
    let state = this.#state;
    let left = this.#left;
    let digits = this.#digits;
    while (at < end) {
      const octet = bytes[at] ?? 0;
      switch (state) {
        case SIZE: {
          const digit = HEX[octet] ?? NO_DIGIT;
          if (digit !== NO_DIGIT) {
            if (++digits > DIGITS) return this.#refuse("chunk-size-too-large", at);
            left = left * 16 + digit;
            at++;
          } else if (digits === 0) return this.#refuse("chunk-size", at);
          else if (octet === CR) {
            state = SIZE_LF;
            at++;
          } else if (octet === SEMICOLON) state = EXTENSION_END;
          else return this.#refuse(octet === LF ? "bare-lf" : "chunk-size", at);
          break;
        }
        case SIZE_LF:
          if (octet !== LF) return this.#refuse("bare-cr", at);
          at++;
          digits = 0;
          state = left === 0 ? TRAILERS : DATA;
          break;
        case DATA: {
          const length = Math.min(left, end - at);
          this.#take(bytes, at, length);
          at += length;
          left -= length;
          if (left > 0) break;
          if (at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF) {
            at += 2;
            state = SIZE;
          } else state = DATA_CR;
          break;
        }
        case DATA_CR:
          if (octet !== CR) return this.#refuse("chunk-end", at);
          at++;
          state = DATA_LF;
          break;
        case DATA_LF:
          if (octet !== LF) return this.#refuse("chunk-end", at);
          at++;
          state = SIZE;
          break;
        case TRAILERS:
          this.#state = state;
          return this.#readTrailers(bytes, at, end);
        default:
          if (++this.#extensionBytes > this.#maxExtensionBytes) return this.#refuse("chunk-extension-too-long", at);
          state = nextInExtension(state, octet);
          if (state < 0) return this.#refuse(octet === LF ? "bare-lf" : "chunk-extension", at);
          at++;
      }
    }
    this.#state = state;
    this.#left = left;
    this.#digits = digits;
    this.consumed = at;
    return MORE;
  }

  /** Puts data of a chunk behind that of the chunks before it. */
  #take(bytes: Buffer, from: number, length: number): void {
    const to = this.dataEnd;
    if (to === this.dataStart) {
      this.dataStart = from;
      this.dataEnd = from + length;
      return;
    }
    if (length < SHORT) for (let i = 0; i < length; i++) bytes[to + i] = bytes[from + i] ?? 0;
    else bytes.copyWithin(to, from, from + length);
    this.dataEnd = to + length;
  }

  #readTrailers(bytes: Buffer, at: number, end: number): ReadResult {
    const before = this.#gatheredBytes;
    if (before === 0 && at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF) return this.#finish(at + 2, NONE);
    const length = Math.min(end - at, this.#maxTrailerBytes - before);
    const gathered = this.#gather(bytes, at, length);
    const trailers = (this.#parsed ??= new RawTrailers());
    const result = trailers.read(gathered, 0, this.#gatheredBytes, this.#maxTrailerBytes);
    if (result === MORE) {
      this.consumed = end;
      return MORE;
    }
    const refusal = trailers.refusal === "head-too-large" ? "trailer-too-large" : trailers.refusal;
    if (refusal !== undefined) return this.#refuse(refusal, at);
    return this.#finish(at + trailers.end - before, trailers.allowed());
  }

  #gather(bytes: Buffer, at: number, length: number): Buffer {
    const before = this.#gatheredBytes;
    let gathered = this.#gathered;
    if (gathered === undefined || gathered.length < before + length) {
      const larger = Buffer.allocUnsafe(Math.max(FIRST_TRAILERS, 2 * (before + length)));
      gathered?.copy(larger, 0, 0, before);
      gathered = larger;
      this.#gathered = larger;
    }
    bytes.copy(gathered, before, at, at + length);
    this.#gatheredBytes = before + length;
    return gathered;
  }

  #finish(at: number, trailers: readonly string[]): ReadResult {
    this.consumed = at;
    this.trailers = trailers;
    return DONE;
  }

  #refuse(name: RefusalName, at: number): ReadResult {
    this.refusal = name;
    this.consumed = at;
    return REFUSED;
  }
}

/** `;name=token` or `;name="text"`, any number of times; -1 for what is neither. Ends in SIZE_LF. */
function nextInExtension(state: number, octet: number): number {
  switch (state) {
    case EXTENSION:
      return LOWER[octet] === 0 ? -1 : EXTENSION_NAME;
    case EXTENSION_NAME:
      if (LOWER[octet] !== 0) return EXTENSION_NAME;
      return octet === EQUALS ? EXTENSION_VALUE : afterExtension(octet);
    case EXTENSION_VALUE:
      if (octet === QUOTE) return EXTENSION_QUOTED;
      return LOWER[octet] === 0 ? -1 : EXTENSION_TOKEN;
    case EXTENSION_TOKEN:
      return LOWER[octet] === 0 ? afterExtension(octet) : EXTENSION_TOKEN;
    case EXTENSION_QUOTED:
      if (octet === QUOTE) return EXTENSION_END;
      if (octet === ESCAPE) return EXTENSION_ESCAPED;
      return TEXT[octet] === 1 ? EXTENSION_QUOTED : -1;
    case EXTENSION_ESCAPED:
      return TEXT[octet] === 1 ? EXTENSION_QUOTED : -1;
    default:
      return afterExtension(octet);
  }
}

function afterExtension(octet: number): number {
  if (octet === CR) return SIZE_LF;
  return octet === SEMICOLON ? EXTENSION : -1;
}

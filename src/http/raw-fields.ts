import { PLAIN, askedName, isName, keyOf, type Name } from "./field-names.ts";
import type { Head } from "./head.ts";
import type { RefusalName } from "./refusals.ts";

/** More bytes are needed. */
export const MORE = 0;
/** The head is whole. */
export const DONE = 1;
/** The bytes are not a head. */
export const REFUSED = 2;

export type ReadResult = typeof MORE | typeof DONE | typeof REFUSED;

/** Numbers a field takes in {@link RawFields.slots}: begin of its name, its colon, begin and end of its value, key of its name. */
export const STRIDE = 5;

const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COMMA = 0x2c;
const COLON = 0x3a;

/** Octets of a field value (RFC 9110, 5.5), blanks included. */
export const TEXT = new Uint8Array(256).fill(1, SP);
TEXT[TAB] = 1;
TEXT[0x7f] = 0;

/** A bit for each length of a name that means something here. */
const KNOWN_LENGTHS = [4, 6, 7, 10, 14, 17].reduce((bits, length) => bits | (1 << length), 0);

const NONE: readonly string[] = Object.freeze([]);
const NO_BYTES = Buffer.alloc(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));
const SLOTS = 64 * STRIDE;
/** A head with more fields than this does not leave its table to the next. */
const SLOTS_KEPT = 1024 * STRIDE;

/**
 * The fields of a message over bytes that are somebody else's, read without a copy; reused from message to message. What it hands out as
 * text is its own; everything else holds only as long as the bytes.
 */
export abstract class RawFields implements Head {
  bytes: Buffer = NO_BYTES;
  /** The head is [start, end), its empty line included, once it is DONE. */
  start = 0;
  end = 0;
  refusal: RefusalName | undefined = undefined;
  /** For writers: {@link STRIDE} numbers a field, then one more begin, that of the empty line. Offsets in `bytes`. */
  slots: Int32Array;
  /** Number of fields. */
  count = 0;

  /** The start line has been read, the fields have not. */
  protected inFields = false;
  protected begun = false;
  /** Where reading goes on; what is before it, back to `line`, has been found good. */
  protected at = 0;
  protected line = 0;
  /** Colon of the line being read; 0: not seen yet. */
  #colon = 0;
  #list: readonly string[] | undefined = undefined;
  /** Kept from message to message. */
  #viewed: Buffer = NO_BYTES;
  #view: DataView = NO_VIEW;

  constructor(slots = new Int32Array(SLOTS)) {
    this.slots = slots;
  }

  /** Before the next message. */
  reset(): void {
    this.bytes = NO_BYTES;
    this.start = 0;
    this.end = 0;
    this.refusal = undefined;
    if (this.slots.length > SLOTS_KEPT) this.slots = new Int32Array(SLOTS);
    this.count = 0;
    this.inFields = false;
    this.begun = false;
    this.at = 0;
    this.line = 0;
    this.#colon = 0;
    this.#list = undefined;
  }

  get(name: string): string | undefined {
    const { key, octets } = askedName(name);
    const field = this.find(key, octets, 0);
    return field < 0 ? undefined : this.valueAt(field);
  }

  has(name: string): boolean {
    const { key, octets } = askedName(name);
    return this.find(key, octets, 0) >= 0;
  }

  all(name: string): readonly string[] {
    const { key, octets } = askedName(name);
    let field = this.find(key, octets, 0);
    if (field < 0) return NONE;
    const values: string[] = [];
    for (; field >= 0; field = this.find(key, octets, field + 1)) values.push(this.valueAt(field));
    return values;
  }

  get fields(): readonly string[] {
    return (this.#list ??= this.#listFields());
  }

  #listFields(): readonly string[] {
    const { slots, count } = this;
    if (count === 0) return NONE;
    const list: string[] = [];
    for (let slot = 0; slot < count * STRIDE; slot += STRIDE) {
      list.push(this.text(slots[slot] ?? 0, slots[slot + 1] ?? 0), this.text(slots[slot + 2] ?? 0, slots[slot + 3] ?? 0));
    }
    return list;
  }

  /** Reads [start, end) as far as it is new. The subclass reads the start line. */
  protected readHead(bytes: Buffer, start: number, end: number, limit: number): ReadResult {
    this.bytes = bytes;
    if (!this.begun) {
      this.begun = true;
      this.start = start;
      this.at = start;
      this.line = start;
    }
    // What lies beyond the limit is not looked at, so that a head is judged the same however it is cut.
    const stop = end - start > limit ? start + limit : end;
    let result: ReadResult = DONE;
    if (!this.inFields) {
      result = this.readStartLine(stop);
      if (result === DONE) this.inFields = true;
    }
    if (result === DONE) result = this.readFields(stop);
    if (result === DONE) {
      this.refusal = this.judge();
      return DONE;
    }
    return result === MORE && end - start >= limit ? this.refuse("head-too-large") : result;
  }

  /** Sets `at` and `line` behind the line when it is DONE. */
  protected abstract readStartLine(stop: number): ReadResult;

  /** The whole head has been read: takes its meaning, and says what is wrong with it. */
  protected abstract judge(): RefusalName | undefined;

  /** A field was read whose name has one of the known lengths. */
  protected abstract note(field: number, length: number, key: number): void;

  protected refuse(name: RefusalName): ReadResult {
    this.refusal = name;
    return REFUSED;
  }

  protected readFields(stop: number): ReadResult {
    const { bytes } = this;
    const view = this.#viewOf(bytes);
    const lastFour = Math.min(stop, bytes.length) - 3;
    let slots = this.slots;
    let line = this.line;
    let at = this.at;
    let colon = this.#colon;
    let slot = this.count * STRIDE;
    for (;;) {
      if (colon === 0) {
        // Without a look at where the bytes end, which costs as much as the rest: what lies behind is read, but nothing made of it.
        while ((PLAIN[bytes[at] ?? 0] ?? 0) > 0) at++;
        if (at >= stop) {
          at = stop;
          break;
        }
        if (bytes[at] !== COLON || at === line) {
          if (at !== line || bytes[at] !== CR) return this.refuse(nameRefusal(bytes[at] ?? 0, at === line));
          if (at + 1 >= stop) break;
          if (bytes[at + 1] !== LF) return this.refuse("bare-cr");
          slots[slot] = at;
          this.end = at + 2;
          return DONE;
        }
        colon = at++;
      }
      while (at < lastFour && isPlainText(view.getInt32(at))) at += 4;
      while (TEXT[bytes[at] ?? 0] === 1) at++;
      if (at >= stop) {
        at = stop;
        break;
      }
      if (at + 1 >= stop && bytes[at] === CR) break;
      if (bytes[at] !== CR) return this.refuse(bytes[at] === LF ? "bare-lf" : "control-in-value");
      if (bytes[at + 1] !== LF) return this.refuse("bare-cr");
      let from = colon + 1;
      let to = at;
      while (from < to && (bytes[from] === SP || bytes[from] === TAB)) from++;
      while (to > from && (bytes[to - 1] === SP || bytes[to - 1] === TAB)) to--;
      const key = keyOf(view, line, colon);
      slots[slot] = line;
      slots[slot + 1] = colon;
      slots[slot + 2] = from;
      slots[slot + 3] = to;
      slots[slot + 4] = key;
      const length = colon - line;
      if (length < 18 && ((KNOWN_LENGTHS >>> length) & 1) === 1) this.note(this.count, length, key);
      this.count++;
      slot += STRIDE;
      if (slot + STRIDE > slots.length) {
        const larger = new Int32Array(slots.length * 2);
        larger.set(slots);
        slots = larger;
        this.slots = larger;
      }
      at += 2;
      line = at;
      colon = 0;
    }
    this.line = line;
    this.at = at;
    this.#colon = colon;
    return MORE;
  }

  /** Most heads lie in the same memory as the one before. */
  #viewOf(bytes: Buffer): DataView {
    if (bytes !== this.#viewed) {
      this.#viewed = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    return this.#view;
  }

  /** Before a long rest: memory of more than `longest` bytes is not held for the sake of the next head. */
  protected letGoOfLarger(longest: number): void {
    if (this.#viewed.length <= longest) return;
    this.#viewed = NO_BYTES;
    this.#view = NO_VIEW;
  }

  protected namesMember(name: Name, member: Uint8Array): boolean {
    for (let field = this.find(name.key, name.octets, 0); field >= 0; field = this.find(name.key, name.octets, field + 1)) {
      if (this.hasMember(field, member)) return true;
    }
    return false;
  }

  /** Whether the comma-separated value has a member that is `member` but for case. */
  protected hasMember(field: number, member: Uint8Array): boolean {
    const { bytes, slots } = this;
    const to = slots[field * STRIDE + 3] ?? 0;
    for (let at = slots[field * STRIDE + 2] ?? 0; at < to; at++) {
      while (at < to && (bytes[at] === SP || bytes[at] === TAB)) at++;
      const from = at;
      while (at < to && bytes[at] !== COMMA) at++;
      let last = at;
      while (last > from && (bytes[last - 1] === SP || bytes[last - 1] === TAB)) last--;
      if (isName(bytes, from, last, member)) return true;
    }
    return false;
  }

  protected find(key: number, octets: Uint8Array, first: number): number {
    const { slots, count } = this;
    for (let field = first; field < count; field++) {
      if (slots[field * STRIDE + 4] === key && this.isField(field, octets)) return field;
    }
    return -1;
  }

  protected isField(field: number, octets: Uint8Array): boolean {
    const { slots } = this;
    return isName(this.bytes, slots[field * STRIDE] ?? 0, slots[field * STRIDE + 1] ?? 0, octets);
  }

  /** Whether the whole value is this token, but for case. */
  protected isValue(field: number, token: Uint8Array): boolean {
    const { slots } = this;
    return isName(this.bytes, slots[field * STRIDE + 2] ?? 0, slots[field * STRIDE + 3] ?? 0, token);
  }

  protected valueAt(field: number): string {
    return this.text(this.slots[field * STRIDE + 2] ?? 0, this.slots[field * STRIDE + 3] ?? 0);
  }

  protected isText(from: number, to: number, text: string): boolean {
    const { bytes } = this;
    const length = text.length;
    if (to - from !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[from + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  protected text(from: number, to: number): string {
    return this.bytes.toString("latin1", from, to);
  }
}

/**
 * Whether four octets at once are all printable ASCII or blanks: none below 0x20, none DEL, none above. The high bit of an octet is set in
 * it, or by taking 0x20 from it, or by adding 1 to it, if it is not. Octets next to a bad one may be taken for bad, which costs only time.
 */
function isPlainText(four: number): boolean {
  return ((four | (four - 0x20202020) | (four + 0x01010101)) & 0x80808080) === 0;
}

function nameRefusal(octet: number, first: boolean): RefusalName {
  if (octet === SP || octet === TAB) return first ? "obs-fold" : "space-before-colon";
  return octet === LF ? "bare-lf" : "bad-field-name";
}

import { METHODS } from "node:http";
import { LOWER, isName, nameOf } from "./field-names.ts";
import type { RequestHead } from "./head.ts";
import { CR, DONE, LF, MORE, SP, STRIDE, type ReadResult } from "./raw-fields.ts";
import { RawHead } from "./raw-head.ts";
import { isAuthority, refuseTarget, targetFlags, TARGET } from "./raw-target.ts";
import type { RefusalName } from "./refusals.ts";
import { splitAbsolute } from "./strict.ts";

const HOST = nameOf("host");
const EXPECT = nameOf("expect");
const UPGRADE = nameOf("upgrade");
const CONTINUE = Buffer.from("100-continue");
const WEBSOCKET = Buffer.from("websocket");
const VERSION = Buffer.from("HTTP/");
/** Room for the version and its CRLF: ` HTTP/1.1` and two more. */
const LINE_END = 11;

/** The methods that Node's parser knows; others are refused as it refuses them. */
const KNOWN: ReadonlySet<string> = new Set(METHODS);
const SLASH = 0x2f;
const ASTERISK = 0x2a;
const LONGEST_METHOD = 24;
/** Empty lines that some clients send behind a body are passed over (RFC 9112, 2.2), but not any number of them. */
const EMPTY_LINES = 2;
/** So that a connection at rest does not hold what some client made up. */
const LONGEST_KEPT = 255;
/** What a request usually lies in; what had to be larger is not held by a head that waits for its next request. */
const LONGEST_MEMORY_KEPT = 8_192;

/**
 * A request head. `read` returns REFUSED for bytes that are no request; nothing but `refusal` can be relied on then. It returns DONE with
 * `refusal` set for a request that must not be forwarded: it can be asked what it is, but not where its body ends, so its connection is closed.
 */
export class RawRequest extends RawHead implements RequestHead {
  /** The target as received. */
  targetStart = 0;
  targetEnd = 0;
  methodIsHead = false;
  /** The client waits for 100 Continue. */
  expectsContinue = false;
  /** Asks for a tunnel that can be had: a GET of HTTP/1.1 without a body that offers WebSocket and nothing else. */
  webSocket = false;
  /** One of Node's METHODS, in its very spelling. */
  method = "";

  #emptyLines = 0;
  #flags = 0;
  #hosts = 0;
  #hostField = 0;
  #expects = 0;
  #upgrades = 0;
  #upgradeField = 0;
  #absolute = false;
  /** Of an earlier message. */
  #lastHost = "";
  #lastTarget = "";
  #target: string | undefined = undefined;
  #host: string | undefined = undefined;

  override reset(): void {
    super.reset();
    this.letGoOfLarger(LONGEST_MEMORY_KEPT);
    this.targetStart = 0;
    this.targetEnd = 0;
    this.methodIsHead = false;
    this.expectsContinue = false;
    this.webSocket = false;
    this.method = "";
    this.#emptyLines = 0;
    this.#flags = 0;
    this.#hosts = 0;
    this.#expects = 0;
    this.#upgrades = 0;
    this.#absolute = false;
    this.#target = undefined;
    this.#host = undefined;
  }

  /**
   * Reads the head that begins at `start`. After MORE it is called with the same bytes and start, and a later `end`. A head over `limit` bytes is
   * refused, be it whole or not.
   */
  read(bytes: Buffer, start: number, end: number, limit: number): ReadResult {
    return this.readHead(bytes, start, end, limit);
  }

  get version(): "1.0" | "1.1" {
    return this.minor === 1 ? "1.1" : "1.0";
  }

  get target(): string {
    return (this.#target ??= this.#targetText());
  }

  /** Many requests ask for the same, one after the other: the text made for the one before is used again. */
  #targetText(): string {
    if (this.isText(this.targetStart, this.targetEnd, this.#lastTarget)) return this.#lastTarget;
    const text = this.text(this.targetStart, this.targetEnd);
    if (text.length <= LONGEST_KEPT) this.#lastTarget = text;
    return text;
  }

  /** Whether {@link host} is empty. */
  get namesNoHost(): boolean {
    if (this.#host !== undefined) return this.#host === "";
    const slot = this.#hostField * STRIDE;
    return this.#hosts === 0 || this.slots[slot + 2] === this.slots[slot + 3];
  }

  /** Whether this target goes on as it was received. */
  isRawTarget(target: string): boolean {
    return !this.#absolute && target === this.target;
  }

  get host(): string {
    return (this.#host ??= this.#hosts === 0 ? "" : this.#hostText());
  }

  override get(name: string): string | undefined {
    // Asked of every request, and nearly always the same as `host`, which is there already.
    if (name !== "host" || this.#absolute) return super.get(name);
    return this.#hosts === 0 ? undefined : this.host;
  }

  /** Most requests on a connection name the same host: the text made for the one before is used again. */
  #hostText(): string {
    const { slots } = this;
    const from = slots[this.#hostField * STRIDE + 2] ?? 0;
    const to = slots[this.#hostField * STRIDE + 3] ?? 0;
    if (this.isText(from, to, this.#lastHost)) return this.#lastHost;
    const text = this.text(from, to);
    if (text.length <= LONGEST_KEPT) this.#lastHost = text;
    return text;
  }

  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0;
  }

  protected override readStartLine(stop: number): ReadResult {
    const { bytes } = this;
    let at = this.at;
    if (this.method === "") {
      while (at === this.line && bytes[at] === CR) {
        if (at + 1 >= stop) return MORE;
        if (bytes[at + 1] !== LF) return this.refuse("bare-cr");
        if (++this.#emptyLines > EMPTY_LINES) return this.refuse("empty-lines");
        at += 2;
        this.at = at;
        this.line = at;
      }
      while (at < stop && LOWER[bytes[at] ?? 0] !== 0) at++;
      if (at - this.line > LONGEST_METHOD) return this.refuse("bad-method");
      if (at >= stop) return MORE;
      if (bytes[at] !== SP) return this.refuse(bytes[at] === LF ? "bare-lf" : "bad-method");
      this.method = methodAt(bytes, this.line, at);
      if (this.method === "") return this.refuse("bad-method");
      at++;
      this.targetStart = at;
    }
    if (this.targetEnd === 0) {
      let flags = this.#flags;
      for (; at < stop; at++) {
        const kind = TARGET[bytes[at] ?? 0] ?? 0;
        if (kind === 0) break;
        flags |= kind;
      }
      this.#flags = flags;
      this.at = at;
      if (at >= stop) return MORE;
      if (at === this.targetStart) return this.refuse("target-character");
      this.targetEnd = at;
    }
    return this.#readVersion(at, stop);
  }

  #readVersion(at: number, stop: number): ReadResult {
    const { bytes } = this;
    const last = at + LINE_END - 1;
    const usual =
      last < stop &&
      bytes[at] === SP &&
      bytes[at + 1] === 0x48 &&
      bytes[at + 2] === 0x54 &&
      bytes[at + 3] === 0x54 &&
      bytes[at + 4] === 0x50 &&
      bytes[at + 5] === 0x2f &&
      bytes[at + 6] === 0x31 &&
      bytes[at + 7] === 0x2e &&
      (bytes[at + 8] === 0x31 || bytes[at + 8] === 0x30) &&
      bytes[at + 9] === CR &&
      bytes[last] === LF;
    if (!usual) return this.#refuseVersion(at, stop);
    this.minor = (bytes[at + 8] ?? 0) - 0x30;
    this.at = last + 1;
    this.line = last + 1;
    return DONE;
  }

  /** What is wrong behind the target, as far as it has come. */
  #refuseVersion(at: number, stop: number): ReadResult {
    const { bytes } = this;
    if (bytes[at] === CR) {
      // Without a version it is HTTP/0.9.
      if (at + 1 >= stop) return MORE;
      return this.refuse(bytes[at + 1] === LF ? "version-not-supported" : "bare-cr");
    }
    if (bytes[at] !== SP) return this.refuse(bytes[at] === LF ? "bare-lf" : "target-character");
    const have = Math.min(stop - at, LINE_END);
    for (let i = 1; i < have; i++) {
      const octet = bytes[at + i] ?? 0;
      const good = i < 6 ? octet === VERSION[i - 1] : i === 7 ? octet === 0x2e : i < 9 ? octet >= 0x30 && octet <= 0x39 : true;
      if (!good) return this.refuse("bad-version");
      if (i === 9 && octet !== CR) return this.refuse(octet === LF ? "bare-lf" : "bad-version");
      if (i === 10 && octet !== LF) return this.refuse("bare-cr");
    }
    return have < LINE_END ? MORE : this.refuse("version-not-supported");
  }

  protected override note(field: number, length: number, key: number): void {
    if (length > 7) super.note(field, length, key);
    else if (length === 4 && key === HOST.key && this.isField(field, HOST.octets)) {
      this.#hosts++;
      this.#hostField = field;
    } else if (length === 6 && key === EXPECT.key && this.isField(field, EXPECT.octets)) {
      this.#expects++;
    } else if (length === 7 && key === UPGRADE.key && this.isField(field, UPGRADE.octets)) {
      this.#upgrades++;
      this.#upgradeField = field;
    }
  }

  protected override judge(): RefusalName | undefined {
    this.methodIsHead = this.method === "HEAD";
    this.judgeConnection();
    const first = this.bytes[this.targetStart];
    if (first !== SLASH && first !== ASTERISK) this.#takeApart();
    const framing = this.judgeFraming();
    if (framing !== undefined) return framing;
    if (this.#upgrades === 1) {
      this.webSocket =
        this.minor === 1 && this.method === "GET" && !this.hasBody && this.isValue(this.#upgradeField, WEBSOCKET) && this.offersUpgrade();
    }
    // HTTP/1.0 knows no expectations; a tunnel has no body to wait for.
    if (this.#expects > 0 && this.minor === 1 && !this.webSocket) {
      if (!this.#expectsOnlyContinue()) return "expectation";
      this.expectsContinue = true;
    }
    if (this.#hosts > 1) return "two-hosts";
    if (this.#hosts === 0 && this.minor === 1) return "no-host";
    if (this.#hosts === 1 && !this.#hostIsGood()) return "bad-host";
    if (this.method === "CONNECT") return "connect";
    if (this.method === "TRACE") return "trace";
    return this.#judgeTarget();
  }

  #expectsOnlyContinue(): boolean {
    const { bytes, slots } = this;
    for (let field = this.find(EXPECT.key, EXPECT.octets, 0); field >= 0; field = this.find(EXPECT.key, EXPECT.octets, field + 1)) {
      const slot = field * STRIDE;
      if (!isName(bytes, slots[slot + 2] ?? 0, slots[slot + 3] ?? 0, CONTINUE)) return false;
    }
    return true;
  }

  #hostIsGood(): boolean {
    const slot = this.#hostField * STRIDE;
    return isAuthority(this.bytes, this.slots[slot + 2] ?? 0, this.slots[slot + 3] ?? 0);
  }

  /** An absolute target overrules Host (RFC 9112, 3.2.2). */
  #takeApart(): void {
    const absolute = splitAbsolute(this.target);
    if (absolute === undefined) return;
    this.#absolute = true;
    this.#target = absolute.target;
    this.#host = absolute.host;
    this.#flags = targetFlags(absolute.target);
  }

  #judgeTarget(): RefusalName | undefined {
    if (this.bytes[this.targetStart] === SLASH) return refuseTarget(this.bytes, this.targetStart, this.targetEnd, this.#flags);
    const { target } = this;
    if (target === "*") return this.method === "OPTIONS" ? undefined : "asterisk-form";
    if (target.charCodeAt(0) !== SLASH) return "bad-target";
    return refuseTarget(Buffer.from(target, "latin1"), 0, target.length, this.#flags);
  }
}

/** The method, of strings that exist already where it is a usual one; empty when it is none. */
function methodAt(bytes: Buffer, start: number, end: number): string {
  const first = bytes[start] ?? 0;
  const second = bytes[start + 1] ?? 0;
  switch (end - start) {
    case 3:
      if (first === 0x47 && second === 0x45 && bytes[start + 2] === 0x54) return "GET";
      if (first === 0x50 && second === 0x55 && bytes[start + 2] === 0x54) return "PUT";
      break;
    case 4:
      if (first === 0x50 && second === 0x4f && bytes[start + 2] === 0x53 && bytes[start + 3] === 0x54) return "POST";
      break;
  }
  const method = bytes.toString("latin1", start, end);
  return KNOWN.has(method) ? method : "";
}

import { encodeLines, fieldLine, type Head, type RequestHead } from "./head.ts";

/** Who asked, as far as it can be believed. */
export interface Origin {
  /** Address of the client: the nearest one that is not a trusted hop. */
  readonly client: string;
  readonly trusted: boolean;
}

/**
 * Walks X-Forwarded-For from the right while each address is a trusted hop; the first that is not is the client. From an
 * untrusted peer the field says nothing.
 */
export function originOf(head: Head, peer: string, isTrusted: (address: string) => boolean): Origin {
  if (!isTrusted(peer)) return { client: peer, trusted: false };
  const chain = head.all("x-forwarded-for").join(",");
  let client = peer;
  if (chain !== "") {
    const hops = chain.split(",");
    for (let i = hops.length - 1; i >= 0; i--) {
      const hop = bareAddress((hops[i] ?? "").trim());
      if (hop === "") break;
      client = hop;
      if (!isTrusted(hop)) break;
    }
  }
  return { client, trusted: true };
}

/** `[::1]:1234`, `10.0.0.1:80` and `::ffff:10.0.0.1` as plain addresses. */
export function bareAddress(text: string): string {
  let address = text;
  if (address.startsWith("[")) address = address.slice(1, address.indexOf("]") < 0 ? undefined : address.indexOf("]"));
  else if (address.includes(".") && address.includes(":") && !address.includes("::")) address = address.slice(0, address.lastIndexOf(":"));
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** Names we write ourselves, whatever came; what a trusted hop said of them is built upon. */
export const FORWARDED_FIELDS = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via"] as const;

/** What is said of a request that came straight from its client: the same for all of them, mostly. */
interface Known {
  readonly peer: string;
  readonly host: string;
  readonly version: string;
  readonly secure: boolean;
  readonly lines: Uint8Array;
}

const REMEMBERED = 1_000;

/** What a request is forwarded with: its head, and the connection it came on. */
interface Forwarded {
  readonly head: RequestHead;
  readonly peer: string;
  readonly secure: boolean;
}

/** Writes X-Forwarded-*, Forwarded (RFC 7239) and Via (RFC 9110, 7.6.3) for the upstream. `name` is ours in Via. */
export class Forwarding {
  readonly #name: string;
  readonly #known = new Map<string, Known>();
  #last: Known | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** `via` is what the request brought: {@link viaOf}. */
  linesFor(request: Forwarded, trusted: boolean, via: string): Uint8Array {
    if (trusted || via !== "") return encodeLines(forwardingLines(request, trusted, via, this.#name));
    const { head, peer, secure } = request;
    const { host, version } = head;
    const known = this.#last?.peer === peer ? this.#last : this.#known.get(peer);
    if (known !== undefined && known.host === host && known.version === version && known.secure === secure) {
      this.#last = known;
      return known.lines;
    }
    const lines = encodeLines(forwardingLines(request, false, "", this.#name));
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(peer, { peer, host, version, secure, lines });
    return lines;
  }
}

/** A chain is continued only if a trusted hop began it: anybody could write the rest. */
function forwardingLines({ head, peer, secure }: Forwarded, trusted: boolean, via: string, name: string): string {
  const scheme = secure ? "https" : "http";
  const before = trusted ? head.all("x-forwarded-for").join(", ") : "";
  const proto = (trusted && head.get("x-forwarded-proto")) || scheme;
  const host = (trusted && head.get("x-forwarded-host")) || head.host;
  const node = peer.includes(":") ? `"[${peer}]"` : peer;
  const element = `for=${node};host="${head.host}";proto=${scheme}`;
  const chain = trusted ? head.all("forwarded").join(", ") : "";
  return [
    fieldLine("X-Forwarded-For", before === "" ? peer : `${before}, ${peer}`),
    fieldLine("X-Forwarded-Proto", proto),
    host === "" ? "" : fieldLine("X-Forwarded-Host", host),
    fieldLine("Forwarded", chain === "" ? element : `${chain}, ${element}`),
    fieldLine("Via", via === "" ? `${head.version} ${name}` : `${via}, ${head.version} ${name}`),
  ].join("");
}

/** The proxies that a message has passed, as one Via field; empty for none. */
export function viaOf(head: Head): string {
  return head.has("via") ? head.all("via").join(", ") : "";
}

/** Whether a message has passed a proxy of this name. */
export function hasPassed(via: string, name: string): boolean {
  return via !== "" && via.split(",").some((entry) => entry.trim().split(/\s+/)[1] === name);
}

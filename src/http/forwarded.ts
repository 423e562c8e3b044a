import type { Head } from "./head.ts";

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

/**
 * X-Forwarded-*, Forwarded (RFC 7239) and Via (RFC 9110, 7.6.3) for the upstream, appended to `set`. A chain is continued only
 * if a trusted hop began it: anybody could write the rest.
 */
export function appendForwarding(
  set: string[],
  head: Head,
  facts: { peer: string; trusted: boolean; secure: boolean; host: string; version: string; name: string },
): void {
  const { peer, trusted } = facts;
  const before = trusted ? head.all("x-forwarded-for").join(", ") : "";
  set.push("X-Forwarded-For", before === "" ? peer : `${before}, ${peer}`);
  const proto = (trusted && head.get("x-forwarded-proto")) || (facts.secure ? "https" : "http");
  set.push("X-Forwarded-Proto", proto);
  const host = (trusted && head.get("x-forwarded-host")) || facts.host;
  if (host !== "") set.push("X-Forwarded-Host", host);
  const node = peer.includes(":") ? `"[${peer}]"` : peer;
  const element = `for=${node};host="${facts.host}";proto=${facts.secure ? "https" : "http"}`;
  const chain = trusted ? head.all("forwarded").join(", ") : "";
  set.push("Forwarded", chain === "" ? element : `${chain}, ${element}`);
  appendVia(set, head, facts.version, facts.name);
}

/** One Via field that continues those received. */
function appendVia(set: string[], head: Head, version: string, name: string): void {
  const via = head.all("via").join(", ");
  set.push("Via", via === "" ? `${version} ${name}` : `${via}, ${version} ${name}`);
}

/** Whether a message has passed a proxy of this name. */
export function hasPassed(head: Head, name: string): boolean {
  const via = head.all("via");
  if (via.length === 0) return false;
  return via.some((field) => field.split(",").some((entry) => entry.trim().split(/\s+/)[1] === name));
}

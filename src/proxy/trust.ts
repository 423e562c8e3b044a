import ipaddr from "ipaddr.js";

const REMEMBERED = 10_000;

/** Tells trusted hops by address. Answers are remembered, so that a range is matched once an address, not once a request. */
export function createTrust(ranges: readonly string[]): (address: string) => boolean {
  if (ranges.length === 0) return () => false;
  const parsed = ranges.map((range) => (range.includes("/") ? ipaddr.parseCIDR(range) : wholeAddress(range)));
  const known = new Map<string, boolean>();
  return (address) => {
    const before = known.get(address);
    if (before !== undefined) return before;
    const trusted = ipaddr.isValid(address) && matches(ipaddr.process(address), parsed);
    if (known.size >= REMEMBERED) known.clear();
    known.set(address, trusted);
    return trusted;
  };
}

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

function wholeAddress(text: string): Range {
  const address = ipaddr.parse(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

function matches(address: ipaddr.IPv4 | ipaddr.IPv6, ranges: readonly Range[]): boolean {
  return ranges.some((range) => address.kind() === range[0].kind() && address.match(range));
}

import ipaddr from "ipaddr.js";
import type { Endpoint, Store } from "./config.ts";
import { show } from "./problem.ts";
import type { Reading, Scalar } from "./scalars.ts";

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

const HOST = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?$/;

/** `host:port`, with an IPv6 address in brackets. */
export function socketAddress(anyPort: boolean): Scalar<SocketAddress> {
  const ports = anyPort ? "a port from 0 to 65535 (0 lets the system choose)" : "a port from 1 to 65535";
  const expected = `host:port with ${ports}, such as 127.0.0.1:8080 or [::1]:8080`;
  return {
    kind: "host:port",
    expected,
    read(given) {
      const text = given.trim();
      if (/^:?\d+$/.test(text)) {
        const port = text.replace(":", "");
        return { wrong: `${show(given)} has no host; write 127.0.0.1:${port} for this machine only or 0.0.0.0:${port} for all` };
      }
      const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
      const host = match?.[1] ?? match?.[2] ?? "";
      const port = Number(match?.[3] ?? Number.NaN);
      if (!match || !isHost(host, match[1] !== undefined)) return { wrong: `${show(given)} is not an address; expected ${expected}` };
      if (port > 65_535 || (port === 0 && !anyPort)) return { wrong: `${show(given)} has no usable port; expected ${expected}` };
      return { value: { host, port } };
    },
    json: { type: "string" },
  };
}

function isHost(host: string, bracketed: boolean): boolean {
  if (bracketed) return ipaddr.IPv6.isValid(host);
  // A name of digits and dots alone is an IPv4 address or a slip.
  return HOST.test(host) && (!/^[\d.]+$/.test(host) || ipaddr.IPv4.isValidFourPartDecimal(host));
}

export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost") return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === "loopback";
}

/** True where binding both would fail or leave one of them unreachable. Port 0 never collides. */
export function collide(a: SocketAddress, b: SocketAddress): boolean {
  if (a.port === 0 || a.port !== b.port) return false;
  const [hostA, hostB] = [canonicalHost(a.host), canonicalHost(b.host)];
  if (hostA === hostB || hostA === "::" || hostB === "::") return true;
  return (hostA === "0.0.0.0" && !hostB.includes(":")) || (hostB === "0.0.0.0" && !hostA.includes(":"));
}

function canonicalHost(host: string): string {
  const name = host.toLowerCase();
  if (name === "localhost") return "127.0.0.1";
  return ipaddr.isValid(name) ? ipaddr.process(name).toString() : name;
}

/** A network in CIDR form; a single address becomes a network of one. */
export const network: Scalar<string> = {
  kind: "network",
  expected: "an address or a network in CIDR form, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8",
  read(given) {
    const text = given.trim();
    const [address = "", bits, ...rest] = text.split("/");
    const v4 = ipaddr.IPv4.isValidFourPartDecimal(address);
    if (rest.length > 0 || !(v4 || (address.includes(":") && ipaddr.IPv6.isValid(address)))) {
      return { wrong: `${show(given)} is not a network; expected ${network.expected}` };
    }
    const most = v4 ? 32 : 128;
    if (bits === undefined) return { value: `${address}/${most}` };
    if (!/^\d{1,3}$/.test(bits) || Number(bits) > most)
      return { wrong: `${show(given)} has no usable prefix length; expected 0 to ${most} after the slash` };
    return { value: `${address}/${Number(bits)}` };
  },
  json: { type: "string" },
};

/** True for a network that holds every address of its family. */
export function isEverywhere(cidr: string): boolean {
  return cidr.endsWith("/0");
}

/** `http://host:port` of a backend. */
export const endpoint: Scalar<Omit<Endpoint, "ca">> = {
  kind: "URL",
  expected: "http://host:port or https://host:port and nothing after it, such as http://127.0.0.1:5062",
  read(given): Reading<Omit<Endpoint, "ca">> {
    const text = given.trim();
    const expected = endpoint.expected;
    const url = URL.parse(text);
    if (/^[\w.-]+:\d+$/.test(text)) return { wrong: `${show(given)} has no scheme; write http://${text} or https://${text}` };
    if (!/^https?:\/\//i.test(text) || url === null)
      return { wrong: `${show(withoutCredentials(given))} is not a backend's address; expected ${expected}` };
    if (url.username !== "" || url.password !== "") return { wrong: `holds credentials, which would end up in logs; expected ${expected}` };
    if (url.pathname !== "/") return { wrong: `${show(given)} has a path; expected ${expected} (a route's target may set a path)` };
    if (/[?#]/.test(text)) return { wrong: `${show(given)} has a query or a fragment; expected ${expected}` };
    const secure = url.protocol === "https:";
    const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
    if (port === 0) return { wrong: `${show(given)} has port 0; expected ${expected}` };
    return { value: Object.freeze({ secure, host: url.hostname.replace(/^\[|\]$/g, ""), port, origin: url.origin }) };
  },
  json: { type: "string" },
};

/** The short forms of `store`: the word memory, or the URL of one Redis. */
export const storeAddress: Scalar<Store> = {
  kind: "memory, URL or mapping",
  expected: "memory, redis://host:port, rediss://host:port (TLS), or a mapping with sentinels and master",
  read(given): Reading<Store> {
    const text = given.trim();
    const expected = storeAddress.expected;
    if (text.toLowerCase() === "memory") return { value: { kind: "memory" } };
    if (/^(redis(s|-|\+)*)?cluster\b/i.test(text) || /^rediss?:\/\/[^/]*,/.test(text)) {
      return {
        wrong: `${show(withoutCredentials(given))} names a Redis Cluster, which this version does not support; expected ${expected}`,
      };
    }
    if (/^[\w.-]+:\d+$/.test(text)) return { wrong: `${show(given)} has no scheme; write redis://${text}` };
    const url = URL.parse(text);
    if (url === null && /^rediss?:\/\//i.test(text)) {
      return {
        wrong: `${show(withoutCredentials(given))} is not a usable URL; a special character in a user or password is written as % and its code`,
      };
    }
    if (url === null || !/^rediss?:\/\//i.test(text))
      return { wrong: `${show(withoutCredentials(given))} is not a store; expected ${expected}` };
    if (url.hostname === "") return { wrong: `${show(withoutCredentials(given))} has no host; expected ${expected}` };
    if (!/^(\/\d{0,4})?$/.test(url.pathname))
      return { wrong: `the path of ${show(withoutCredentials(given))} must be the number of a database, such as /0` };
    return { value: { kind: "redis", url: text } };
  },
  json: { type: "string" },
};

function withoutCredentials(url: string): string {
  return url.replace(/\/\/.*@/, "//***@");
}

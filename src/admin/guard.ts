import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isLoopback } from "../config/addresses.ts";
import type { Person } from "../config/config.ts";
import { Problem } from "./problem.ts";

/** Who may talk to an admin API. */
export interface AdminAccess {
  /** The address that it is bound to. */
  readonly host: string;
  readonly token: string | undefined;
  /** Those with tokens of their own. Default: nobody. */
  readonly people?: readonly Person[];
}

/** What of a request decides whether it is let in. */
export interface Caller {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/** Who is calling, as far as it is known. */
export interface Identity {
  /** As it goes into the audit. */
  readonly who: string;
  /** In which roles; undefined: in whichever is named, since nothing is proved. */
  readonly roles: readonly string[] | undefined;
  /** By a token that nobody else has. */
  readonly proved: boolean;
}

/**
 * Throws the {@link Problem} of a caller who may not come in, and says who comes in.
 *
 * A token proves that the caller was given access, and a browser never adds it by itself. Without one, being on this
 * machine is the proof, and a page in a browser on this machine shares it: so the Host must be a name that no
 * foreign DNS can point here, and a change must not come from a page of another origin.
 */
export function admit(caller: Caller, access: AdminAccess): Identity {
  const { authorization, host } = caller.headers;
  const people = access.people ?? [];
  const given = bearerOf(authorization);
  const person = given === undefined ? undefined : ownerOf(given, people);
  if (person === undefined) {
    const needed = access.token !== undefined || (people.length > 0 && (given !== undefined || !isLoopback(access.host)));
    if (needed) requireToken(given, access);
    else requireOwnHost(host, access.host);
  }
  if (caller.method !== "GET" && caller.method !== "HEAD") requireOwnOrigin(caller.headers);
  if (person !== undefined) return { who: person.name, roles: person.roles, proved: true };
  const said = nameSaid(caller.headers["x-crossfade-user"]);
  // Nobody who proves who he is can be called so, and whoever reads the audit sees the difference.
  return { who: people.length === 0 ? said : `${said} (unproved)`, roles: undefined, proved: false };
}

/**
 * Throws the {@link Problem} of a caller to whom not even a page without secrets is given: where being on this machine is all the proof there is, a
 * foreign name for it is refused, so that a page under that name cannot call the API as its own.
 */
export function admitToPage({ headers }: Caller, { host, token }: AdminAccess): void {
  if (token === undefined && isLoopback(host)) requireOwnHost(headers.host, host);
}

function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
}

/** Everybody's token is looked at, so the time taken does not say whose was the right one. */
function ownerOf(given: string, people: readonly Person[]): Person | undefined {
  const matches = people.map(({ token }) => equalInConstantTime(given, token));
  return people[matches.indexOf(true)];
}

function requireToken(given: string | undefined, { token, people = [] }: AdminAccess): void {
  if (given !== undefined && token !== undefined && equalInConstantTime(given, token)) return;
  const fault = given === undefined ? "Send the header `Authorization: Bearer TOKEN`" : "The bearer token is not the right one";
  const challenge = given === undefined ? 'Bearer realm="crossfade"' : 'Bearer realm="crossfade", error="invalid_token"';
  const those = people.length === 0 ? "the one of `admin.token`" : "your own of `admin.people`, or the one of `admin.token`,";
  throw new Problem("unauthorized", `${fault}; it is ${those} in the configuration file.`, {}, { "www-authenticate": challenge });
}

/** HTTP hands headers over as Latin-1; names are sent as UTF-8. Control characters have no place in an audit line. */
function nameSaid(header: string | string[] | undefined): string {
  if (typeof header !== "string") return "admin";
  const name = Buffer.from(header, "latin1")
    .toString("utf8")
    .replace(/\p{Cc}/gu, "")
    .trim();
  return name.slice(0, 100) || "admin";
}

/** Digests have one length, so neither the length of the token nor where it differs shows in the time taken. */
function equalInConstantTime(left: string, right: string): boolean {
  return timingSafeEqual(createHash("sha256").update(left).digest(), createHash("sha256").update(right).digest());
}

function requireOwnHost(header: string | undefined, bound: string): void {
  const host = hostOf(header ?? "");
  if (host !== undefined && (isLoopback(host) || host === bound.toLowerCase())) return;
  throw new Problem(
    "foreign-host",
    `The Host header is ${quote(header)}; without a token only localhost, 127.0.0.1 and [::1] are answered.`,
  );
}

/** Browsers that do not send Sec-Fetch-Site send Origin with every change; programs usually send neither. */
export function requireOwnOrigin(headers: IncomingHttpHeaders): void {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    throw new Problem("foreign-origin", `Sec-Fetch-Site is ${quote(site)}; changes and streams are for pages of this address only.`);
  }
  const { origin, host } = headers;
  if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return;
  throw new Problem("foreign-origin", `Origin is ${quote(origin)}; changes and streams are for pages of this address only.`);
}

/** The host of a Host header in lower case, without its port, brackets or closing dot. */
function hostOf(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:/?#@\\\s]+?)\.?)(?::\d{1,5})?$/i.exec(header);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

function quote(value: string | undefined): string {
  return value === undefined ? "missing" : JSON.stringify(value.slice(0, 100));
}

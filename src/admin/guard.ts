import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isLoopback } from "../config/addresses.ts";
import { Problem } from "./problem.ts";

/** Who may talk to an admin API. */
export interface AdminAccess {
  /** The address that it is bound to. */
  readonly host: string;
  readonly token: string | undefined;
}

/** What of a request decides whether it is let in. */
export interface Caller {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Throws the {@link Problem} of a caller who may not come in.
 *
 * A token proves that the caller was given access, and a browser never adds it by itself. Without one, being on this
 * machine is the proof, and a page in a browser on this machine shares it: so the Host must be a name that no
 * foreign DNS can point here, and a change must not come from a page of another origin.
 */
export function admit(caller: Caller, access: AdminAccess): void {
  if (access.token !== undefined) requireToken(caller.headers.authorization, access.token);
  else requireOwnHost(caller.headers.host, access.host);
  if (caller.method !== "GET" && caller.method !== "HEAD") requireOwnOrigin(caller.headers);
}

function requireToken(authorization: string | undefined, token: string): void {
  const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
  if (given !== undefined && equalInConstantTime(given, token)) return;
  const fault = given === undefined ? "Send the header `Authorization: Bearer TOKEN`" : "The bearer token is not the right one";
  const challenge = given === undefined ? 'Bearer realm="crossfade"' : 'Bearer realm="crossfade", error="invalid_token"';
  const detail = `${fault}; it is the one of \`admin.token\` in the configuration file.`;
  throw new Problem("unauthorized", detail, {}, { "www-authenticate": challenge });
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
function requireOwnOrigin(headers: IncomingHttpHeaders): void {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    throw new Problem("foreign-origin", `Sec-Fetch-Site is ${quote(site)}; changes are taken from pages of this address only.`);
  }
  const { origin, host } = headers;
  if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return;
  throw new Problem("foreign-origin", `Origin is ${quote(origin)}; changes are taken from pages of this address only.`);
}

/** The host of a Host header in lower case, without its port, brackets or closing dot. */
function hostOf(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:/?#@\\\s]+?)\.?)(?::\d{1,5})?$/i.exec(header);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

function quote(value: string | undefined): string {
  return value === undefined ? "missing" : JSON.stringify(value.slice(0, 100));
}

import type { FailureCode } from "../core/failures.ts";
import type { Head } from "./head.ts";

export interface Refusal {
  readonly failure: FailureCode;
  readonly detail: string;
}

/**
 * What two readers could understand differently, although the parser in use lets it pass. Those behind us may be such
 * readers, so it is refused (RFC 9112, 3.2, 6.1, 6.3 and 11.2).
 */
export function refuseHead(method: string, target: string, version: string, head: Head): Refusal | undefined {
  if (version !== "1.1" && version !== "1.0") {
    return { failure: "version-not-supported", detail: `HTTP/${version}` };
  }
  const hosts = head.all("host");
  if (hosts.length > 1) return { failure: "ambiguous-request", detail: "Host is given more than once" };
  if (hosts.length === 0 && version === "1.1") return { failure: "bad-request", detail: "HTTP/1.1 needs a Host field" };
  if (hosts.length === 1 && !isAuthority(hosts[0] ?? "")) return { failure: "bad-request", detail: "Host is not a host and port" };
  const codings = head.all("transfer-encoding");
  if (codings.length > 0) {
    if (version === "1.0") return { failure: "ambiguous-request", detail: "HTTP/1.0 has no Transfer-Encoding" };
    if (head.has("content-length")) {
      return { failure: "ambiguous-request", detail: "both Content-Length and Transfer-Encoding" };
    }
    if (codings.length > 1 || codings[0]?.trim().toLowerCase() !== "chunked") {
      return { failure: "ambiguous-request", detail: "Transfer-Encoding other than chunked" };
    }
  }
  const lengths = head.all("content-length");
  if (lengths.length > 1) return { failure: "ambiguous-request", detail: "Content-Length is given more than once" };
  if (method === "CONNECT" || method === "TRACE") return { failure: "method-unknown", detail: method };
  return refuseTarget(target, method);
}

/** Targets that servers normalise differently: the route we choose must be the one the backend sees. */
function refuseTarget(target: string, method: string): Refusal | undefined {
  if (target === "*") return method === "OPTIONS" ? undefined : { failure: "bad-request", detail: "* is for OPTIONS only" };
  if (target.charCodeAt(0) !== 0x2f) return { failure: "bad-request", detail: "the target is neither a path nor an http URL" };
  const end = target.indexOf("?");
  const path = end < 0 ? target : target.slice(0, end);
  if (target.includes("#")) return { failure: "bad-request", detail: "a fragment in the target" };
  if (path.includes("\\")) return { failure: "ambiguous-request", detail: "a backslash in the path" };
  if (path.startsWith("//")) return { failure: "ambiguous-request", detail: "the path begins with //" };
  if (path.includes("%")) {
    if (/%(?![0-9a-f]{2})/i.test(path)) return { failure: "bad-request", detail: "a bad percent escape in the path" };
    if (/%(?:00|2f|5c)/i.test(path)) return { failure: "ambiguous-request", detail: "an encoded slash, backslash or NUL in the path" };
  }
  if (path.includes("/.") || path.includes("%2")) {
    for (const segment of path.split("/")) {
      const plain = segment.replace(/%2e/gi, ".").split(";", 1)[0];
      if (plain === "." || plain === "..") return { failure: "ambiguous-request", detail: "a dot segment in the path" };
    }
  }
  return undefined;
}

/** `host`, `host:port`, `[v6]:port`; empty is allowed (RFC 9110, 7.2). */
function isAuthority(host: string): boolean {
  return /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._~!$&'()*+,;=%-]*)(?::\d{0,5})?$/i.test(host);
}

/** Takes an absolute-form target apart (RFC 9112, 3.2.2); undefined when it is not an http URL. */
export function splitAbsolute(target: string): { readonly host: string; readonly target: string } | undefined {
  const match = /^https?:\/\/([^/?#@]+)([/?].*)?$/i.exec(target);
  if (!match || !isAuthority(match[1] ?? "")) return undefined;
  const rest = match[2] ?? "/";
  return { host: match[1] ?? "", target: rest.startsWith("/") ? rest : `/${rest}` };
}

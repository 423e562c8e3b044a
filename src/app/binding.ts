import { createServer, type ListenOptions, type Server } from "node:net";
import type { Listener } from "../config/config.ts";
import type { Bind } from "./protocol.ts";

/** A listener could not be bound. The message says which one and what to do. */
export class BindFailed extends Error {
  override readonly name = "BindFailed";
  readonly code: string;

  constructor(bind: Bind, code: string, cause?: unknown) {
    super(`listener "${bind.name}" cannot use ${placeOf(bind)}: ${adviceFor(bind, code)}`, { cause });
    this.code = code;
  }
}

export function bindOf({ name, host, port, tls }: Listener): Bind {
  return { name, host, port, secure: tls !== undefined };
}

export function placeOf({ host, port }: Pick<Bind, "host" | "port">): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** What a client would be given: the place, and whether TLS is spoken there. */
export function urlOf(bind: Bind): string {
  return `${bind.secure ? "https" : "http"}://${placeOf(bind)}`;
}

function adviceFor({ host, port }: Bind, code: string): string {
  switch (code) {
    case "EADDRINUSE":
      return `another program has the port (ss -ltnp "sport = :${port}" shows which); stop it, or give this listener another port in the configuration file`;
    case "EACCES":
      return `this user may not open it; ports below 1024 need the capability CAP_NET_BIND_SERVICE, so choose a higher port or grant it`;
    case "EADDRNOTAVAIL":
      return `this machine has no address ${host}; use one of its own, or 0.0.0.0 for all of them`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the name ${host} cannot be resolved; write an IP address`;
    default:
      return `the system says ${code || "no more than that it failed"}`;
  }
}

/** The system's code of an error: `EADDRINUSE` and the like; empty where there is none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Whether several sockets of this program can share one port on this platform: tried, not guessed. */
export async function mayShareAPort(): Promise<boolean> {
  const first = createServer();
  const second = createServer();
  try {
    const port = await bind(first, { host: "127.0.0.1", port: 0, reusePort: true });
    await bind(second, { host: "127.0.0.1", port, reusePort: true });
    return true;
  } catch {
    return false;
  } finally {
    first.close();
    second.close();
  }
}

/**
 * Finds out whether the ports are free. Needed because sharing hides the conflict: a second program that shares the port
 * would be let in silently, and the two would answer in turn. Throws {@link BindFailed}.
 */
export async function requireFreePorts(binds: readonly Bind[]): Promise<void> {
  for (const place of binds) {
    const { host, port } = place;
    if (port === 0) continue;
    const probe = createServer();
    try {
      await bind(probe, { host, port, exclusive: true });
    } catch (error) {
      throw new BindFailed(place, codeOf(error), error);
    }
    const closed = Promise.withResolvers<void>();
    probe.close(() => closed.resolve());
    await closed.promise;
  }
}

function bind(server: Server, options: ListenOptions): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", reject);
  server.listen(options, () => {
    const address = server.address();
    resolve(address !== null && typeof address === "object" ? address.port : 0);
  });
  return promise;
}

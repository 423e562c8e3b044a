import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { isLoopback } from "../config/addresses.ts";
import { MAX_WAIT_MS } from "./change-request.ts";
import { readJson } from "./body.ts";
import { type AdminAccess, admit, admitToPage, type Identity } from "./guard.ts";
import { LiveFeeds } from "./live/feeds.ts";
import type { Operations } from "./operations.ts";
import { Problem, problemOf } from "./problem.ts";
import type { AnyAnswer } from "./route.ts";
import { findRoute } from "./routes.ts";
import { builtDashboard, type Pages, readPages } from "./static.ts";
import { REFUSAL_CODES, type RefusalCode } from "../telemetry/exposition.ts";

export interface AdminOptions extends AdminAccess {
  /** 0 lets the system choose. */
  readonly port: number;
  /** Told of everything that ends as a 500. Default: a line on stderr. */
  readonly onError?: (error: unknown, request: string) => void;
  /** Told of everybody who is refused for want of a right. */
  readonly onRefused?: (code: RefusalCode) => void;
  /** Folder of the built dashboard. Default: where the build puts it. */
  readonly dashboard?: string;
}

export interface AdminServer {
  readonly port: number;
  readonly url: string;
  /** Ends idle connections at once and the others after their answer, or after half a second. */
  close(): Promise<void>;
}

/** How long a read may take before its client is told that it takes too long. A change may wait for its receipt besides. */
const ANSWER_TIMEOUT_MS = 10_000;
const CLOSE_GRACE_MS = 500;
const NOBODY: Identity = { who: "", roles: [], proved: false };

/** What requests are answered with. */
interface Served {
  readonly operations: Operations;
  readonly access: AdminAccess & Pick<AdminOptions, "onRefused">;
  readonly live: LiveFeeds;
  readonly pages: Pages;
  readonly onError: (error: unknown, request: string) => void;
}

/**
 * Opens the admin API. Rejects when the address is not loopback and there is no token, and when the address cannot be had.
 */
export async function startAdmin(operations: Operations, options: AdminOptions): Promise<AdminServer> {
  const { host, port, token, people = [] } = options;
  if (token === "") throw new Error("admin.token is empty: leave it out, or give it a value that is hard to guess");
  if (token === undefined && people.length === 0 && !isLoopback(host)) {
    throw new Error(
      `admin.address ${formatAddress(host, port)} can be reached from other machines: set admin.token, or bind it to 127.0.0.1`,
    );
  }
  const onError = options.onError ?? reportOnStderr;
  const pages = await readPages(options.dashboard ?? builtDashboard());
  const live = new LiveFeeds(operations, onError);
  const served: Served = { operations, access: options, live, pages, onError };
  const server = createServer(
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 2_000,
    },
    (request, response) => void answer(served, request, response),
  );
  server.maxConnections = 512;
  const bound = await listen(server, host, port).catch(async (error: unknown) => {
    await live.close();
    throw error;
  });
  const end = async (): Promise<void> => {
    await Promise.all([live.close(), close(server)]);
  };
  return { port: bound, url: `http://${formatAddress(reachable(host), bound)}`, close: end };
}

/** One request, from its guard to its answer. Never rejects. */
async function answer(served: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    send(request, response, await handle(served, request));
  } catch (error) {
    // The client left while it was sending: nobody failed, and nobody is there to be told.
    if (error === request.errored) return;
    const problem = problemOf(error);
    if (problem.code === "internal") served.onError(error, `${request.method} ${request.url}`);
    const refusal = REFUSAL_CODES.find((code) => code === problem.code);
    if (refusal !== undefined) served.access.onRefused?.(refusal);
    send(request, response, {
      status: problem.status,
      contentType: "application/problem+json; charset=utf-8",
      text: `${JSON.stringify(problem, null, 2)}\n`,
      headers: problem.headers,
    });
  }
}

async function handle({ operations, access, live, pages }: Served, request: IncomingMessage): Promise<AnyAnswer> {
  const { method = "", headers } = request;
  const url = parseTarget(request.url ?? "");
  const { route, named } = findKnown({ method, path: url.pathname, accept: headers.accept }, () => admit({ method, headers }, access));
  // Open routes have nothing to do with who asks.
  const { who, roles } = route.open === false ? admit({ method, headers }, access) : NOBODY;
  if (route.open === "page") admitToPage({ method, headers }, access);
  let body: Promise<unknown> | undefined;
  const answered = route.handle({
    operations,
    named,
    query: url.searchParams,
    ifMatch: headers["if-match"],
    headers,
    live,
    pages,
    who,
    roles,
    body: () => (body ??= readJson(request, route.bodyBytes)),
  });
  const answer = await within(route.timeoutMs ?? ANSWER_TIMEOUT_MS + (route.method === "GET" ? 0 : MAX_WAIT_MS), Promise.resolve(answered));
  if (route.method !== "GET" && route.quiet !== true) live.nudge();
  return answer;
}

/** Whoever may not come in is not told which paths there are either. */
function findKnown(
  { method, path, accept }: { readonly method: string; readonly path: string; readonly accept: string | undefined },
  admitFirst: () => void,
): ReturnType<typeof findRoute> {
  try {
    return findRoute(method, path, accept);
  } catch (error) {
    admitFirst();
    throw error;
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: AnyAnswer): void {
  if (response.destroyed || response.headersSent) return;
  const { status, contentType, headers } = answer;
  const body = "text" in answer ? Buffer.from(answer.text) : "bytes" in answer ? answer.bytes : undefined;
  response.writeHead(status, {
    "content-type": contentType,
    // Of what is there already there is nothing to be told, least of all that it is empty.
    ...(body === undefined || status === 304 ? {} : { "content-length": body.length }),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    ...headers,
  });
  if ("stream" in answer && request.method !== "HEAD") answer.stream(response);
  else response.end(body);
}

function parseTarget(target: string): URL {
  // Prefixed rather than resolved: a target of `//name` would be taken for a host.
  const url = target.startsWith("/") ? URL.parse(`http://admin${target}`) : null;
  if (url) return url;
  throw new Problem("malformed-request", "The request target must be a path.");
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Problem("too-slow", `There was no answer within ${ms / 1_000} s; whether a change took effect is not known.`)),
      ms,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on("error", (error: NodeJS.ErrnoException) => reject(new Error(whyNotBound(error, host, port), { cause: error })));
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function whyNotBound(error: NodeJS.ErrnoException, host: string, port: number): string {
  const where = `admin.address ${formatAddress(host, port)}`;
  if (error.code === "EADDRINUSE") return `${where} is taken by another program: stop it, or choose another port`;
  if (error.code === "EACCES") return `${where} may not be opened by this user: choose a port from 1024 upwards`;
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND") return `${where} is not an address of this machine`;
  return `${where} cannot be opened: ${error.message}`;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await closed;
  clearTimeout(grace);
}

/** An address of this machine that leads to a server bound to `host`. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function reportOnStderr(error: unknown, request: string): void {
  process.stderr.write(`admin: ${request} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type Asked, type Page, STATUS_PATHS, type StatusPath } from "./site.ts";

/** A listener for customers, on which nothing but the status page answers. */

export interface StatusListener {
  readonly port: number;
  close(): Promise<void>;
}

interface ListenerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly answer: (asked: Asked) => Promise<Page>;
  readonly onError: (error: unknown) => void;
}

const MOST_CONNECTIONS = 1_024;
const HEAD_BYTES = 8 * 1_024;
const MOST_FIELDS = 64;
const HEAD_MS = 5_000;
const IDLE_MS = 5_000;
const CLOSE_GRACE_MS = 500;

/** Rejects, in words, when the address cannot be had. */
export async function startStatusListener({ host, port, answer, onError }: ListenerOptions): Promise<StatusListener> {
  const server = createServer(
    {
      maxHeaderSize: HEAD_BYTES,
      headersTimeout: HEAD_MS,
      requestTimeout: HEAD_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      void serve(request, response, answer).catch((error: unknown) => {
        onError(error);
        refuse(response, 500, "The page cannot be shown now.");
      });
    },
  );
  server.maxHeadersCount = MOST_FIELDS;
  server.maxConnections = MOST_CONNECTIONS;
  // One that takes nothing of its answer, or says nothing, is let go.
  server.setTimeout(2 * HEAD_MS);
  const bound = await listen(server, host, port);
  return { port: bound, close: () => close(server) };
}

async function serve(request: IncomingMessage, response: ServerResponse, answer: ListenerOptions["answer"]): Promise<void> {
  const { method, url = "", headers } = request;
  const at = url.indexOf("?");
  const path = knownPath(at < 0 ? url : url.slice(0, at));
  if (path === undefined) return refuse(response, 404, "There is nothing here.");
  if (method !== "GET" && method !== "HEAD") return refuse(response, 405, "Only GET and HEAD are answered.", { allow: "GET, HEAD" });
  // Nobody needs to send a body, and it is not waited for.
  const ends = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  const query = new URLSearchParams(at < 0 ? "" : url.slice(at + 1));
  const page = await answer({ path, query, acceptLanguage: headers["accept-language"], host: headers.host });
  const { bytes, contentType } = page;
  response.writeHead(200, {
    "content-type": contentType,
    "content-length": bytes.length,
    ...page.headers,
    ...(ends ? { connection: "close" } : {}),
  });
  response.end(method === "HEAD" ? undefined : bytes);
}

function refuse(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(text) + 1,
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    connection: "close",
    ...headers,
  });
  response.end(`${text}\n`);
}

function knownPath(path: string): StatusPath | undefined {
  return STATUS_PATHS.find((known) => known === path);
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on("error", (error: NodeJS.ErrnoException) => {
      const where = `status_page.address ${host.includes(":") ? `[${host}]` : host}:${port}`;
      const why = {
        EADDRINUSE: "is taken by another program: stop it, or choose another port",
        EACCES: "may not be opened by this user: choose a port from 1024 upwards",
      }[error.code ?? ""];
      reject(new Error(`${where} ${why ?? `cannot be opened: ${error.message}`}`, { cause: error }));
    });
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await closed;
  clearTimeout(grace);
}

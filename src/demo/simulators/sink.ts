import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What somebody was told, as the demo shows it. */
export interface Told {
  /** ISO 8601. */
  readonly at: string;
  readonly subject: string;
  readonly text: string;
  /** Who would have read it. */
  readonly to: readonly string[];
}

export interface Sink extends AsyncDisposable {
  /** Of the page and the list. */
  readonly url: string;
  readonly port: number;
  readonly told: readonly Told[];
  close(): Promise<void>;
}

/** Older ones are forgotten. */
const MOST = 200;
export const MOST_BYTES = 1024 * 1024;

/** The last messages, newest first. */
export class Inbox {
  #told: readonly Told[] = [];

  get told(): readonly Told[] {
    return this.#told;
  }

  add(one: Omit<Told, "at">): void {
    this.#told = [{ at: new Date().toISOString(), ...one }, ...this.#told].slice(0, MOST);
  }

  clear(): void {
    this.#told = [];
  }
}

/**
 * Shows an inbox: a page at `/`, JSON at `/messages`, emptied by DELETE. `onPost` takes what is sent to any other path; without it nothing is.
 */
export function serveInbox(inbox: Inbox, title: string, onPost?: (body: string) => boolean): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MOST_BYTES) chunks.push(chunk);
    });
    request.on("end", () => {
      const path = (request.url ?? "/").split("?", 1)[0];
      const reply = (status: number, type: string, text: string): void => {
        response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
      };
      if (path === "/health") reply(200, "application/json", '{"status":"healthy"}');
      else if (path === "/messages" && request.method === "DELETE") {
        inbox.clear();
        reply(200, "application/json", "[]");
      } else if (path === "/messages" && request.method === "GET") reply(200, "application/json", JSON.stringify(inbox.told, null, 2));
      else if (path === "/" && request.method === "GET") reply(200, "text/html; charset=utf-8", pageOf(inbox.told, title));
      else if (request.method !== "POST" || onPost === undefined) reply(404, "text/plain", "no_service");
      else if (size > MOST_BYTES || !onPost(Buffer.concat(chunks).toString("utf8"))) reply(400, "text/plain", "invalid_payload");
      else reply(200, "text/plain", "ok");
    });
  });
}

/** @returns the port. */
export async function listen(
  server: { listen(port: number, host: string): unknown; address(): AddressInfo | string | null } & NodeJS.EventEmitter,
  host: string,
  port: number,
): Promise<number> {
  server.listen(port, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port; // a TCP server that listens has an address and a port
}

export async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

export function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function pageOf(told: readonly Told[], title: string): string {
  const entries = told.map(
    ({ at, subject, text, to }) =>
      `<article><h2>${escape(subject)}</h2><p>${escape(at)} ${escape(to.join(", "))}</p><pre>${escape(text)}</pre></article>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>${escape(title)}</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.4 system-ui;max-width:50rem;margin:2rem auto}pre{white-space:pre-wrap}</style></head>
<body><h1>${escape(title)}</h1>${entries.join("\n") || "<p>Nothing yet.</p>"}</body></html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { LivePoint, LiveView } from "../../src/admin/live/view.ts";
import { readPages } from "../../src/admin/static.ts";
import type { Scope } from "./backend.ts";

/** The built dashboard with a live feed that a test holds in its hand, for states that are hard to reach with a real program. */
export interface FakeLive {
  readonly url: string;
  /** What the next viewers are told first, and those that are there now at once. */
  show(view: LiveView, point?: LivePoint): void;
  readonly history: LivePoint[];
  /** Undefined: everybody may look. */
  token: string | undefined;
  /** What every question is refused with, as problem+json; undefined: none is. */
  refusal: { readonly status: number; readonly code: string; readonly title: string; readonly detail: string } | undefined;
  /** Answers of other paths, by method and path. */
  readonly answers: Map<string, { readonly status: number; readonly body: unknown }>;
  /** What was asked besides the page's own files: method, path, body. */
  readonly asked: { readonly method: string; readonly path: string; readonly body: string; readonly headers: IncomingMessage["headers"] }[];
  readonly viewers: number;
  /** Ends every connection and the listener; `begin` opens it again at the same port. */
  stop(): Promise<void>;
  begin(): Promise<void>;
}

/** `folder` holds a built dashboard. */
export async function startFakeLive(scope: Scope, folder: string, first: LiveView): Promise<FakeLive> {
  const pages = await readPages(folder);
  const viewers = new Set<ServerResponse>();
  let view = first;
  let port = 0;
  let server: Server | undefined;

  const fake: FakeLive = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    show(next, point) {
      view = next;
      for (const viewer of viewers) {
        tell(viewer, "view", next);
        if (point !== undefined) tell(viewer, "point", point);
      }
    },
    history: [],
    token: undefined,
    refusal: undefined,
    answers: new Map(),
    asked: [],
    get viewers() {
      return viewers.size;
    },
    async stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server?.close(() => resolve());
      server?.closeAllConnections();
      await promise;
      server = undefined;
    },
    async begin() {
      server = createServer((request, response) => void answer(request, response));
      await new Promise<void>((resolve) => server?.listen(port, "127.0.0.1", resolve));
      // A TCP server has an address of this kind once it listens.
      port = (server.address() as AddressInfo).port;
    },
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? "/", "http://fake");
    const { method = "GET", headers } = request;
    const file =
      pathname === "/" ? pages.page(headers) : pathname.startsWith("/assets/") ? pages.asset(pathname.slice(8), headers) : undefined;
    if (file !== undefined) {
      response.writeHead(file.status, { "content-type": file.contentType, ...file.headers }).end("bytes" in file ? file.bytes : file.text);
      return;
    }
    const body = (await Array.fromAsync(request, (chunk: Buffer) => chunk.toString("utf8"))).join("");
    fake.asked.push({ method, path: request.url ?? "", body, headers });
    const { token, refusal } = fake;
    if (refusal !== undefined) json(response, refusal.status, refusal);
    else if (token !== undefined && headers.authorization !== `Bearer ${token}`)
      json(response, 401, { status: 401, code: "unauthorized", title: "A bearer token is required", detail: "Send the header." });
    else if (pathname === "/api/live") look(response);
    else if (pathname === "/api/flags") json(response, 200, { flags: view.status.flags });
    else {
      const known = fake.answers.get(`${method} ${pathname}`);
      json(
        response,
        known?.status ?? 404,
        known?.body ?? { status: 404, code: "unknown-path", title: "Nothing is here", detail: pathname },
      );
    }
  };

  const look = (response: ServerResponse): void => {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    tell(response, "history", fake.history);
    tell(response, "view", view);
    viewers.add(response);
    response.on("close", () => viewers.delete(response));
  };

  await fake.begin();
  scope.teardown(async () => {
    if (server !== undefined) await fake.stop();
  });
  return fake;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  const contentType = status < 400 ? "application/json" : "application/problem+json";
  response.writeHead(status, { "content-type": contentType, "cache-control": "no-store" }).end(JSON.stringify(body));
}

function tell(response: ServerResponse, name: string, body: unknown): void {
  response.write(`event: ${name}\ndata: ${JSON.stringify(body)}\n\n`);
}

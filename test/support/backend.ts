import { type Agent, createServer, request, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** What a test gives back at its end; a tap test fits. */
export interface Scope {
  teardown(end: () => unknown): void;
}

/** Resolves when the condition holds; rejects after `limitMs`. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not so within ${limitMs} ms: ${what}`);
    await delay(5);
  }
}

export interface Backend {
  readonly port: number;
  readonly origin: string;
  readonly requests: number;
  close(): Promise<void>;
}

/** A service that answers its name, unless told otherwise. `/health` is always well and not counted. */
export async function startBackend(scope: Scope, name: string, listener?: RequestListener): Promise<Backend> {
  let requests = 0;
  const server = createServer((req, res) => {
    if (req.url === "/health") {
      res.end("well");
      return;
    }
    requests++;
    req.resume();
    if (listener !== undefined) listener(req, res);
    else res.setHeader("content-type", "application/json").end(JSON.stringify({ name }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = portOf(server.address());
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  scope.teardown(close);
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    get requests() {
      return requests;
    },
    close,
  };
}

export function portOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === "string") throw new Error("no port");
  return address;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface AskOptions {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent?: Agent | false;
  /** Told whether the request goes out on a connection that has served before. */
  readonly onSocket?: (reused: boolean) => void;
}

/** One request; resolves with the complete answer, rejects when there is none. */
export function ask(
  port: number,
  { path = "/api/match", method = "GET", headers = {}, body, agent = false, onSocket }: AskOptions = {},
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const sent = request({ host: "127.0.0.1", port, path, method, headers, agent }, (answer) => {
    let text = "";
    answer.setEncoding("utf8");
    answer.on("data", (chunk: string) => (text += chunk));
    answer.on("error", reject);
    answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
  });
  sent.on("socket", () => onSocket?.(sent.reusedSocket));
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

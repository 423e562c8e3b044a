import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createNetServer, type AddressInfo, type Server as NetServer, type Socket } from "node:net";
import type { Test } from "tap";

/** One that fails, because its client went away in the middle say, breaks the connection off. */
export type Answer = (req: IncomingMessage, res: ServerResponse) => unknown;

/** A backend of a test: what it received, and how it answers. */
export interface Backend {
  readonly url: string;
  readonly port: number;
  readonly requests: IncomingMessage[];
  readonly server: Server;
  answer: Answer;
  close(): Promise<void>;
}

export async function startBackend(t: Test, answer: Answer): Promise<Backend> {
  const server = createServer({ keepAliveTimeout: 60_000 });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const requests: IncomingMessage[] = [];
  const backend = { url: `http://127.0.0.1:${port}`, port, server, requests, answer, close };
  server.on("request", (req: IncomingMessage, res: ServerResponse) => {
    requests.push(req);
    res.on("error", () => {});
    req.on("error", () => {});
    void Promise.resolve(backend.answer(req, res)).catch(() => res.destroy());
  });
  t.teardown(close);
  return backend;
}

export interface RawBackend {
  readonly url: string;
  readonly port: number;
  readonly server: NetServer;
  /** Connections open now. */
  readonly sockets: Set<Socket>;
}

/** A backend that speaks bytes: for answers no HTTP library would give. */
export async function startRawBackend(t: Test, serve: (socket: Socket, connection: number) => void): Promise<RawBackend> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createNetServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    serve(socket, ++connections);
    // A socket that nobody reads never learns that its peer has gone.
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, server, sockets };
}

/** Reads a request body whole. */
export async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Answers with JSON. */
export function json(res: ServerResponse, body: unknown, status = 200): void {
  const text = JSON.stringify(body);
  res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  res.end(text);
}

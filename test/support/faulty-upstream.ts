import { createServer, type AddressInfo, type Socket } from "node:net";
import type { Test } from "tap";

/** What a backend does with a request that it has read to its end. */
export interface Behaviour {
  readonly status: number;
  /** Fields of the answer that a client must see as they are; names in small letters. */
  readonly fields: Readonly<Record<string, string>>;
  /** The body as it is, or would be if nothing broke. */
  readonly body: Buffer;
  play(socket: Socket): void;
}

/** A behaviour of whoever is named: no two backends give the same bytes. */
export type Fault = (by: string) => Behaviour;

/** Where an answer breaks: how many of its bytes are sent, of a head and a body so long. */
export type Break = (head: number, all: number) => number;

export interface Seen {
  readonly body: Buffer;
  /** Which connection it came on, from 1. */
  readonly connection: number;
}

export interface FaultyUpstream {
  readonly url: string;
  /** Says what is done with the requests for a path, one after the other; the last holds for all that follow. */
  plan(path: string, behaviours: readonly Behaviour[]): void;
  /** The requests for a path that came whole, in order. */
  seen(path: string): readonly Seen[];
}

const JSON_FIELDS = { "content-type": "application/json" };
const MATCHES = [
  { offer_id: "o1", overall_score: 0.9, confidence: 0.9 },
  { offer_id: "o2", overall_score: 0.7, confidence: 0.8 },
];

/** A good answer to a request about the offers o1 and o2, with `changes`. About 2 kB, or what `length` says. */
export function matchesOf(by: string, changes: object = {}, length = 2_000): Buffer {
  const answer = { success: true, by, matches: MATCHES, algorithm_used: "smart", metadata: { fallback: false }, ...changes };
  return Buffer.from(JSON.stringify({ ...answer, insight: "x".repeat(length) }));
}

export interface Framing {
  readonly status?: number;
  readonly fields?: Readonly<Record<string, string>>;
  /** `none`: the body ends with the connection. */
  readonly framing?: "length" | "chunked" | "none";
}

function headOf(status: number, fields: Readonly<Record<string, string>>, framing: string): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Said\r\n${lines.join("")}${framing}\r\n`;
}

function bytesOf(body: Buffer, { status = 200, fields = JSON_FIELDS, framing = "length" }: Framing): { head: number; all: Buffer } {
  if (framing === "length") {
    const head = headOf(status, fields, `content-length: ${body.length}\r\n`);
    return { head: head.length, all: Buffer.concat([Buffer.from(head), body]) };
  }
  if (framing === "none") {
    const head = headOf(status, fields, "connection: close\r\n");
    return { head: head.length, all: Buffer.concat([Buffer.from(head), body]) };
  }
  const head = headOf(status, fields, "transfer-encoding: chunked\r\n");
  const chunks: Buffer[] = [Buffer.from(head)];
  for (let at = 0; at < body.length; at += 512) {
    const chunk = body.subarray(at, at + 512);
    chunks.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return { head: head.length, all: Buffer.concat([...chunks, Buffer.from("0\r\n\r\n")]) };
}

/** A whole answer. */
export function whole(bodyOf: (by: string) => Buffer, how: Framing = {}): Fault {
  return (by) => {
    const body = bodyOf(by);
    const { all } = bytesOf(body, how);
    const play = (socket: Socket): void => {
      if (how.framing === "none") socket.end(all);
      else socket.write(all);
    };
    return { status: how.status ?? 200, fields: how.fields ?? JSON_FIELDS, body, play };
  };
}

/** The same after so many milliseconds. */
export function after(ms: number, fault: Fault): Fault {
  return (by) => {
    const behaviour = fault(by);
    return { ...behaviour, play: (socket) => onceOpen(socket, ms, () => behaviour.play(socket)) };
  };
}

/** An answer of which only the beginning comes; then the connection is closed in order, reset, or stays silent. */
export function broken(at: Break, how: "close" | "reset" | "silence", framing: Framing = {}, length?: number): Fault {
  return (by) => {
    const body = matchesOf(by, {}, length);
    const { head, all } = bytesOf(body, framing);
    const sent = all.subarray(0, at(head, all.length));
    const play = (socket: Socket): void => {
      if (how === "close") socket.end(sent);
      else if (how === "silence") socket.write(sent);
      else if (sent.length === 0) socket.resetAndDestroy();
      else socket.write(sent, () => socket.resetAndDestroy());
    };
    return { status: framing.status ?? 200, fields: JSON_FIELDS, body, play };
  };
}

/** Bytes of a whole answer that come a piece at a time, `head` or body; in all it takes pieces * everyMs. */
export function dripping(part: "head" | "body", pieces: number, everyMs: number): Fault {
  return (by) => {
    const body = matchesOf(by);
    const { head, all } = bytesOf(body, {});
    const start = part === "head" ? 0 : head;
    const size = Math.ceil((part === "head" ? head : all.length - head) / pieces);
    const play = (socket: Socket): void => {
      let at = start;
      if (start > 0) socket.write(all.subarray(0, start));
      const next = (): void => {
        const last = at + size >= (part === "head" ? head : all.length);
        socket.write(all.subarray(at, last ? all.length : at + size));
        at += size;
        if (!last) onceOpen(socket, everyMs, next);
      };
      onceOpen(socket, everyMs, next);
    };
    return { status: 200, fields: JSON_FIELDS, body, play };
  };
}

/** Bytes that are no HTTP. */
export const garbage: Fault = () => ({
  status: 200,
  fields: {},
  body: Buffer.alloc(0),
  play: (socket) => void socket.end("SSH-2.0-OpenSSH_9.6\r\n"),
});

/** Nothing ever comes. */
export const hang: Fault = () => ({ status: 200, fields: {}, body: Buffer.alloc(0), play: () => {} });

function onceOpen(socket: Socket, ms: number, act: () => void): void {
  const timer = setTimeout(act, ms);
  socket.once("close", () => clearTimeout(timer));
}

/** A backend that does with each request what was planned for its path, and counts what reached it. */
export async function startFaultyUpstream(t: Pick<Test, "teardown">): Promise<FaultyUpstream> {
  const plans = new Map<string, readonly Behaviour[]>();
  const seen = new Map<string, Seen[]>();
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    let unread = Buffer.alloc(0);
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      unread = Buffer.concat([unread, chunk]);
      const request = requestIn(unread);
      if (request === undefined) return;
      unread = unread.subarray(request.length);
      const before = seen.get(request.path) ?? [];
      seen.set(request.path, before);
      before.push({ body: request.body, connection });
      const planned = plans.get(request.path) ?? [];
      const behaviour = planned[before.length - 1] ?? planned.at(-1);
      if (behaviour === undefined) socket.destroy();
      else behaviour.play(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  // It listens on a port, not on a path.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    plan: (path, behaviours) => void plans.set(path, behaviours),
    seen: (path) => seen.get(path) ?? [],
  };
}

interface Request {
  readonly path: string;
  readonly body: Buffer;
  /** Of all its bytes. */
  readonly length: number;
}

/** The request that the bytes begin with, once all of it has come. */
function requestIn(bytes: Buffer): Request | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = bytes.toString("latin1", 0, end);
  const [, path = ""] = head.split(" ", 2);
  const start = end + 4;
  if (!/^transfer-encoding: *chunked/im.test(head)) {
    const length = start + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    return bytes.length < length ? undefined : { path, body: bytes.subarray(start, length), length };
  }
  const chunks: Buffer[] = [];
  for (let at = start; ;) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, line), 16);
    const next = line + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { path, body: Buffer.concat(chunks), length: next };
    chunks.push(bytes.subarray(line + 2, line + 2 + size));
    at = next;
  }
}

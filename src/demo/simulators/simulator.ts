import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { LOW_QUALITY, parseBehaviour, printBehaviour, type Behaviour } from "./behaviour.ts";
import { createRandom, drawDuration } from "./chance.ts";
import { nexten } from "./nexten.ts";
import { htmlError, json, parseJson, type Matcher, type Reply, type Service, type SimulatorKind } from "./service.ts";
import { v1 } from "./v1.ts";
import { v2 } from "./v2.ts";

export const SERVICES: Readonly<Record<SimulatorKind, Service>> = { v1, nexten, v2 };

export interface SimulatorOptions {
  /** 0, the default, lets the system choose. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Seed of latencies and errors. */
  readonly seed?: number;
  readonly behaviour?: Partial<Behaviour>;
}

const DRIP_MS = 80;
/** Between half an answer and the reset: a reset that overtakes the bytes would be a refusal, another fault. */
const RESET_AFTER_MS = 20;
const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** Starts one backend on a port of its own. Rejects with the system's error where the port cannot be had. */
export async function startSimulator(kind: SimulatorKind, options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = new Simulator(SERVICES[kind], options);
  await simulator.listen(options.host ?? "127.0.0.1", options.port ?? 0);
  return simulator;
}

/** A running backend; {@link startSimulator} makes one. */
export class Simulator implements AsyncDisposable {
  readonly kind: SimulatorKind;
  url = "";
  port = 0;
  readonly #service: Service;
  readonly #random: () => number;
  readonly #initial: Behaviour;
  #behaviour: Behaviour;
  #requests = 0;
  #open = 0;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #server: Server;

  constructor(service: Service, options: SimulatorOptions) {
    const { p50Ms, p95Ms } = service.latency;
    this.kind = service.kind;
    this.#service = service;
    this.#random = createRandom(options.seed ?? 1);
    this.#initial = { latencyMs: p50Ms, jitter: p95Ms / p50Ms - 1, errorRate: 0, quality: undefined, fault: "none", ...options.behaviour };
    this.#behaviour = this.#initial;
    this.#server = createServer((request, response) => {
      // A client that leaves while it sends its body is no concern of ours.
      this.#answer(request, response).catch(() => response.destroy());
    });
    // Longer than the pools of those who call, so that a connection is not closed just as it is taken again.
    this.#server.keepAliveTimeout = 75_000;
  }

  get behaviour(): Behaviour {
    return this.#behaviour;
  }

  /** Matching requests received whole, and those of them that are not answered yet. */
  get seen(): { readonly requests: number; readonly open: number } {
    return { requests: this.#requests, open: this.#open };
  }

  set(change: Partial<Behaviour>): void {
    this.#behaviour = { ...this.#behaviour, ...change };
  }

  async listen(host: string, port: number): Promise<void> {
    this.#server.listen(port, host);
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
    this.url = `http://${host.includes(":") ? `[${host}]` : host}:${this.port}`;
  }

  /** Closes the listener and every connection, and forgets what was to be answered. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? "GET";
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const control = path === "/_sim";
    if (!control && this.#behaviour.fault === "refuse") {
      request.socket.destroy();
      return;
    }
    const body = await readBody(request);
    if (body === undefined) send(response, htmlError(413, "Content Too Large", "The data value transmitted exceeds the capacity limit."));
    else if (control) send(response, this.#control(method, body));
    else {
      const matcher = this.#service.match(method, path);
      if (matcher) this.#match(request, response, matcher, body);
      else if (this.#behaviour.fault !== "hang") send(response, this.#service.other(method, path));
    }
  }

  #match(request: IncomingMessage, response: ServerResponse, matcher: Matcher, body: string): void {
    const { fault, latencyMs, jitter, errorRate, quality } = this.#behaviour;
    this.#requests++;
    this.#open++;
    response.once("close", () => this.#open--);
    if (fault === "hang") return;
    const fails = errorRate > 0 && this.#random() < errorRate;
    this.#later(drawDuration(this.#random, latencyMs, jitter), response, () => {
      if (fails) return send(response, internalError(this.kind));
      const reply = matcher(body, {
        quality: fault === "low-quality" ? LOW_QUALITY : quality,
        unsuccessful: fault === "unsuccessful",
      });
      const bytes = Buffer.from(reply.body);
      const half = bytes.subarray(0, bytes.length >> 1);
      if (fault === "malformed") return send(response, { ...reply, status: 200, body: half.toString() });
      if (fault !== "drip" && fault !== "reset") return send(response, reply);
      response.writeHead(reply.status, { "content-type": reply.contentType, "content-length": bytes.length });
      if (fault === "drip") return this.#drip(response, bytes, 0);
      response.write(half, () => this.#later(RESET_AFTER_MS, response, () => request.socket.resetAndDestroy()));
    });
  }

  #drip(response: ServerResponse, bytes: Buffer, at: number): void {
    response.write(bytes.subarray(at, at + 1));
    if (at + 1 >= bytes.length) response.end();
    else this.#later(DRIP_MS, response, () => this.#drip(response, bytes, at + 1));
  }

  /** Runs something for a response in `ms`, unless it is gone by then. */
  #later(ms: number, response: ServerResponse, run: () => void): void {
    if (ms === 0) return run();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!response.destroyed) run();
    }, ms);
    this.#timers.add(timer);
  }

  #control(method: string, body: string): Reply {
    if (method === "DELETE") this.#behaviour = this.#initial;
    else if (method === "POST") {
      const parsed = parseJson(body);
      if (!parsed) return json(400, { errors: ['the body is not JSON; expected an object such as {"fault":"hang"}'] });
      const read = parseBehaviour(parsed.value);
      if (!read.ok) return json(400, { errors: read.problems });
      this.set(read.change);
    } else if (method !== "GET") {
      return json(405, { errors: [`${method}: expected GET, POST (change) or DELETE (back to the start)`] });
    }
    return json(200, { service: this.kind, ...printBehaviour(this.#behaviour), requests: this.#requests, open: this.#open });
  }
}

function send(response: ServerResponse, reply: Reply): void {
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, { "content-type": reply.contentType, "content-length": body.length });
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes <= MAX_BODY_BYTES ? Buffer.concat(chunks).toString() : undefined;
}

function internalError(kind: SimulatorKind): Reply {
  if (kind === "v2") return { status: 500, contentType: "text/plain; charset=utf-8", body: "Internal Server Error" };
  return htmlError(500, "Internal Server Error", "The server encountered an internal error and was unable to complete your request.");
}

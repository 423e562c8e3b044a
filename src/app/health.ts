import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { Endpoint, Health, Upstream } from "../config/config.ts";
import { codeOf } from "./binding.ts";
import { judgeBody, MOST_BYTES, type Judgement, statusIsGood } from "./health-answer.ts";

/** What the last probes of one endpoint said. */
export interface EndpointHealth {
  readonly upstream: string;
  readonly endpoint: string;
  /** Undefined until the first probe has ended. */
  readonly healthy: boolean | undefined;
  /** In words: `200 in 3 ms`, `connection refused` ... */
  readonly detail: string;
}

export interface HealthListener {
  /** An endpoint went from one state to another, the first result included. `index` counts through all upstreams, in their order. */
  onChange(health: EndpointHealth, index: number): void;
}

/** For upstreams without a health check of their own: whether the port takes connections. */
const CONNECT_ONLY = { intervalMs: 5_000, timeoutMs: 1_000 };
/** One result may be chance; the state changes after this many in a row that contradict it. The first one of all counts at once. */
const RESULTS_TO_CHANGE = 2;

export interface HealthProbes {
  readonly all: readonly EndpointHealth[];
  /** Resolves when every endpoint has been probed once. */
  readonly firstRound: Promise<void>;
  stop(): void;
}

/** Probes every endpoint of every upstream, each at its own interval, one probe at a time. */
export function startProbes(upstreams: readonly Upstream[], listener: HealthListener): HealthProbes {
  const places = upstreams.flatMap((upstream) => upstream.endpoints.map((endpoint) => ({ upstream, endpoint })));
  const probes = places.map(({ upstream, endpoint }, index) => new Probe(upstream, endpoint, (health) => listener.onChange(health, index)));
  return {
    get all() {
      return probes.map((probe) => probe.health);
    },
    firstRound: Promise.all(probes.map((probe) => probe.first)).then(() => {}),
    stop: () => {
      for (const probe of probes) probe.stop();
    },
  };
}

/** Asks one endpoint now, whatever its last probe said. Never rejects. */
export async function probeOnce(upstream: Upstream, endpoint: Endpoint, timeoutMs: number, stop?: AbortSignal): Promise<Judgement> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = stop === undefined ? timeout : AbortSignal.any([stop, timeout]);
  const began = performance.now();
  const result = await (upstream.health === undefined ? knock(endpoint, signal) : ask(endpoint, upstream.health, signal));
  const detail = timeout.aborted ? `no answer within ${timeoutMs} ms` : `${result.detail} in ${Math.round(performance.now() - began)} ms`;
  return { good: result.good, detail };
}

class Probe {
  readonly first: Promise<void>;
  readonly #upstream: Upstream;
  readonly #endpoint: Endpoint;
  readonly #onChange: (health: EndpointHealth) => void;
  readonly #stop = new AbortController();
  #health: EndpointHealth;
  /** Results in a row that contradict the present state. */
  #contrary = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(upstream: Upstream, endpoint: Endpoint, onChange: (health: EndpointHealth) => void) {
    this.#upstream = upstream;
    this.#endpoint = endpoint;
    this.#onChange = onChange;
    this.#health = { upstream: upstream.name, endpoint: endpoint.origin, healthy: undefined, detail: "not probed yet" };
    this.first = this.#round();
  }

  get health(): EndpointHealth {
    return this.#health;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  async #round(): Promise<void> {
    const began = performance.now();
    const { health } = this.#upstream;
    const { intervalMs, timeoutMs } = health ?? CONNECT_ONLY;
    const { good, detail } = await probeOnce(this.#upstream, this.#endpoint, timeoutMs, this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    this.#note(good, detail);
    this.#timer = setTimeout(() => void this.#round(), Math.max(0, intervalMs - (performance.now() - began)));
  }

  #note(good: boolean, detail: string): void {
    const before = this.#health.healthy;
    this.#contrary = good === before ? 0 : this.#contrary + 1;
    if (before !== undefined && this.#contrary > 0 && this.#contrary < RESULTS_TO_CHANGE) {
      this.#health = { ...this.#health, detail: `${detail}, for the first time` };
      return;
    }
    this.#contrary = 0;
    this.#health = { ...this.#health, healthy: good, detail };
    if (good !== before) this.#onChange(this.#health);
  }
}

/** GET. The body is read only where something is expected in it. */
function ask(endpoint: Endpoint, health: Health, signal: AbortSignal): Promise<Judgement> {
  const { promise, resolve } = Promise.withResolvers<Judgement>();
  const send = endpoint.secure ? httpsRequest : httpRequest;
  const request = send({
    host: endpoint.host,
    port: endpoint.port,
    path: health.path,
    agent: false,
    ...(endpoint.ca === undefined ? {} : { ca: endpoint.ca }),
    signal,
    headers: { "user-agent": "crossfade-health" },
  });
  request.on("response", (response) => {
    const status = response.statusCode ?? 0;
    const good = statusIsGood(health, status);
    if (good && health.field !== undefined) resolve(readAnswer(response, health.field));
    else {
      response.destroy();
      resolve({ good, detail: `status ${status}` });
    }
  });
  request.on("error", (error) => resolve({ good: false, detail: wordsFor(error) }));
  request.end();
  return promise;
}

function readAnswer(response: IncomingMessage, field: NonNullable<Health["field"]>): Promise<Judgement> {
  const { promise, resolve } = Promise.withResolvers<Judgement>();
  const chunks: Buffer[] = [];
  let length = 0;
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length <= MOST_BYTES) return;
    resolve({ good: false, detail: `the answer is longer than ${MOST_BYTES / 1024} kB` });
    response.destroy();
  });
  response.on("end", () => resolve(judgeBody(Buffer.concat(chunks), field)));
  response.on("error", () => resolve({ good: false, detail: "the answer broke off" }));
  return promise;
}

function knock(endpoint: Endpoint, signal: AbortSignal): Promise<Judgement> {
  const { promise, resolve } = Promise.withResolvers<Judgement>();
  const socket = connect({ host: endpoint.host, port: endpoint.port, signal });
  socket.on("connect", () => {
    socket.destroy();
    resolve({ good: true, detail: "connected" });
  });
  socket.on("error", (error) => resolve({ good: false, detail: wordsFor(error) }));
  return promise;
}

function wordsFor(error: Error): string {
  const code = codeOf(error);
  switch (code) {
    case "ECONNREFUSED":
      return "connection refused";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "name not found";
    case "ECONNRESET":
      return "connection reset";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "no route to the host";
    default:
      return code === "" ? error.message : code;
  }
}

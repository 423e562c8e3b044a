import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { Endpoint, Upstream } from "../config/config.ts";
import { codeOf } from "./binding.ts";

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
  /** An endpoint went from one state to another, the first result included. */
  onChange(health: EndpointHealth): void;
}

/** For upstreams without a health check of their own: whether the port takes connections. */
const CONNECT_ONLY = { intervalMs: 5_000, timeoutMs: 1_000 };
/** One failed probe may be chance; the endpoint is unhealthy after this many in a row. The first one of all counts at once. */
const FAILURES_TO_UNHEALTHY = 2;

export interface HealthProbes {
  readonly all: readonly EndpointHealth[];
  /** Resolves when every endpoint has been probed once. */
  readonly firstRound: Promise<void>;
  stop(): void;
}

/** Probes every endpoint of every upstream, each at its own interval, one probe at a time. */
export function startProbes(upstreams: readonly Upstream[], listener: HealthListener): HealthProbes {
  const probes = upstreams.flatMap((upstream) => upstream.endpoints.map((endpoint) => new Probe(upstream, endpoint, listener)));
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

class Probe {
  readonly first: Promise<void>;
  readonly #upstream: Upstream;
  readonly #endpoint: Endpoint;
  readonly #listener: HealthListener;
  readonly #stop = new AbortController();
  #health: EndpointHealth;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(upstream: Upstream, endpoint: Endpoint, listener: HealthListener) {
    this.#upstream = upstream;
    this.#endpoint = endpoint;
    this.#listener = listener;
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
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timeoutMs)]);
    const result = await (health === undefined ? knock(this.#endpoint, signal) : ask(this.#endpoint, health.path, signal));
    if (this.#stop.signal.aborted) return;
    const took = performance.now() - began;
    this.#note(result.ok, signal.aborted ? `no answer within ${timeoutMs} ms` : `${result.detail} in ${Math.round(took)} ms`);
    this.#timer = setTimeout(() => void this.#round(), Math.max(0, intervalMs - took));
  }

  #note(ok: boolean, detail: string): void {
    const before = this.#health.healthy;
    this.#failures = ok ? 0 : this.#failures + 1;
    const healthy = ok || (before === true && this.#failures < FAILURES_TO_UNHEALTHY);
    this.#health = { ...this.#health, healthy, detail };
    if (healthy !== before) this.#listener.onChange(this.#health);
  }
}

interface ProbeResult {
  readonly ok: boolean;
  readonly detail: string;
}

/** GET; an answer of 2xx is a healthy one. Its body is not read: health pages say more than they know. */
function ask(endpoint: Endpoint, path: string, signal: AbortSignal): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const send = endpoint.secure ? httpsRequest : httpRequest;
  const request = send({
    host: endpoint.host,
    port: endpoint.port,
    path,
    agent: false,
    ...(endpoint.ca === undefined ? {} : { ca: endpoint.ca }),
    signal,
    headers: { "user-agent": "crossfade-health" },
  });
  request.on("response", (response) => {
    const status = response.statusCode ?? 0;
    response.destroy();
    resolve({ ok: status >= 200 && status < 300, detail: `status ${status}` });
  });
  request.on("error", (error) => resolve({ ok: false, detail: wordsFor(error) }));
  request.end();
  return promise;
}

function knock(endpoint: Endpoint, signal: AbortSignal): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const socket = connect({ host: endpoint.host, port: endpoint.port, signal });
  socket.on("connect", () => {
    socket.destroy();
    resolve({ ok: true, detail: "connected" });
  });
  socket.on("error", (error) => resolve({ ok: false, detail: wordsFor(error) }));
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

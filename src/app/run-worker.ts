import type { MessagePort } from "node:worker_threads";
import type { Proxy, ProxyOptions } from "../proxy/proxy.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { loadDialects } from "../dialects/registry.ts";
import { createAccessLog } from "../telemetry/access-log.ts";
import { RequestLedger } from "../telemetry/request-ledger.ts";
import { createMeters } from "../telemetry/worker-meters.ts";
import type { CreateTransport, Transport } from "../transport/transport.ts";
import { AskedAnswers } from "./keyed-answers.ts";
import type { Bind, Cut, FromWorker, StateUpdate, ToWorker, WorkerStart } from "./protocol.ts";
import { startPulse } from "./pulse.ts";

/** What a worker is made of. */
export interface WorkerParts {
  readonly createTransport: CreateTransport;
  readonly createProxy: (options: ProxyOptions) => Proxy;
}

/**
 * The life of a data worker: started once, then it serves until it is drained or its thread is ended. Whatever throws ends
 * the thread; the control side sees that and replaces it.
 */
export function runWorker(port: MessagePort, parts: WorkerParts): void {
  const say = (message: FromWorker): void => port.postMessage(message);
  const answers = new AskedAnswers((question, transfer) => port.postMessage(question, transfer));
  let running: Running | undefined;
  /** Came before there was anything to apply it to. */
  let early: StateUpdate | undefined;
  const apply = ({ proxy }: Running, update: StateUpdate): void => {
    proxy.apply(update.states);
    say({ kind: "applied", update: update.number });
  };
  const start = async (message: WorkerStart): Promise<void> => {
    running = begin(message, parts, answers, await loadDialects(message.config.dialects));
    if (early !== undefined) apply(running, early);
    await listen(running.transport, running.proxy, message, say);
  };

  port.on("message", (message: ToWorker) => {
    switch (message.kind) {
      case "start":
        void start(message);
        break;
      case "states":
        if (running === undefined) early = message.update;
        else apply(running, message.update);
        break;
      case "claimed":
        answers.claimed(message.id, message.claim);
        break;
      case "drain":
        if (running !== undefined) void drain(running, message.graceMs, message.timeoutMs).then((cut) => say({ kind: "drained", cut }));
        break;
    }
  });
  say({ kind: "loaded" });
}

interface Running {
  readonly transport: Transport;
  readonly proxy: Proxy;
  flush(): void;
}

function begin(start: WorkerStart, parts: WorkerParts, keyedAnswers: AskedAnswers, dialects: ReadonlyMap<string, Dialect>): Running {
  const { config, secret } = start;
  const transport = parts.createTransport(config, new Int32Array(start.endpoints));
  const meters = createMeters(config, start.meters);
  const accessLog = createAccessLog({ enabled: config.accessLog.enabled, worker: start.index });
  // A thread that throws still gets this far, and its last lines are those that tell what led there.
  process.once("exit", () => accessLog.flush());
  const beat = startPulse(start.pulse, (lagMs, now) => {
    meters.recordLag(lagMs, now);
    meters.recordLoad(transport.load.connections, transport.load.exchanges, proxy.observed);
  });
  const proxy = parts.createProxy({
    config,
    transport,
    meters,
    accessLog,
    secret,
    kills: new Int32Array(start.kills),
    onProgress: beat,
    dialects,
    guards: { memory: start.guards, worker: start.index, workers: start.workers },
    keyedAnswers,
    ledger: start.ledger && new RequestLedger(start.ledger),
  });
  proxy.apply(start.update.states);
  return { transport, proxy, flush: () => accessLog.flush() };
}

async function listen(transport: Transport, proxy: Proxy, start: WorkerStart, say: (message: FromWorker) => void): Promise<void> {
  const ports: number[] = [];
  for (const [index, bind] of start.binds.entries()) {
    const { name, host, port } = bind;
    const tls = start.config.listeners[index]?.tls;
    try {
      ports.push(await transport.listen({ name, host, port, reusePort: start.reusePort, tls }, proxy.accept));
    } catch (error) {
      say(bindFailed(bind, error));
      return;
    }
  }
  say({ kind: "listening", ports, update: start.update.number });
}

function bindFailed(bind: Bind, error: unknown): FromWorker {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return { kind: "bind-failed", bind, code, message: error instanceof Error ? error.message : String(error) };
}

async function drain({ transport, proxy, flush }: Running, graceMs: number, timeoutMs: number): Promise<Cut> {
  proxy.stopObserving();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<"timeout">((resolve) => {
    timer = setTimeout(resolve, timeoutMs, "timeout");
  });
  const end = await Promise.race([transport.drain(graceMs), timeout]);
  clearTimeout(timer);
  const cut =
    end === "timeout" ? { requests: transport.load.exchanges, connections: transport.load.connections } : { requests: 0, connections: 0 };
  transport.destroy();
  flush();
  return cut;
}

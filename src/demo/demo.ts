import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startServer, type RunningServer } from "../app/server.ts";
import { openLines } from "../telemetry/line-writer.ts";
import { createLog } from "../telemetry/log.ts";
import { createPeople, sampleBody } from "./people.ts";
import { choosePort, describeMoves, type Move } from "./ports.ts";
import { openScreen, type Terminal } from "./screen.ts";
import { demoConfig, FLAG, MATCH_PATH, SEGMENT_VALUES } from "./settings.ts";
import { SIMULATOR_KINDS } from "./simulators/service.ts";
import { SERVICES, startSimulator, type Simulator } from "./simulators/simulator.ts";
import { Traffic } from "./traffic.ts";
import type { ViewModel } from "./view.ts";

export interface DemoOptions {
  /** Port of the proxy; default 8080, another where that is taken. */
  readonly port?: number;
  /** Port of the admin API; default 9090, another where that is taken. */
  readonly adminPort?: number;
  /** Requests a second; default 40. */
  readonly rate?: number;
  readonly version?: string;
  readonly terminal?: NodeJS.WriteStream | Terminal;
  /** Ends the demo as Ctrl-C does. */
  readonly signal?: AbortSignal;
}

const PEOPLE = 1_000;

/**
 * Simulated backends, the proxy in front of them and a trickle of traffic, in this process and with a store in memory.
 * Resolves with the exit code once it has been ended, by Ctrl-C, SIGTERM or `signal`, and everything is closed. A second
 * Ctrl-C ends at once.
 */
export async function runDemo(options: DemoOptions = {}): Promise<number> {
  const terminal = options.terminal ?? process.stdout;
  const ended = Promise.withResolvers<void>();
  let ending = false;
  const onSignal = (): void => {
    if (ending) process.exit(1);
    ending = true;
    ended.resolve();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  options.signal?.addEventListener("abort", () => ended.resolve());
  try {
    await using stack = new AsyncDisposableStack();
    await start(stack, options, terminal);
    if (options.signal?.aborted) ended.resolve();
    await ended.promise;
    terminal.write("Ending: open requests are answered first.\n");
    return 0;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/** Starts every part, each closed by the stack in the opposite order. */
async function start(stack: AsyncDisposableStack, options: DemoOptions, terminal: NodeJS.WriteStream | Terminal): Promise<void> {
  const moves: Move[] = [];
  const directory = await mkdtemp(path.join(tmpdir(), "crossfade-demo-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const requestFile = path.join(directory, "request.json");
  await writeFile(requestFile, sampleBody());

  const simulators: Simulator[] = [];
  for (const kind of SIMULATOR_KINDS) {
    const wanted = SERVICES[kind].defaultPort;
    const simulator = stack.use(await startSimulator(kind, { port: await choosePort(wanted) }));
    if (simulator.port !== wanted) moves.push({ who: kind, from: wanted, to: simulator.port });
    simulators.push(simulator);
  }
  const [v1, nexten, v2] = simulators;
  if (v1 === undefined || nexten === undefined || v2 === undefined) throw new Error("a simulator is missing");

  const port = await portFor("the proxy", options.port, 8080, moves);
  const adminPort = await portFor("the admin API", options.adminPort, 9090, moves);
  const urls = { v1: v1.url, nexten: nexten.url, v2: v2.url };
  const config = demoConfig({ port, adminPort, urls, stateDirectory: path.join(directory, "state") });
  const lines = openLines(path.join(directory, "crossfade.log"));
  stack.defer(() => lines.close());
  const log = createLog("info", { log: "control" }, lines);
  const server = await startServer({ config, log, version: options.version ?? "demo" });
  stack.defer(async () => void (await server.drain()));

  const proxyUrl = `http://127.0.0.1:${server.listeners[0]?.port ?? port}`;
  const traffic = new Traffic({
    origin: proxyUrl,
    path: MATCH_PATH,
    people: createPeople(PEOPLE),
    rate: options.rate ?? 40,
    segmentOf: (value) => SEGMENT_VALUES[value] ?? "none",
  });
  stack.defer(() => traffic.stop());

  const screen = openScreen(terminal);
  const notes = describeMoves(moves);
  const tries = triesFor(proxyUrl, server.admin.url, v2.url, requestFile);
  const show = (): void => screen.show(modelOf({ server, traffic, simulators, proxyUrl, notes, tries }));
  show();
  const timer = setInterval(show, screen.everyMs);
  stack.defer(() => {
    clearInterval(timer);
    screen.close();
  });
}

async function portFor(who: string, asked: number | undefined, byDefault: number, moves: Move[]): Promise<number> {
  const wanted = asked ?? byDefault;
  const port = await choosePort(wanted);
  if (wanted !== 0 && port !== wanted) moves.push({ who, from: wanted, to: port });
  return port;
}

interface Parts {
  readonly server: RunningServer;
  readonly traffic: Traffic;
  readonly simulators: readonly Simulator[];
  readonly proxyUrl: string;
  readonly notes: readonly string[];
  readonly tries: ViewModel["tries"];
}

function modelOf({ server, traffic, simulators, proxyUrl, notes, tries }: Parts): ViewModel {
  const status = server.control.status();
  return {
    proxyUrl,
    adminUrl: server.admin.url,
    notes,
    flag: status.flags.find((flag) => flag.flag === FLAG),
    traffic: status.traffic.find((route) => route.route === "match"),
    recent: traffic.recent(),
    backends: simulators.map(({ kind, url, behaviour }) => ({ name: kind, url, fault: behaviour.fault })),
    tries,
  };
}

function triesFor(proxyUrl: string, adminUrl: string, v2Url: string, requestFile: string): ViewModel["tries"] {
  const at = (url: string, target: string): string => url.replace("http://", "") + target;
  return [
    {
      about: "ask as a user, and see in the headers who answered and why",
      command: ["curl -sD - -o /dev/null", "-H 'X-User-ID: alice'", `-d @${requestFile}`, at(proxyUrl, MATCH_PATH)],
    },
    {
      about: "send half of the users to V2",
      command: ["curl -X PATCH", "-H content-type:application/json", `-d '{"rollout_percentage": 50}'`, at(adminUrl, `/api/flags/${FLAG}`)],
    },
    { about: 'break V2, and see nobody notice ("none" repairs it)', command: [`curl -d '{"fault": "hang"}' ${at(v2Url, "/_sim")}`] },
  ];
}

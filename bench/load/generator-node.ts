import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, connect, type AddressInfo, type Socket } from "node:net";
import { createInterface } from "node:readline";

/**
 * The generator for machines without a C compiler: the commands, the files and the output of generator.c, on Node's
 * sockets. It costs more a request, so it holds back whatever is faster than itself.
 */

const upstreamCount = Number(process.argv[2]);
let body: Buffer = Buffer.alloc(0);
let heads: readonly Buffer[] = [];
let answers: readonly Buffer[] = [];
let nextRequest = 0;

function readMessages(file: string): Buffer[] {
  const bytes = readFileSync(file);
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    messages.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return messages;
}

/** Calls `whole` with the beginning of each message, at least its head, when all of it has come; nobody pipelines. */
function onMessages(socket: Socket, whole: (message: Buffer) => void): void {
  let pieces: Buffer[] = [];
  let filled = 0;
  /** Bytes of the whole message, 0 until the head is known, NaN where an empty chunk ends it. */
  let wanted = 0;
  socket.setNoDelay(true);
  socket.on("data", (chunk) => {
    pieces.push(chunk);
    filled += chunk.length;
    if (wanted === 0) {
      const first = Buffer.concat(pieces);
      pieces = [first];
      wanted = messageBytes(first);
      if (wanted === 0) return;
    }
    if (Number.isNaN(wanted) ? chunk.toString("latin1", chunk.length - 5) !== "0\r\n\r\n" : filled < wanted) return;
    const [message = chunk] = pieces;
    pieces = [];
    filled = wanted = 0;
    whole(message);
  });
}

function messageBytes(first: Buffer): number {
  const blank = first.indexOf("\r\n\r\n");
  if (blank < 0) return 0;
  const head = first.toString("latin1", 0, blank + 2);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (length) return blank + 4 + Number(length[1]);
  return /\r\ntransfer-encoding:/i.test(head) ? Number.NaN : blank + 4;
}

const served = Array.from({ length: upstreamCount }, () => 0);
const ports = await Promise.all(
  served.map(
    (_, index) =>
      new Promise<number>((resolve) => {
        const server = createServer((socket) => {
          socket.on("error", () => socket.destroy());
          onMessages(socket, () => {
            served[index] = (served[index] ?? 0) + 1;
            socket.write(answers[index] ?? "");
          });
        });
        server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
      }),
  ),
);
process.stdout.write(`${JSON.stringify({ upstreams: ports })}\n`);

function cpuUs(pids: readonly string[]): number {
  let ns = 0;
  for (const pid of pids) {
    try {
      for (const task of readdirSync(`/proc/${pid}/task`))
        ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ", 1)[0]);
    } catch {
      // A process that has ended uses nothing more.
    }
  }
  return ns / 1000;
}

function residentKb(pids: readonly string[]): number {
  return pids.reduce((sum, pid) => {
    try {
      return sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0);
    } catch {
      return sum;
    }
  }, 0);
}

interface Client {
  readonly socket: Socket;
  due: number;
  waiting: boolean;
}

async function measure(
  port: number,
  connections: number,
  rate: number,
  warmMs: number,
  measureMs: number,
  pids: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const clients = new Set<Client>();
  const idle: Client[] = [];
  const backlog: number[] = [];
  let latencies: number[] = [];
  let errors = 0;
  let active = true;

  const send = (client: Client, due: number): void => {
    client.due = due;
    client.waiting = true;
    client.socket.cork();
    client.socket.write(heads[nextRequest] ?? "");
    if (body.length > 0) client.socket.write(body);
    client.socket.uncork();
    nextRequest = (nextRequest + 1) % heads.length;
  };
  const open = (): Promise<Client> =>
    new Promise((resolve, reject) => {
      const client: Client = { socket: connect(port, "127.0.0.1"), due: 0, waiting: false };
      client.socket.once("connect", () => {
        clients.add(client);
        resolve(client);
      });
      client.socket.on("error", reject);
      client.socket.on("close", () => lose(client));
      onMessages(client.socket, (message) => {
        const now = performance.now();
        if (message.toString("latin1", 9, 12) !== "200") errors++;
        latencies.push(now - client.due);
        client.waiting = false;
        if (rate === 0) send(client, now);
        else {
          const due = backlog.shift();
          if (due === undefined) idle.push(client);
          else send(client, due);
        }
      });
    });
  const lose = (client: Client): void => {
    if (!active || !clients.delete(client)) return;
    const at = idle.indexOf(client);
    if (at >= 0) idle.splice(at, 1);
    if (client.waiting) errors++;
    open().then(
      (again) => (client.waiting ? send(again, client.due) : idle.push(again)),
      () => errors++,
    );
  };

  idle.push(...(await Promise.all(Array.from({ length: connections }, open))));
  const start = performance.now();
  let scheduled = 0;
  const sendDue = (): void => {
    for (let due = start; (due = start + (scheduled * 1000) / rate) <= performance.now(); scheduled++) {
      // The one that has rested longest, so that all carry alike.
      const client = idle.shift();
      if (client) send(client, due);
      else backlog.push(due);
    }
    if (active) setImmediate(sendDue);
  };
  if (rate > 0) sendDue();
  else for (let client = idle.pop(); client; client = idle.pop()) send(client, start);

  await new Promise((resolve) => setTimeout(resolve, warmMs));
  latencies = [];
  errors = 0;
  served.fill(0);
  const [cpu, own, from] = [cpuUs(pids), process.cpuUsage(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, measureMs));
  active = false;
  const seconds = (performance.now() - from) / 1000;
  const used = process.cpuUsage(own);
  const sorted = Float64Array.from(latencies).sort();
  const us = (share: number): number => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 1000);
  const waiting = [...clients].filter((client) => client.waiting).length + backlog.length;
  const resident = residentKb(pids);
  for (const client of clients) client.socket.destroy();
  return {
    seconds,
    answered: sorted.length,
    errors,
    waiting,
    cpuUs: cpuUs(pids) - cpu,
    generatorUs: used.user + used.system,
    residentKb: resident,
    p50: us(0.5),
    p90: us(0.9),
    p99: us(0.99),
    p999: us(0.999),
    max: us(1),
    served: [...served],
    spread: [],
  };
}

async function hold(
  port: number,
  connections: number,
  requests: number,
  settleMs: number,
  pids: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const beforeKb = residentKb(pids);
  const sockets: Socket[] = [];
  let [lost, errors, active] = [0, 0, true];
  for (let opened = 0; opened < connections; opened++) {
    const socket = connect(port, "127.0.0.1").on("error", () => socket.destroy());
    socket.on("close", () => (lost += active ? 1 : 0));
    sockets.push(socket);
    await once(socket, "connect");
    for (let left = requests; left > 0; left--) {
      await new Promise<void>((resolve) => {
        onMessages(socket, (message) => {
          if (message.toString("latin1", 9, 12) !== "200") errors++;
          resolve();
        });
        socket.write(Buffer.concat([heads[opened % heads.length] ?? body, body]));
      });
      socket.removeAllListeners("data");
    }
  }
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const afterKb = residentKb(pids);
  active = false;
  for (const socket of sockets) socket.destroy();
  return { opened: sockets.length, lost, errors, beforeKb, afterKb };
}

async function obey(line: string): Promise<unknown> {
  const [command, ...words] = line.split(" ");
  const [first = "", second = ""] = words;
  const pids = (words.at(-1) ?? "").split(",");
  const [port = 0, count = 0, third = 0, fourth = 0, fifth = 0, share = 0] = words.map(Number);
  switch (command) {
    case "load":
      [body = body, ...heads] = readMessages(first);
      answers = readMessages(second);
      return { requests: heads.length };
    case "run":
      if (share >= 0)
        return { error: "which thread serves a connection can only be told by the native generator, which needs a C compiler" };
      return measure(port, count, third, fourth, fifth, pids);
    case "hold":
      return hold(port, count, third, fourth, pids);
    case undefined:
    default:
      return { error: "no such command" };
  }
}

for await (const line of createInterface(process.stdin)) process.stdout.write(`${JSON.stringify(await obey(line))}\n`);
process.exit(0);

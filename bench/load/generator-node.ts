import { readdirSync, readFileSync } from "node:fs";
import { createServer, connect, type AddressInfo, type Socket } from "node:net";
import { createInterface } from "node:readline";

/**
 * The generator for machines without a C compiler: the commands, the files and the output of generator.c, on Node's
 * sockets. It costs more a request, so it holds back whatever is faster than itself.
 */

const [requestsFile = "", answersFile = ""] = process.argv.slice(2);
const requests = readMessages(requestsFile);
const answers = readMessages(answersFile);
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

/** Calls `whole` for each complete message; nobody pipelines. */
function onMessages(socket: Socket, whole: (message: Buffer) => void): void {
  let buffer: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on("data", (chunk) => {
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
    const blank = buffer.indexOf("\r\n\r\n");
    if (blank < 0) return;
    const head = buffer.toString("latin1", 0, blank + 2);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    const end = length ? blank + 4 + Number(length[1]) : /\r\ntransfer-encoding:/i.test(head) ? chunkedEnd(buffer, blank + 4) : blank + 4;
    if (end === 0 || buffer.length < end) return;
    const message = buffer;
    buffer = Buffer.alloc(0);
    whole(message);
  });
}

function chunkedEnd(buffer: Buffer, from: number): number {
  return buffer.length >= from + 5 && buffer.toString("latin1", buffer.length - 5) === "0\r\n\r\n" ? buffer.length : 0;
}

const served = answers.map(() => 0);
const ports = await Promise.all(
  answers.map(
    (answer, index) =>
      new Promise<number>((resolve) => {
        const server = createServer((socket) => {
          socket.on("error", () => socket.destroy());
          onMessages(socket, () => {
            served[index] = (served[index] ?? 0) + 1;
            socket.write(answer);
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
    client.socket.write(requests[nextRequest] ?? "");
    nextRequest = (nextRequest + 1) % requests.length;
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
      const client = idle.pop();
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
  for (const client of clients) client.socket.destroy();
  return {
    seconds,
    answered: sorted.length,
    errors,
    waiting,
    cpuUs: cpuUs(pids) - cpu,
    generatorUs: used.user + used.system,
    residentKb: residentKb(pids),
    p50: us(0.5),
    p90: us(0.9),
    p99: us(0.99),
    p999: us(0.999),
    max: us(1),
    served: [...served],
  };
}

for await (const line of createInterface(process.stdin)) {
  const [, port, connections, rate, warmMs, measureMs, pids = ""] = line.split(" ");
  const result = await measure(Number(port), Number(connections), Number(rate), Number(warmMs), Number(measureMs), pids.split(","));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);

import { randomUUID } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { readRollout } from "../../src/controller/state-text.ts";
import type { Rollout } from "../../src/controller/rollout.ts";
import { COMMIT } from "../../src/store/scripts.ts";
import type { Scope } from "./backend.ts";

/**
 * Stands between one instance and Redis, and can stop at a chosen write of the rollout's document: before Redis has it, or when
 * Redis has carried it out and the writer does not know yet.
 */
export interface Gate {
  readonly url: string;
}

/** A write that is not to pass unharmed. Nothing of that connection goes on after `spring`, which is called at that instant. */
export interface Caught {
  readonly when: "before" | "after";
  readonly spring: () => void;
}

/** Keys of the script that writes, and arguments before those of the document. */
const COMMIT_KEYS = 7;
const DOCUMENT_AT = 3 + COMMIT_KEYS + 3;

/** `catches` is asked about every document that is on its way. */
export async function openGate(scope: Scope, redisPort: number, catches: (rollout: Rollout) => Caught | undefined): Promise<Gate> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const redis = connect(redisPort, "127.0.0.1");
    const commands = new Commands();
    let sprung = false;
    for (const socket of [client, redis]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        redis.destroy();
      });
    }
    redis.on("data", (answer: Buffer) => {
      if (!sprung) client.write(answer);
    });
    client.on("data", (sent: Buffer) => {
      for (const { bytes, parts } of commands.push(sent)) {
        if (sprung) return;
        const rollout = documentOf(parts);
        const caught = rollout === undefined ? undefined : catches(rollout);
        if (caught === undefined) {
          redis.write(bytes);
          continue;
        }
        sprung = true;
        if (caught.when === "before") caught.spring();
        else afterwards(redis, bytes, caught.spring);
      }
    });
  });
  await listen(server);
  scope.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `redis://127.0.0.1:${address.port}` };
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
}

/** Sends a command and a question after it; once that is answered, the command has been carried out. */
function afterwards(redis: Socket, bytes: Buffer, done: () => void): void {
  const nonce = randomUUID();
  let answers = "";
  redis.on("data", (answer: Buffer) => {
    const before = answers.includes(nonce);
    answers += answer.toString("latin1");
    if (!before && answers.includes(nonce)) done();
  });
  redis.write(Buffer.concat([bytes, Buffer.from(`*2\r\n$4\r\nECHO\r\n$${nonce.length}\r\n${nonce}\r\n`)]));
}

/** The document that a command writes; undefined where it writes none. */
function documentOf(parts: readonly string[]): Rollout | undefined {
  const [name = "", script] = parts;
  const writes = (/^evalsha$/i.test(name) && script === COMMIT.sha) || (/^eval$/i.test(name) && script === COMMIT.lua);
  return writes && parts.length > DOCUMENT_AT ? readRollout(parts.at(-1) ?? "") : undefined;
}

/** Cuts what a client sends into commands. */
class Commands {
  #rest = Buffer.alloc(0);

  push(sent: Buffer): readonly { readonly bytes: Buffer; readonly parts: readonly string[] }[] {
    this.#rest = Buffer.concat([this.#rest, sent]);
    const found: { readonly bytes: Buffer; readonly parts: readonly string[] }[] = [];
    for (;;) {
      const next = this.#first();
      if (next === undefined) return found;
      found.push({ bytes: this.#rest.subarray(0, next.end), parts: next.parts });
      this.#rest = this.#rest.subarray(next.end);
    }
  }

  #first(): { readonly end: number; readonly parts: readonly string[] } | undefined {
    const head = this.#line(0, "*");
    if (head === undefined) return undefined;
    const parts: string[] = [];
    let at = head.end;
    for (let i = 0; i < head.number; i++) {
      const length = this.#line(at, "$");
      if (length === undefined || this.#rest.length < length.end + length.number + 2) return undefined;
      parts.push(this.#rest.toString("utf8", length.end, length.end + length.number));
      at = length.end + length.number + 2;
    }
    return { end: at, parts };
  }

  #line(from: number, mark: string): { readonly end: number; readonly number: number } | undefined {
    const end = this.#rest.indexOf("\r\n", from);
    if (end < 0) return undefined;
    const text = this.#rest.toString("latin1", from, end);
    if (!text.startsWith(mark)) throw new Error(`${JSON.stringify(text.slice(0, 40))} is no command of Redis's protocol`);
    return { end: end + 2, number: Number(text.slice(1)) };
  }
}

import { performance } from "node:perf_hooks";
import { usualReason } from "../../http/status.ts";
import { headRoom, writeResponseHead } from "../../http/write-head.ts";
import type { AnswerHead } from "../transport.ts";
import type { Sockets, WireSocket } from "./sockets.ts";

/** How the end of an answer is told: by its length, by chunks, as the upstream said of a body that is not sent, or not at all. */
export type Framing = number | "none" | "as-received" | "chunked";
export type Persistence = "keep-alive" | "close" | "";

/** What follows a head in the same write. Longer bodies are sent from where they lie. */
const TOGETHER_BYTES = 65_536;
const DATE_MS = 500;
const CHUNK_ROOM = 32;
const CRLF = "\r\n";

/** Puts answers together and sends them, each in one write if it fits. */
export class AnswerWriter {
  readonly #sockets: Sockets;
  #date = "";
  #dateAt = -Infinity;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  /** Sends a head and, if there is one, the whole body behind it. `lasting`: it will never change. False if the client did not take all of it at once. */
  send(
    socket: WireSocket,
    head: AnswerHead,
    framing: Framing,
    persistence: Persistence,
    body: Uint8Array | undefined,
    lasting = false,
  ): boolean {
    const length = body === undefined ? 0 : body.length;
    const together = length <= TOGETHER_BYTES;
    const out = this.#sockets.scratch(headRoom(head.from, head.edits, head.reason.length + 128) + (together ? length : 0));
    let end = this.#writeHead(out, head, framing, persistence);
    if (body === undefined || length === 0) return socket.send(out, 0, end);
    if (together) {
      out.set(body, end);
      end += length;
      return socket.send(out, 0, end);
    }
    const taken = socket.send(out, 0, end);
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    return socket.send(bytes, 0, length, lasting) && taken;
  }

  /** Sends one chunk, behind a head if that has not been sent. */
  sendChunk(socket: WireSocket, data: Uint8Array, head: AnswerHead | undefined, persistence: Persistence): boolean {
    const room = head === undefined ? 0 : headRoom(head.from, head.edits, head.reason.length + 128);
    const out = this.#sockets.scratch(room + data.length + CHUNK_ROOM);
    let end = head === undefined ? 0 : this.#writeHead(out, head, "chunked", persistence);
    end += out.write(data.length.toString(16) + CRLF, end, "latin1");
    out.set(data, end);
    end += data.length;
    end += out.write(CRLF, end, "latin1");
    return socket.send(out, 0, end);
  }

  sendLastChunk(socket: WireSocket, trailers: readonly string[]): boolean {
    let text = "0\r\n";
    for (let i = 0; i + 1 < trailers.length; i += 2) text += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
    return this.sendText(socket, text + CRLF);
  }

  /** Sends a short text as it is, such as an interim answer. */
  sendText(socket: WireSocket, text: string): boolean {
    const out = this.#sockets.scratch(text.length);
    return socket.send(out, 0, out.write(text, 0, "latin1"));
  }

  #writeHead(out: Buffer, head: AnswerHead, framing: Framing, persistence: Persistence): number {
    const { status, from, edits } = head;
    const reason = head.reason || usualReason(status);
    let end = writeResponseHead(out, 0, true, status, reason, from, edits, framing, persistence);
    // An answer without a date gets the time at which it passed (RFC 9110, 6.6.1): in front of the empty line.
    if (status >= 200 && !from?.has("date")) {
      end -= CRLF.length;
      end += out.write(this.#dateLine(), end, "latin1");
    }
    return end;
  }

  #dateLine(): string {
    const now = performance.now();
    if (now - this.#dateAt > DATE_MS) {
      this.#dateAt = now;
      this.#date = `Date: ${new Date().toUTCString()}\r\n\r\n`;
    }
    return this.#date;
  }
}

import { connect } from "node:net";
import type { Test } from "tap";
import { readRequest, type Message } from "./messages.ts";
import { startRawBackend, type RawBackend } from "./upstreams.ts";

export type Answer = (request: Message) => string;

/** What a backend keeps of everything that reached it. It reads by the grammar alone, so that nothing is mended on the way. */
export class Recording {
  /** Whole requests, in order. */
  readonly requests: Message[] = [];
  /** What came that is no request. */
  readonly wrong: string[] = [];
  /** Everything that came, connection by connection. */
  readonly transcripts: string[] = [];
  answer: Answer;

  constructor(answer: Answer = echoLine) {
    this.answer = answer;
  }

  forget(): void {
    this.requests.length = this.wrong.length = this.transcripts.length = 0;
  }

  /** A connection; returns what takes its bytes. */
  open(write: (text: string) => void): (bytes: Uint8Array) => void {
    let unread = "";
    // Numbered when first heard of, so that `forget` begins anew also for connections that stay open.
    let transcripts = this.transcripts.length;
    return (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      if (this.transcripts[transcripts] === undefined) transcripts = this.transcripts.push("") - 1;
      this.transcripts[transcripts] += text;
      unread += text;
      for (;;) {
        const reading = readRequest(unread);
        if (reading.kind === "wrong") this.wrong.push(reading.why);
        if (reading.kind !== "whole") return;
        unread = reading.rest;
        this.requests.push(reading.message);
        write(this.answer(reading.message));
      }
    };
  }
}

/** Answers with the request's own first line, by which an answer is known to be its own. */
export function echoLine({ line }: Message): string {
  const said = line.replace(/ HTTP.*/, "");
  return `HTTP/1.1 200 OK\r\nContent-Length: ${said.length}\r\n\r\n${line.startsWith("HEAD ") ? "" : said}`;
}

export interface RecordingBackend extends RawBackend {
  readonly recording: Recording;
}

export async function startRecordingBackend(t: Test, answer?: Answer): Promise<RecordingBackend> {
  const recording = new Recording(answer);
  const backend = await startRawBackend(t, (socket) => {
    socket.setNoDelay(true);
    socket.on(
      "data",
      recording.open((text) => void socket.write(text, "latin1")),
    );
  });
  return { ...backend, recording };
}

export interface Heard {
  readonly text: string;
  /** The connection ended by a reset. */
  readonly reset: boolean;
}

/** Sends bytes as they are and resolves with everything that comes back, however the connection ends. */
export function say(port: number, bytes: string): Promise<Heard> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(bytes, "latin1"));
    let text = "";
    let reset = false;
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => (reset = true));
    socket.on("close", () => resolve({ text, reset }));
  });
}

/** The statuses of a connection's answers. Bodies in these tests do not hold status lines. */
export function statusesOf(text: string): number[] {
  return Array.from(text.matchAll(/HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/g), (match) => Number(match[1]));
}

/** Fields that the proxy writes itself, or that frame the message and so show in the body. */
const OURS =
  /^(?:x-request-id|traceparent|x-forwarded-.*|forwarded|via|connection|content-length|transfer-encoding|keep-alive|date|server-timing)$/;

export interface Essence {
  readonly line: string;
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

/** A message so that two that mean the same are equal: names without case, in order of their names. */
export function essence({ line, fields, body, trailers }: Message): Essence {
  const plain = (list: Message["fields"]): string[] => {
    const named = list.map(([name, value]) => [name.toLowerCase(), value] as const).filter(([name]) => !OURS.test(name));
    const sorted = named.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    // A request that brings no host is given that of the endpoint.
    return sorted.map(([name, value]) =>
      name === "host" && /^127\.0\.0\.1:\d+$/.test(value) ? "host: (the endpoint)" : `${name}: ${value}`,
    );
  };
  return { line, fields: plain(fields), body, trailers: plain(trailers) };
}

import { createServer, type Socket } from "node:net";
import { closeServer, Inbox, listen, MOST_BYTES, serveInbox, type Sink, urlOf } from "./sink.ts";

export interface MailOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Of SMTP; 0, the default, lets the system choose. */
  readonly port?: number;
  /** Of the page; 0, the default, lets the system choose. */
  readonly httpPort?: number;
}

export interface MailSink extends Sink {
  readonly smtpPort: number;
}

const IDLE_MS = 60_000;

/** Stands in for a mail server: takes every mail, passes none on, and shows them. No TLS and no login. */
export async function startMailSink({ host = "127.0.0.1", port = 0, httpPort = 0 }: MailOptions = {}): Promise<MailSink> {
  const inbox = new Inbox();
  const sockets = new Set<Socket>();
  const smtp = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    const session = new SmtpSession(inbox);
    socket.write("220 demo mail\r\n");
    socket.on("data", (chunk: Buffer) => {
      const { answer, isOver } = session.take(chunk.toString("utf8"));
      if (answer !== "") socket.write(answer);
      if (isOver) socket.end();
    });
  });
  const page = serveInbox(inbox, "What was mailed");
  const smtpPort = await listen(smtp, host, port);
  const bound = await listen(page, host, httpPort);
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await Promise.all([new Promise<void>((resolve) => smtp.close(() => resolve())), closeServer(page)]);
  };
  return {
    url: urlOf(host, bound),
    port: bound,
    smtpPort,
    get told() {
      return inbox.told;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** As much of RFC 5321 as a well-behaved sender needs. */
class SmtpSession {
  readonly #inbox: Inbox;
  #rest = "";
  #to: string[] = [];
  #data: string[] | undefined;

  constructor(inbox: Inbox) {
    this.#inbox = inbox;
  }

  take(text: string): { readonly answer: string; readonly isOver: boolean } {
    this.#rest += text;
    if (this.#rest.length > MOST_BYTES) return { answer: "552 too much\r\n", isOver: true };
    const lines = this.#rest.split("\r\n");
    this.#rest = lines.pop() ?? "";
    let answer = "";
    for (const line of lines) {
      const said = this.#data === undefined ? this.#command(line) : this.#line(this.#data, line);
      answer += said;
      if (said.startsWith("221") || said.startsWith("552")) return { answer, isOver: true };
    }
    return { answer, isOver: false };
  }

  #command(line: string): string {
    const verb = line.slice(0, 4).toUpperCase();
    switch (verb) {
      case "EHLO":
        return "250-demo mail\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
      case "HELO":
      case "NOOP":
        return "250 fine\r\n";
      case "MAIL":
      case "RSET":
        this.#to = [];
        return "250 fine\r\n";
      case "RCPT":
        this.#to.push(/<([^>]*)>/.exec(line)?.[1] ?? "");
        return "250 fine\r\n";
      case "DATA":
        if (this.#to.length === 0) return "503 for whom?\r\n";
        this.#data = [];
        return "354 go on\r\n";
      case "QUIT":
        return "221 bye\r\n";
      default:
        return "502 not here\r\n";
    }
  }

  #line(data: string[], line: string): string {
    if (line !== ".") {
      data.push(line.startsWith(".") ? line.slice(1) : line);
      return data.length > MOST_BYTES / 10 ? "552 too much\r\n" : "";
    }
    this.#data = undefined;
    this.#inbox.add({ ...readMail(data.join("\n")), to: this.#to });
    this.#to = [];
    return "250 taken\r\n";
  }
}

/** Subject and plain text of a mail as the program writes them. */
function readMail(raw: string): { readonly subject: string; readonly text: string } {
  const [head, body] = halves(raw);
  const unfolded = head.replace(/\n[ \t]+/g, " ");
  const field = (of: string, name: string): string => new RegExp(`^${name}: *(.*)$`, "im").exec(of)?.[1] ?? "";
  const boundary = /boundary="?([^";]+)"?/i.exec(field(unfolded, "Content-Type"))?.[1];
  const subject = decodeWords(field(unfolded, "Subject"));
  if (boundary === undefined) return { subject, text: decodeBody(body, field(unfolded, "Content-Transfer-Encoding")) };
  const part = body.split(`--${boundary}`).find((one) => /^\s*content-type: *text\/plain/im.test(halves(one.trimStart())[0]));
  if (part === undefined) return { subject, text: body };
  const [partHead, partBody] = halves(part.trimStart());
  return { subject, text: decodeBody(partBody, field(partHead, "Content-Transfer-Encoding")) };
}

function halves(text: string): readonly [head: string, body: string] {
  const end = text.indexOf("\n\n");
  return end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end + 2)];
}

function decodeBody(text: string, encoding: string): string {
  if (/base64/i.test(encoding)) return Buffer.from(text, "base64").toString("utf8").trim();
  return (/quoted-printable/i.test(encoding) ? decodeQuoted(text.replace(/=\n/g, "")) : text).trim();
}

/** RFC 2047. */
function decodeWords(text: string): string {
  return text
    .replace(/\?=\s+=\?/g, "?==?")
    .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, kind: string, word: string) =>
      kind.toLowerCase() === "b" ? Buffer.from(word, "base64").toString("utf8") : decodeQuoted(word.replaceAll("_", " ")),
    );
}

function decodeQuoted(text: string): string {
  const bytes = Buffer.from(text, "utf8").toString("latin1");
  return Buffer.from(
    bytes.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  ).toString("utf8");
}

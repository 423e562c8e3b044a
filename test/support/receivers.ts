import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import type { Scope } from "./backend.ts";

/** Real receivers of messages, that may fail as long as a test wants. */

export interface Received {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface WebReceiver {
  readonly port: number;
  readonly url: string;
  /** Whatever came whole, answered well or not. */
  readonly seen: readonly Received[];
  /** What was answered with 200. */
  readonly taken: readonly Received[];
  readonly connections: ReadonlySet<Socket>;
}

export type Faulty = "refuse" | "error" | "hang" | "reset" | "busy" | "redirect" | undefined;

/** `fault` says for each request, counted from 0, what goes wrong. */
export async function startWebReceiver(scope: Scope, fault: (count: number) => Faulty = () => undefined): Promise<WebReceiver> {
  const seen: Received[] = [];
  const taken: Received[] = [];
  const connections = new Set<Socket>();
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      const received = { headers: request.headers, body };
      const wrong = fault(seen.length);
      seen.push(received);
      if (wrong === undefined) taken.push(received);
      answer(request, response, wrong);
    });
  });
  server.on("connection", (socket) => {
    connections.add(socket);
    socket.on("error", () => undefined).on("close", () => connections.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.teardown(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  const { port } = server.address() as AddressInfo; // it listens
  return { port, url: `http://127.0.0.1:${port}/services/T0S3CRET/PATHSECRET99`, seen, taken, connections };
}

function answer(request: IncomingMessage, response: ServerResponse, wrong: Faulty): void {
  switch (wrong) {
    case undefined:
      response.end("ok");
      return;
    case "refuse":
    case "reset":
      request.socket.resetAndDestroy();
      return;
    case "hang":
      return;
    case "busy":
      response.writeHead(429, { "retry-after": "7" }).end("rate_limited");
      return;
    case "redirect":
      response.writeHead(307, { location: "/elsewhere" }).end();
      return;
    case "error":
      // As pages of errors do: it repeats what it was asked.
      response.writeHead(500).end(`cannot POST ${request.url ?? ""} with ${request.headers.authorization ?? "nothing"}`);
  }
}

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  /** As it was sent. */
  readonly raw: string;
  readonly secure: boolean;
  readonly user: string | undefined;
}

export interface MailReceiver {
  readonly port: number;
  readonly mails: readonly Mail[];
  readonly connections: () => number;
}

export async function startMailReceiver(scope: Scope, options: SMTPServerOptions = {}): Promise<MailReceiver> {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    disableReverseLookup: true,
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    closeTimeout: 100,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks).toString("utf8"),
          secure: session.secure,
          user: session.user,
        });
        done();
      });
    },
    ...options,
  });
  server.on("error", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo; // it listens
  return { port, mails, connections: () => server.connections.size };
}

import { STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Limits } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import { bareAddress } from "../../http/forwarded.ts";
import { FieldList, forwardedFields, type RequestHead } from "../../http/head.ts";
import { refuseHead, splitAbsolute, type Refusal } from "../../http/strict.ts";
import { linksOf } from "../early-hints.ts";
import type { AnswerHead, Downstream, DownstreamHandler, RequestBody } from "../transport.ts";
import { BodyReader } from "./body.ts";
import type { NodeListeners } from "./listeners.ts";

export interface DownstreamParts {
  readonly listeners: NodeListeners;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly port: number;
  /** The client waits for 100 Continue before it sends its body. */
  readonly expects: boolean;
  readonly refusal?: Refusal;
}

class NodeRequestHead extends FieldList implements RequestHead {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly version: "1.0" | "1.1";

  constructor(req: IncomingMessage) {
    super(req.rawHeaders);
    this.method = req.method ?? "";
    const url = req.url ?? "/";
    const absolute = url.charCodeAt(0) === 0x2f || url === "*" ? undefined : splitAbsolute(url);
    this.target = absolute?.target ?? url;
    // An absolute target overrules Host (RFC 9112, 3.2.2).
    this.host = absolute?.host ?? this.get("host") ?? "";
    this.version = req.httpVersion === "1.0" ? "1.0" : "1.1";
  }
}

const NO_BODY: RequestBody = { kind: "none" };

/** One request on a connection of node:http. */
export class NodeDownstream implements Downstream {
  readonly head: RequestHead;
  readonly peer: string;
  readonly secure: boolean;
  readonly port: number;
  readonly upgrade: boolean = false;
  readonly refusal: Refusal | undefined;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  started = false;
  open = true;
  body: RequestBody;
  readonly bodyLength: number;
  protected handler: DownstreamHandler | undefined;
  readonly #listeners: NodeListeners;
  readonly #limits: Limits;
  /** Not asked of `req`, which lets go of it when it is destroyed. */
  readonly #socket: Socket;
  readonly #reader: BodyReader | undefined;
  #sentBytes = 0;
  #broken = false;

  constructor(parts: DownstreamParts) {
    const { req, res, limits } = parts;
    this.req = req;
    this.res = res;
    this.port = parts.port;
    this.#listeners = parts.listeners;
    this.#limits = limits;
    this.#socket = req.socket;
    this.secure = req.socket instanceof TLSSocket;
    this.head = new NodeRequestHead(req);
    this.peer = bareAddress(req.socket.remoteAddress ?? "");
    this.refusal = parts.refusal ?? refuseHead(this.head.method, this.head.target, req.httpVersion, this.head);
    const length = this.head.get("content-length");
    const hasBody = this.head.has("transfer-encoding") || (length !== undefined && Number(length) > 0);
    this.body = hasBody ? { kind: "stream" } : NO_BODY;
    this.bodyLength = length === undefined ? -1 : Number(length);
    if (hasBody) {
      if (limits.bodyBytes > 0 && Number(length ?? 0) > limits.bodyBytes && this.refusal === undefined) {
        this.refusal = { failure: "body-too-large", detail: `Content-Length ${length} is over the limit of ${limits.bodyBytes}` };
      }
      this.#reader = new BodyReader(req, limits, parts.deadlines, parts.expects ? res : undefined, (failure) =>
        this.handler?.onBodyFailed(failure),
      );
    }
    res.on("drain", () => this.handler?.onDrain());
    res.on("finish", () => this.#finished());
    res.on("close", () => this.#closed());
    // Without a listener an aborted body would be an uncaught error.
    req.on("error", () => {});
    res.on("error", () => {});
  }

  begin(handler: DownstreamHandler): void {
    this.handler = handler;
    handler.onBegin();
  }

  keepBody(limit: number): void {
    if (this.#reader === undefined) {
      this.handler?.onBody();
      return;
    }
    this.#reader.keep(limit, (kept) => {
      if (kept !== undefined) this.body = { kind: "kept", bytes: kept };
      this.handler?.onBody();
    });
  }

  get bodyReadAt(): number {
    return this.#reader?.lastAt ?? 0;
  }

  /** For the upstream side: the body as a stream, watched from now on. Reading begins when somebody listens. */
  streamBody(): IncomingMessage {
    this.#reader?.watch();
    return this.req;
  }

  /** Bytes came that are not the rest of this request. */
  bodyBroken(failure: "bad-request" | "body-too-large"): void {
    this.#broken = true;
    this.#reader?.stop();
    if (!this.started) this.handler?.onBodyFailed(failure);
    else this.abort();
  }

  respond(head: AnswerHead, body: Uint8Array | undefined, trailers: readonly string[]): void {
    if (!this.open || this.started) return;
    this.started = true;
    const fields = this.#fields(head);
    const { res } = this;
    if (trailers.length > 0 && this.head.version === "1.1" && body !== undefined && this.head.method !== "HEAD") {
      res.writeHead(head.status, reasonOf(head), withoutLength(fields));
      this.#sentBytes = body.length;
      res.write(body);
      this.end(trailers);
      return;
    }
    const isHead = this.head.method === "HEAD" && head.from?.has("content-length");
    if (body !== undefined && !bodyless(head.status) && !isHead) setLength(fields, body.length);
    res.writeHead(head.status, reasonOf(head), fields);
    if (body === undefined || bodyless(head.status) || this.head.method === "HEAD") {
      res.end();
    } else {
      this.#sentBytes = body.length;
      res.end(body);
    }
    this.#watchClient();
  }

  inform(status: number, fields: readonly string[]): void {
    if (!this.open || this.started || this.head.version === "1.0") return;
    // Nothing holds the upstream back here: what the client does not take at once would pile up.
    if (this.#socket.writableLength > 0) return;
    if (status === 102) this.res.writeProcessing();
    else if (status === 103) {
      const link = linksOf(fields);
      if (link.length > 0) this.res.writeEarlyHints({ link });
    }
  }

  start(head: AnswerHead): void {
    if (!this.open || this.started) return;
    this.started = true;
    this.res.writeHead(head.status, reasonOf(head), this.#fields(head));
    // The head leaves together with the first bytes if they are here already, else by itself, at once.
    queueMicrotask(this.#flushHead);
  }

  write(chunk: Uint8Array): boolean {
    if (!this.open) return true;
    this.#sentBytes += chunk.length;
    return this.res.write(chunk);
  }

  end(trailers: readonly string[]): void {
    if (!this.open) return;
    if (trailers.length > 0 && this.head.version === "1.1") {
      const pairs: [string, string][] = [];
      for (let i = 0; i + 1 < trailers.length; i += 2) pairs.push([trailers[i] ?? "", trailers[i + 1] ?? ""]);
      this.res.addTrailers(pairs);
    }
    this.res.end();
    this.#watchClient();
  }

  abort(): void {
    this.res.destroy();
    this.#socket.destroy();
  }

  /** Everything has been said. What the client has not taken yet it must go on taking; the listener hears of it if not. */
  #watchClient(): void {
    if (this.#socket.writableLength > 0) this.#socket.setTimeout(this.#limits.bodyTimeoutMs);
  }

  readonly #flushHead = (): void => {
    if (this.open && this.#sentBytes === 0 && !this.res.writableEnded) this.res.flushHeaders();
  };

  #fields(head: AnswerHead): string[] {
    const fields = forwardedFields(head.from?.fields ?? [], head.edits);
    // A body that will not be read to its end cannot be followed by another request.
    const unread = this.#broken || (this.#reader !== undefined && !this.req.complete);
    // Node's parser does not go on behind an offer to change protocols that was not taken.
    const offered = this.head.has("upgrade");
    if (unread || offered || this.#listeners.isLast(this.#socket)) fields.push("Connection", "close");
    if (head.status === 204 || head.status < 200) return withoutLength(fields);
    return fields;
  }

  #finished(): void {
    if (!this.open) return;
    this.open = false;
    this.#release();
    this.handler?.onAnswered(this.#sentBytes);
    if (this.#broken) this.#socket.destroySoon();
  }

  #closed(): void {
    if (!this.open) return;
    this.open = false;
    this.#release();
    this.handler?.onGone();
  }

  #release(): void {
    this.#reader?.stop();
    // One whose turn never came was never begun.
    if (this.handler !== undefined) this.#listeners.ended(this, this.#socket);
  }
}

/** What the upstream wrote, or the usual words. */
export function reasonOf(head: AnswerHead): string {
  return head.reason || (STATUS_CODES[head.status] ?? "");
}

function bodyless(status: number): boolean {
  return status === 204 || status === 304 || status < 200;
}

function withoutLength(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (name.toLowerCase() !== "content-length") kept.push(name, fields[i + 1] ?? "");
  }
  return kept;
}

/** The length of what is sent, which need not be what came. */
function setLength(fields: string[], length: number): void {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== "content-length") continue;
    fields[i + 1] = String(length);
    return;
  }
  fields.push("Content-Length", String(length));
}

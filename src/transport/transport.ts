import type { Config, Upstream as UpstreamConfig } from "../config/config.ts";
import type { FailureCode } from "../core/failures.ts";
import type { Head, HeadEdits, RequestHead, ResponseHead } from "../http/head.ts";

/**
 * What stands between sockets and exchanges. An engine implements it; nothing above this folder may know which one
 * runs. Everything is callbacks on long-lived objects: an engine may call back synchronously, never after the call
 * that ended the conversation (`onEnd`, `onFailure`, `cancel`, `onGone`).
 */
export interface Transport {
  /** Binds a listener. Resolves with the port in use once connections are accepted. */
  listen(listener: ListenOptions, accept: Accept): Promise<number>;
  upstream(config: UpstreamConfig): Upstream;
  /** Connections open now, and requests being read or answered. */
  readonly load: { readonly connections: number; readonly exchanges: number };
  /**
   * Stops accepting, answers what is under way with `Connection: close`, lets idle connections bring one last
   * request for `graceMs`, then resolves when all are closed.
   */
  drain(graceMs: number): Promise<void>;
  /** Closes everything at once. */
  destroy(): void;
}

export interface ListenOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Share the port with other workers. */
  readonly reusePort: boolean;
  /** Certificate chain and private key, in PEM, of a listener that speaks TLS. */
  readonly tls: ListenTls | undefined;
}

export interface ListenTls {
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes an engine. `board` is what it shares with others about endpoints (see `boardLength`); left out, nobody tells it of their health
 * and it knows only what it sees itself.
 */
export type CreateTransport = (config: Config, board?: Int32Array) => Transport;

/** What a listener asks of the exchanges above it. */
export interface Accept {
  /** Called once per request, when its head has been read. Returns who hears of the rest. */
  request(downstream: Downstream): DownstreamHandler;
  /** Bytes that are no request at all. The engine sends the answer and closes the connection. */
  malformed(failure: FailureCode, detail: string): { readonly head: AnswerHead; readonly body: Uint8Array };
}

/**
 * The body of a request. `kept` may be sent any number of times; `stream` once, for its bytes are read from the client as
 * they are written to the upstream.
 */
export type RequestBody = { readonly kind: "none" } | { readonly kind: "kept"; readonly bytes: Uint8Array } | { readonly kind: "stream" };

/** The client's side of one exchange. */
export interface Downstream {
  readonly head: RequestHead;
  /** Address of the socket's other end. */
  readonly peer: string;
  readonly secure: boolean;
  readonly port: number;
  /** The head asks to change protocols and the engine can tunnel it. */
  readonly upgrade: boolean;
  /** Set when the head must not be forwarded: it can be read in more than one way, or asks what is not spoken here. */
  readonly refusal: { readonly failure: FailureCode; readonly detail: string } | undefined;
  /** `stream` until {@link keepBody} has finished. */
  readonly body: RequestBody;
  /** How long the client says its body is; -1 if it does not. */
  readonly bodyLength: number;
  /** True once the answer's head has been handed over. */
  readonly started: boolean;
  /** The client still waits for its answer. */
  readonly open: boolean;
  /** When bytes of the body last came, on the performance clock; 0 if none did. */
  readonly bodyReadAt: number;

  /**
   * Reads the body and keeps it, up to `limit` bytes, then calls `onBody`. A longer body stays a `stream` whose first part is
   * held. With `none` it calls at once.
   */
  keepBody(limit: number): void;
  /** Sends a whole answer; unless it is `lasting`, `body` may be used again when this returns. A client that stops taking it, or the rest of one that has ended, is given up after `limits.body_timeout`. */
  respond(head: AnswerHead, body: Uint8Array | undefined, trailers: readonly string[], lasting?: boolean): void;
  /** Sends an interim answer (1xx other than 100 and 101), if the client can take it at once: it may always be left out. */
  inform(status: number, fields: readonly string[]): void;
  /** The three parts of an answer that is too long to hold. The chunk may be used again when `write` returns, which it does with false when the client is slow: wait for `onDrain`. */
  start(head: AnswerHead): void;
  write(chunk: Uint8Array): boolean;
  end(trailers: readonly string[]): void;
  /** Closes the connection without (the rest of) an answer. */
  abort(): void;
}

/**
 * An answer's head: the fields of `from`, if there is one, without hop-by-hop ones, changed by `edits`. Connection and
 * framing fields are the engine's.
 */
export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  readonly from: Head | undefined;
  readonly edits: HeadEdits;
}

export interface DownstreamHandler {
  /** Called once, when the engine knows its handler: the exchange begins. */
  onBegin(): void;
  /** The body is `kept`, or found to be longer than asked and still a `stream`. */
  onBody(): void;
  /** The rest of the body cannot be had: it is too large, too slow or malformed. */
  onBodyFailed(failure: "body-too-large" | "request-timeout" | "bad-request"): void;
  /** The client left before it had its whole answer. */
  onGone(): void;
  /** The client takes more bytes again. */
  onDrain(): void;
  /** The whole answer has been handed to the system. */
  onAnswered(bytes: number): void;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** The client's head, forwarded without hop-by-hop fields and changed by `edits`; framing is the engine's. */
  readonly from: RequestHead;
  readonly edits: HeadEdits;
  readonly body: RequestBody;
  /** Whose body and, for a tunnel, whose connection it is. */
  readonly downstream: Downstream;
  /** Do not take a connection that has been used before (after a reuse race). */
  readonly fresh: boolean;
}

/** A named group of endpoints. */
export interface Upstream {
  readonly name: string;
  readonly open: number;
  send(request: UpstreamRequest, handler: CallHandler): Call;
  /**
   * Asks an endpoint to change protocols and, when it does, carries bytes both ways. The engine passes the endpoint's answer
   * on itself, changed by `answer`.
   */
  tunnel(request: UpstreamRequest, answer: HeadEdits, handler: TunnelHandler): Call;
}

/** One attempt under way. */
export interface Call {
  /** Ends it; the handler hears nothing more. */
  cancel(): void;
  /**
   * It took too long, which counts against its endpoint; what comes of it afterwards no longer counts. To be called before
   * {@link cancel} where the endpoint is why. Not there where nothing is learned of single endpoints.
   */
  blame?(): void;
  pause(): void;
  resume(): void;
}

export interface CallHandler {
  /** From now on the endpoint may have seen some of the request. `reused`: on a connection that served before. */
  onSent(reused: boolean): void;
  onInformation(status: number, fields: readonly string[]): void;
  /**
   * A whole answer that came in one piece, instead of the three calls below. Head and body are lent until this returns: what is
   * to last is kept with {@link ResponseHead.keep} and copied.
   */
  onWhole(head: ResponseHead, body: Uint8Array, trailers: readonly string[]): void;
  /** The head lasts as long as the handler. */
  onHead(head: ResponseHead): void;
  /** The bytes are lent until this returns. */
  onData(chunk: Uint8Array): void;
  onEnd(trailers: readonly string[]): void;
  onFailure(failure: CallFailure): void;
}

export interface TunnelHandler {
  /** Status of the endpoint's answer; 101 means that the tunnel stands. */
  onOpen(status: number): void;
  /** Bytes no longer flow either way. */
  onClose(): void;
  /** No tunnel. After `connect-failed` nothing has been sent to the client, who may be given another answer. */
  onFailure(failure: CallFailure): void;
}

export interface CallFailure {
  /** `connect-failed`: provably nothing was sent. `reset`: the connection broke. `bad-answer`: not HTTP, or over a limit. */
  readonly kind: "connect-failed" | "reset" | "bad-answer";
  /** For the log: what the system said. */
  readonly detail: string;
  /** The engine itself would not send it, so that this says nothing of the endpoint. */
  readonly unsendable?: boolean;
}

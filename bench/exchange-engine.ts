import { FieldList, type HeadEdits, type RequestHead, type ResponseHead } from "../src/http/head.ts";
import type {
  AnswerHead,
  Call,
  CallHandler,
  Downstream,
  DownstreamHandler,
  RequestBody,
  Transport,
  UpstreamRequest,
} from "../src/transport/transport.ts";

/** An engine without sockets: requests are put in by hand, wait until they are answered all together, and every answer is the same. */

const REQUEST_BYTES = Buffer.alloc(1_024, 0x61);
const REQUEST_BODY: RequestBody = { kind: "kept", bytes: REQUEST_BYTES };
const STREAM: RequestBody = { kind: "stream" };
const NO_TRAILERS: readonly string[] = [];

const MATCHES = Array.from({ length: 8 }, (_, id) => ({
  id: `candidate-${id}`,
  confidence: 0.9 + id / 100,
  skills: ["java", "kubernetes", "sql"],
  years: 3.5 + id,
  note: "available from \u00fcbermorgen",
}));
export const ANSWER_BODY = Buffer.from(JSON.stringify({ matches: MATCHES, total: MATCHES.length }));

export class BenchRequestHead extends FieldList implements RequestHead {
  readonly method = "POST";
  readonly target = "/api/match";
  readonly host = "match.example.com";
  readonly version = "1.1";
}

class BenchAnswerHead extends FieldList implements ResponseHead {
  readonly status = 200;
  readonly reason = "OK";

  keep(): ResponseHead {
    return this;
  }
}

const ANSWER_HEAD = new BenchAnswerHead([
  "Content-Type",
  "application/json",
  "Date",
  "Mon, 01 Jan 2024 00:00:00 GMT",
  "Content-Length",
  String(ANSWER_BODY.length),
]);

export class BenchDownstream implements Downstream {
  readonly head: RequestHead;
  readonly peer = "192.0.2.7";
  readonly secure = false;
  readonly port = 8080;
  readonly upgrade = false;
  readonly refusal = undefined;
  readonly bodyReadAt = 0;
  body = STREAM;
  readonly bodyLength = REQUEST_BYTES.length;
  started = false;
  open = true;
  handler: DownstreamHandler | undefined;

  constructor(head: RequestHead) {
    this.head = head;
  }

  keepBody(): void {
    this.body = REQUEST_BODY;
    this.handler?.onBody();
  }

  respond(head: AnswerHead, body: Uint8Array | undefined): void {
    this.started = true;
    this.open = false;
    writeOut(head.edits);
    if (head.status === 200) done.answered++;
    this.handler?.onAnswered(body?.length ?? 0);
  }

  inform(): void {}

  start(head: AnswerHead): void {
    this.started = true;
    writeOut(head.edits);
    if (head.status === 200) done.answered++;
  }

  write(): boolean {
    return true;
  }

  end(): void {
    this.open = false;
    this.handler?.onAnswered(ANSWER_BODY.length);
  }

  abort(): void {
    throw new Error("no exchange of this bench is aborted");
  }
}

const CALL: Call = { cancel() {}, pause() {}, resume() {} };

/** Sums over everything, so that nothing can be left out as unused. */
export const done = { written: 0, answered: 0 };
const waiting: CallHandler[] = [];
const out = Buffer.alloc(65_536);

/** As an engine would: text that is never written out is never put together. */
function writeOut({ common, set }: HeadEdits): void {
  if (common !== undefined) out.set(common, 0);
  done.written += out.write(set, common?.length ?? 0, "latin1");
}

export function createBenchTransport(): Transport {
  return {
    load: { connections: 0, exchanges: 0 },
    listen: () => Promise.resolve(0),
    upstream: ({ name }) => ({
      name,
      open: 0,
      send(request: UpstreamRequest, handler: CallHandler): Call {
        writeOut(request.edits);
        waiting.push(handler);
        return CALL;
      },
      tunnel: () => CALL,
    }),
    drain: () => Promise.resolve(),
    destroy() {},
  };
}

/** Answers what waits: in one piece, or by head, data and end. */
export function answerAll(whole: boolean): void {
  for (const handler of waiting) {
    handler.onSent(true);
    if (whole) handler.onWhole(ANSWER_HEAD, ANSWER_BODY, NO_TRAILERS);
    else {
      handler.onHead(ANSWER_HEAD);
      handler.onData(ANSWER_BODY);
      handler.onEnd(NO_TRAILERS);
    }
  }
  waiting.length = 0;
}

import { createHmac } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import { KeyedHash } from "../src/core/keyed-hash.ts";
import { Forwarding } from "../src/http/forwarded.ts";
import { FieldList, forwardedFields, type RequestHead, type ResponseHead } from "../src/http/head.ts";
import { createProxy } from "../src/proxy/proxy.ts";
import type { AnswerHead, Call, CallHandler, Downstream, DownstreamHandler, RequestBody, Transport } from "../src/transport/transport.ts";
import { configOf, Recorder, splitYaml } from "./support/proxy.ts";

class LentHead extends FieldList implements ResponseHead {
  status: number;
  reason = "";

  constructor(status: number, fields: readonly string[] = []) {
    super(fields);
    this.status = status;
  }

  keep(): ResponseHead {
    return new LentHead(this.status, this.fields);
  }

  /** What an engine does when the call is over: the memory is another answer's. */
  reuse(): void {
    this.status = 599;
  }
}

class TestRequestHead extends FieldList implements RequestHead {
  readonly method = "POST";
  readonly target = "/api/match";
  readonly version = "1.1";
  readonly host: string;

  constructor(fields: readonly string[], host = "a.example") {
    super(fields);
    this.host = host;
  }
}

class TestDownstream implements Downstream {
  readonly head: RequestHead = new TestRequestHead(["Host", "a.example", "X-User-ID", "u1"]);
  readonly peer = "192.0.2.7";
  readonly secure = false;
  readonly port = 1;
  readonly upgrade = false;
  readonly refusal = undefined;
  readonly bodyReadAt = 0;
  readonly bodyLength = -1;
  body: RequestBody = { kind: "none" };
  started = false;
  open = true;
  handler: DownstreamHandler | undefined;
  answer: AnswerHead | undefined;
  /** The very bytes that were handed over, and what was in them then. */
  given: Uint8Array | undefined;
  text = "";
  pieces = 0;

  keepBody(): void {
    this.handler?.onBody();
  }
  respond(head: AnswerHead, body: Uint8Array | undefined): void {
    this.given = body;
    this.start(head);
    if (body !== undefined) this.text += String(Buffer.from(body));
    this.end();
  }
  inform(): void {}
  start(head: AnswerHead): void {
    this.started = true;
    this.answer = head;
  }
  write(chunk: Uint8Array): boolean {
    this.pieces++;
    this.text += String(Buffer.from(chunk));
    return true;
  }
  end(): void {
    this.open = false;
    this.handler?.onAnswered(this.text.length);
  }
  abort(): void {
    this.open = false;
  }
  /** A field of the answer. */
  field(name: string): string | undefined {
    const { answer } = this;
    return answer && new FieldList(forwardedFields(answer.from?.fields ?? [], answer.edits)).get(name);
  }
}

const CALL: Call = { cancel() {}, pause() {}, resume() {} };

/** A request that waits for what its calls will bring; `calls` are those sent so far. */
function begin(options: Parameters<typeof splitYaml>[1]): { downstream: TestDownstream; calls: CallHandler[]; recorder: Recorder } {
  const calls: CallHandler[] = [];
  const recorder = new Recorder();
  const transport: Transport = {
    load: { connections: 0, exchanges: 0 },
    listen: () => Promise.resolve(0),
    upstream: ({ name }) => ({
      name,
      open: 0,
      send(_request, handler) {
        calls.push(handler);
        return CALL;
      },
      tunnel: () => CALL,
    }),
    drain: () => Promise.resolve(),
    destroy() {},
  };
  const config = configOf(splitYaml({ stable: "http://127.0.0.1:1", candidate: "http://127.0.0.1:2" }, options));
  const { meters, accessLog } = recorder;
  const proxy = createProxy({
    config,
    transport,
    meters,
    accessLog,
    secret: Buffer.alloc(32, 7),
    kills: new Int32Array(new SharedArrayBuffer(4)),
    onProgress: () => {},
  });
  const downstream = new TestDownstream();
  downstream.handler = proxy.accept.request(downstream);
  downstream.handler.onBegin();
  return { downstream, calls, recorder };
}

/** Answers in one piece from memory that is used again as soon as the call returns. */
function lend(call: CallHandler | undefined, status: number, text: string, fields: readonly string[] = []): Uint8Array {
  const head = new LentHead(status, fields);
  const body = Buffer.from(text);
  call?.onSent(false);
  call?.onWhole(head, body, []);
  head.reuse();
  const whole = body.subarray();
  body.fill("?");
  return whole;
}

const LOW = '{"matches":[{"confidence":0.2}]}';

t.test("an answer that is served when it comes is not copied", async (t) => {
  for (const percentage of [0, 100]) {
    const { downstream, calls } = begin({ percentage });
    const lent = lend(calls[0], 200, "hello", ["X-Of-Backend", "1"]);
    t.equal(downstream.text, "hello");
    t.equal(downstream.given?.buffer, lent.buffer);
    t.equal(downstream.given?.byteOffset, lent.byteOffset);
    t.equal(downstream.field("x-of-backend"), "1");
    t.match(downstream.field("server-timing"), /^total;dur=\d+\.\d, upstream;desc="v[12]";dur=\d+\.\d$/);
  }
});

t.test("one that may be served later outlives the memory it came in", async (t) => {
  const { downstream, calls, recorder } = begin({ quality: true });
  lend(calls[0], 200, LOW, ["X-Of-Backend", "candidate"]);
  t.equal(calls.length, 2, "the fallback is asked");
  t.notOk(downstream.started);
  calls[1]?.onFailure({ kind: "reset", detail: "broken" });
  t.equal(downstream.text, LOW);
  t.equal(downstream.answer?.status, 200);
  t.equal(downstream.field("x-of-backend"), "candidate");
  t.same(recorder.qualities, [0.2]);
});

t.test("pieces of a held answer outlive the memory they came in", async (t) => {
  const { downstream, calls } = begin({ percentage: 100 });
  const chunk = Buffer.from("abc");
  calls[0]?.onSent(false);
  calls[0]?.onHead(new LentHead(200));
  calls[0]?.onData(chunk);
  chunk.write("def");
  calls[0]?.onData(chunk);
  chunk.fill("?");
  calls[0]?.onEnd([]);
  t.equal(downstream.text, "abcdef");
});

t.test("the quality of an answer that nobody holds back is read all the same", async (t) => {
  const { downstream, calls, recorder } = begin({ quality: true, idempotent: false });
  lend(calls[0], 200, LOW);
  t.equal(downstream.text, LOW);
  t.same(recorder.qualities, [0.2]);
});

t.test("an answer in one piece that is longer than what may be held is passed on, and an error of that length replaced", async (t) => {
  const options = { extra: "limits: { answer_bytes: 1KiB }" };
  const long = "x".repeat(2_000);
  const good = begin(options);
  lend(good.calls[0], 200, long);
  t.equal(good.downstream.text, long);
  t.equal(good.downstream.pieces, 1);
  const bad = begin(options);
  lend(bad.calls[0], 500, long);
  t.equal(bad.calls.length, 2);
  lend(bad.calls[1], 200, "fine");
  t.equal(bad.downstream.text, "fine");
  t.equal(bad.downstream.field("x-crossfade-fallback"), "error");
});

t.test("what is said of a request straight from its client is remembered, and never said of another", async (t) => {
  const forwarding = new Forwarding("here");
  const request = (peer: string, host: string, secure: boolean): string =>
    Buffer.from(forwarding.linesFor({ peer, secure, head: new TestRequestHead([], host) }, false, "")).toString("latin1");
  for (let round = 0; round < 2; round++) {
    t.match(
      request("192.0.2.1", "a.example", false),
      /^X-Forwarded-For: 192\.0\.2\.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\.example\r\n/,
    );
    t.match(request("192.0.2.1", "b.example", false), 'for=192.0.2.1;host="b.example";proto=http\r\n');
    t.match(request("192.0.2.1", "b.example", true), "X-Forwarded-Proto: https\r\n");
    t.match(request("2001:db8::1", "b.example", true), 'for="[2001:db8::1]"');
  }
  const chained = forwarding.linesFor({ peer: "192.0.2.1", secure: true, head: new TestRequestHead([], "b.example") }, false, "1.0 there");
  t.match(Buffer.from(chained).toString("latin1"), "Via: 1.0 there, 1.1 here\r\n");
  t.notMatch(request("192.0.2.1", "b.example", true), "there");
});

t.test("a keyed hash is HMAC-SHA-256", async (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.array(fc.string({ maxLength: 700, unit: "grapheme" }), { maxLength: 3 }),
      (key, texts) => {
        const keyed = new KeyedHash(key);
        return texts.every((text) => keyed.digest(text, "hex") === createHmac("sha256", key).update(text).digest("hex"));
      },
    ),
  );
  t.pass();
});

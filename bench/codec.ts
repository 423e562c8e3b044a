import { parseArgs } from "node:util";
import { ChunkedReader } from "../src/http/chunked.ts";
import { fieldLine, type HeadEdits } from "../src/http/head.ts";
import { RawRequest } from "../src/http/raw-request.ts";
import { RawResponse } from "../src/http/raw-response.ts";
import { headRoom, writeRequestHead, writeResponseHead } from "../src/http/write-head.ts";
import { decimals, median, table } from "./figures.ts";
import { wholeNumber } from "./whole-number.ts";

const USAGE = `What reading and writing the heads of HTTP messages costs, and taking bodies out of their chunks.

Usage: node bench/codec.ts [--rounds 15] [--calls 50000]

"least" is the quickest round: on a busy machine it tells more than the median.

Example: node bench/codec.ts --rounds 31
`;

const LIMIT = 16_384;

const REQUEST = Buffer.from(
  "GET /api/match?user_id=42&limit=10 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench/1.0 (linux; x64)\r\nAccept: application/json\r\n" +
    "Accept-Encoding: gzip, br\r\nX-User-ID: user-4711\r\nX-Request-ID: 0f9d5c1e-7a54-4d0e-9a55-0c8d8a2f11aa\r\nConnection: keep-alive\r\n\r\n",
);
const RESPONSE = Buffer.from(
  "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 128\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" +
    "Cache-Control: no-store\r\nX-Service-Version: 2.4.1\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n",
);
const EDITS: HeadEdits = {
  drop: new Set(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via", "x-request-id", "traceparent"]),
  dropPrefix: "x-crossfade-",
  set:
    fieldLine("X-Forwarded-For", "192.0.2.7") +
    fieldLine("X-Forwarded-Proto", "http") +
    fieldLine("Via", "1.1 crossfade") +
    fieldLine("X-Request-ID", "0f9d5c1e-7a54-4d0e-9a55-0c8d8a2f11aa"),
};
const ANSWER_EDITS: HeadEdits = {
  drop: new Set(["x-request-id", "x-service-version"]),
  dropPrefix: "x-crossfade-",
  set: fieldLine("X-Crossfade-Arm", "stable"),
};

interface Case {
  readonly name: string;
  /** Bytes that one call goes over. */
  readonly bytes: number;
  readonly call: () => number;
}

function cases(): readonly Case[] {
  const out = Buffer.allocUnsafeSlow(LIMIT);
  const request = new RawRequest();
  const readRequest = (): number => {
    request.reset();
    return request.read(REQUEST, 0, REQUEST.length, LIMIT);
  };
  const response = new RawResponse();
  const readResponse = (): number => {
    response.reset();
    return response.read(RESPONSE, 0, RESPONSE.length, LIMIT);
  };
  const written = new RawRequest();
  written.read(REQUEST, 0, REQUEST.length, LIMIT);
  const { target } = written;
  const answered = new RawResponse();
  answered.read(RESPONSE, 0, RESPONSE.length, LIMIT);
  return [
    { name: "read a request head", bytes: REQUEST.length, call: readRequest },
    {
      name: "the same, and ask for target, host and a field",
      bytes: REQUEST.length,
      call: () => readRequest() + request.target.length + request.host.length + (request.get("x-user-id")?.length ?? 0),
    },
    { name: "read a response head", bytes: RESPONSE.length, call: readResponse },
    {
      name: "write a request head, changed",
      bytes: REQUEST.length + EDITS.set.length,
      call: () => headRoom(written, EDITS, 64) + writeRequestHead(out, 0, written, "GET", target, EDITS, "", "none"),
    },
    {
      name: "write a response head, changed",
      bytes: RESPONSE.length + ANSWER_EDITS.set.length,
      call: () =>
        headRoom(answered, ANSWER_EDITS, 2) + writeResponseHead(out, 0, true, 200, "OK", answered, ANSWER_EDITS, 128, "keep-alive"),
    },
    ...[16, 256, 4096].map((size) => chunkedCase(size)),
  ];
}

/** 16 kB in chunks of one size. The reader moves data, so each call begins with fresh bytes. */
function chunkedCase(size: number): Case {
  const chunk = `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`;
  const body = Buffer.from(`${chunk.repeat(LIMIT / size)}0\r\n\r\n`);
  const bytes = Buffer.from(body);
  const reader = new ChunkedReader();
  return {
    name: `take 16 kB out of chunks of ${size}`,
    bytes: body.length,
    call: () => {
      body.copy(bytes);
      reader.reset();
      return reader.read(bytes, 0, bytes.length);
    },
  };
}

function measure({ call, bytes }: Case, calls: number, rounds: number): { readonly median: number; readonly least: number } {
  const count = Math.max(1, Math.round((calls * 256) / Math.max(256, bytes)));
  let sum = 0;
  const run = (): number => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) sum += call();
    return Number(process.hrtime.bigint() - start) / count;
  };
  for (let i = 0; i < 3; i++) run();
  const times = Array.from({ length: rounds }, run);
  if (!Number.isFinite(sum)) throw new Error("a call gave no number");
  return { median: median(times), least: Math.min(...times) };
}

try {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "15" },
      calls: { type: "string", default: "50000" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) process.stdout.write(USAGE);
  else {
    const rows = [["", "bytes", "ns", "least", "ns/kB"]];
    for (const one of cases()) {
      const cost = measure(one, wholeNumber("calls", values.calls), wholeNumber("rounds", values.rounds));
      rows.push([
        one.name,
        String(one.bytes),
        decimals(cost.median, 0),
        decimals(cost.least, 0),
        decimals((cost.median * 1024) / one.bytes, 0),
      ]);
    }
    process.stdout.write(`${table(rows)}\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

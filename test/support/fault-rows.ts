import { gzipSync } from "node:zlib";
import type { FallbackReason, Outcome } from "../../src/core/words.ts";
import { after, broken, dripping, type Fault, garbage, hang, matchesOf, whole } from "./faulty-upstream.ts";

export const REPLAY_BYTES = 4_096;
export const ANSWER_BYTES = 65_536;
const LONG = 100_000;
export interface Column {
  readonly name: string;
  readonly idempotent: boolean;
  readonly keyed: boolean;
  readonly bytes: number;
}

const BODIES = { "a small body": 200, "a body of just replay_bytes": REPLAY_BYTES, "a body one byte longer": REPLAY_BYTES + 1 };
export const COLUMNS: readonly Column[] = Object.entries(BODIES).flatMap(([body, bytes]) => [
  { name: `idempotent, ${body}`, idempotent: true, keyed: false, bytes },
  { name: `not idempotent, ${body}`, idempotent: false, keyed: false, bytes },
  { name: `not idempotent but with a key, ${body}`, idempotent: false, keyed: true, bytes },
]);

/** The request may be sent to a second backend after the first has seen it. */
export function isArmed({ idempotent, keyed, bytes }: Column): boolean {
  return (idempotent || keyed) && bytes <= REPLAY_BYTES;
}

export interface Want {
  /**
   * Whose whole answer, or which answer of the proxy's own. `cut`: one that breaks off visibly. `broken`: a reset overtakes what was sent
   * before it, so that it is 502 or `cut`; never something whole.
   */
  readonly gets: "candidate" | "stable" | "cut" | "broken" | 502 | 504;
  readonly fallback?: FallbackReason;
  /** How each attempt ended; all but those without a connection are sends. One in brackets may also have been `ok`. */
  readonly candidate: readonly (Outcome | "(degraded)")[];
  readonly stable?: readonly Outcome[];
  /** It ends with the route's time. */
  readonly timeUp?: boolean;
}

const GOOD: Want = { gets: "candidate", candidate: ["ok"] };

function byStable(fallback: FallbackReason, ...candidate: readonly Outcome[]): Want {
  return { gets: "stable", fallback, candidate, stable: ["ok"] };
}

/** Nobody else may be asked: the client gets the candidate's answer, such as it is. */
function asItIs(outcome: Outcome | "(degraded)"): Want {
  return { gets: "candidate", candidate: [outcome] };
}

export interface Row {
  readonly name: string;
  /** `refused`: nobody listens. Of several the first is for the first request, and so on. */
  readonly candidate: Fault | readonly Fault[] | "refused";
  readonly stable?: Fault | "refused";
  /** Its faults are about time; elsewhere a busy machine must not make anybody late. */
  readonly late?: boolean;
  /** A flag with a breaker, set so, or with nobody on the candidate. Left out: all are on it, and there is no breaker. */
  readonly flag?: "auto" | "open" | "closed" | "nobody";
  /** The sign that is found. */
  readonly sign?: string;
  /** For each request, where it may be sent twice, and where it may not. */
  readonly armed: Want | readonly Want[];
  readonly alone: Want | readonly Want[];
}

export const good = whole(matchesOf);
const error500 = whole(matchesOf, { status: 500 });
const error503 = whole(matchesOf, { status: 503 });
const says = (changes: object): Fault => whole((by) => matchesOf(by, changes));
const longGood = (framing: "length" | "chunked"): Fault => whole((by) => matchesOf(by, {}, LONG), { framing });
const GZIP = { fields: { "content-type": "application/json", "content-encoding": "gzip" } };
const zipped = (changes: object): Fault => whole((by) => gzipSync(matchesOf(by, changes)), GZIP);
const chunked = whole(matchesOf, { framing: "chunked" });
const longError = whole((by) => matchesOf(by, {}, LONG), { status: 500 });
const bad = says({ success: false });
const slow = after(900, good);
const inHead = (head: number): number => head >> 1;
const behindHead = (head: number): number => head;
const inBody = (head: number, all: number): number => (head + all) >> 1;
const oneShort = (_head: number, all: number): number => all - 1;
const noLastChunk = (_head: number, all: number): number => all - 5;
const longCut = broken(oneShort, "close", {}, LONG);

const CANNOT_REACH: Want = byStable("error", "connect-failed");
const NO_ANSWER: Want = { gets: 502, candidate: ["reset"] };
const CUT: Want = { gets: "cut", candidate: ["reset"] };
const TIME_UP: Want = { gets: 504, candidate: ["timeout"], timeUp: true };

const STABLE: Want = { gets: "stable", candidate: [], stable: ["ok"] };
const LATE = { late: true };
const BAD = { sign: "success-false" };

/** The better of what both arms come to. */
const best = (gets: Want["gets"], fallback: FallbackReason, candidate: Outcome, stable: Outcome): Want => ({
  gets,
  fallback,
  candidate: [candidate],
  stable: [stable],
});
const inTheEnd = (want: Want): Want => ({ ...want, timeUp: true });
const both = (
  name: string,
  candidate: Fault | "refused",
  stable: Fault | "refused",
  armed: Want,
  alone: Want = armed,
  more: Partial<Row> = {},
): Row => ({ name, candidate, stable, armed, alone, ...more });
const breaks = (name: string, candidate: Fault, alone: Want): Row => ({ name, candidate, armed: byStable("error", "reset"), alone });
const weak = (name: string, sign: string, candidate: Fault, alone: Outcome | "(degraded)" = "degraded"): Row => ({
  name,
  candidate,
  sign,
  armed: byStable("quality", alone === "(degraded)" ? "degraded" : alone),
  alone: asItIs(alone),
});

export const TABLE: readonly Row[] = [
  { name: "good", candidate: good, armed: GOOD, alone: GOOD },
  { name: "good, in chunks", candidate: chunked, armed: GOOD, alone: GOOD },
  { name: "good, ended by the connection", candidate: whole(matchesOf, { framing: "none" }), armed: GOOD, alone: GOOD },
  { name: "422", candidate: whole(matchesOf, { status: 422 }), armed: GOOD, alone: GOOD },
  {
    name: "good, named text/html",
    candidate: whole(matchesOf, { fields: { "content-type": "text/html" } }),
    armed: GOOD,
    alone: GOOD,
  },

  // Time.
  { name: "hang", candidate: hang, late: true, armed: byStable("latency", "timeout"), alone: TIME_UP },
  { name: "slow", candidate: slow, late: true, armed: byStable("latency", "ok"), alone: GOOD },
  { name: "a dripping head", candidate: dripping("head", 6, 150), late: true, armed: byStable("latency", "ok"), alone: GOOD },
  { name: "a dripping body", candidate: dripping("body", 6, 150), late: true, armed: byStable("latency", "ok"), alone: GOOD },
  {
    name: "silence behind the head",
    candidate: broken(behindHead, "silence"),
    late: true,
    armed: byStable("latency", "timeout"),
    alone: { gets: "cut", candidate: ["timeout"], timeUp: true },
  },
  {
    name: "silence in the middle of the body",
    candidate: broken(inBody, "silence"),
    late: true,
    armed: byStable("latency", "timeout"),
    alone: { gets: "cut", candidate: ["timeout"], timeUp: true },
  },

  // Connections.
  { name: "refused", candidate: "refused", armed: CANNOT_REACH, alone: CANNOT_REACH },
  breaks(
    "reset before any byte",
    broken(() => 0, "reset"),
    NO_ANSWER,
  ),
  breaks(
    "closed before any byte",
    broken(() => 0, "close"),
    NO_ANSWER,
  ),
  breaks("reset inside the head", broken(inHead, "reset"), NO_ANSWER),
  breaks("closed inside the head", broken(inHead, "close"), NO_ANSWER),
  breaks("reset behind the head", broken(behindHead, "reset"), { ...CUT, gets: "broken" }),
  breaks("closed behind the head", broken(behindHead, "close"), CUT),
  breaks("reset in the middle of the body", broken(inBody, "reset"), { ...CUT, gets: "broken" }),
  breaks("closed in the middle of the body", broken(inBody, "close"), CUT),
  breaks("reset one byte before the end", broken(oneShort, "reset"), { ...CUT, gets: "broken" }),
  breaks("closed one byte before the end", broken(oneShort, "close"), CUT),
  breaks("reset in the middle of chunks", broken(inBody, "reset", { framing: "chunked" }), { ...CUT, gets: "broken" }),
  breaks("closed in the middle of chunks", broken(inBody, "close", { framing: "chunked" }), CUT),
  breaks("no last chunk", broken(noLastChunk, "close", { framing: "chunked" }), CUT),
  breaks("one byte missing of the last chunk", broken(oneShort, "close", { framing: "chunked" }), CUT),
  breaks("reset in an answer without a length", broken(inBody, "reset", { framing: "none" }), { ...CUT, gets: "broken" }),
  breaks("a 500 that breaks off", broken(inBody, "close", { status: 500 }), CUT),
  {
    name: "not HTTP",
    candidate: garbage,
    armed: byStable("error", "bad-answer"),
    alone: { gets: 502, candidate: ["bad-answer"] },
  },
  {
    name: "a kept connection that breaks as it is used again",
    candidate: [good, broken(() => 0, "close"), good],
    armed: [GOOD, { gets: "candidate", candidate: ["reset", "ok"] }, GOOD],
    alone: [GOOD, NO_ANSWER, GOOD],
  },
  {
    name: "a kept connection that breaks, and the fresh one too",
    candidate: [good, broken(() => 0, "close"), broken(() => 0, "close")],
    armed: [GOOD, byStable("error", "reset", "reset")],
    alone: [GOOD, NO_ANSWER],
  },

  // Answers.
  { name: "500", candidate: error500, armed: byStable("error", "server-error"), alone: asItIs("server-error") },
  { name: "503", candidate: error503, armed: byStable("error", "server-error"), alone: asItIs("server-error") },
  weak("success is false", "success-false", bad),
  weak("metadata.fallback is true", "fallback-flag", says({ metadata: { fallback: true } })),
  weak("the algorithm is a fallback", "fallback-algorithm", says({ algorithm_used: "fallback_basic" })),
  weak("no matches", "empty-matches", says({ matches: [] }), "(degraded)"),
  weak("an id missing", "missing-ids", says({ matches: [{ offer_id: "o1", overall_score: 0.9, confidence: 0.9 }] }), "(degraded)"),
  weak(
    "an id that nobody asked for",
    "foreign-ids",
    says({ matches: ["o1", "o2", "o3"].map((id, i) => ({ offer_id: id, overall_score: 0.9 - i / 10, confidence: 0.9 })) }),
    "(degraded)",
  ),
  weak(
    "every score the same, and no confidence",
    "equal-scores",
    says({ matches: ["o1", "o2"].map((id) => ({ offer_id: id, overall_score: 0.5, confidence: 0.5 })) }),
  ),
  weak(
    "200 with an error page",
    "not-json",
    whole((by) => Buffer.from(`<html>${by}</html>`)),
    "bad-answer",
  ),
  weak(
    "JSON that is not finished",
    "not-json",
    whole((by) => matchesOf(by).subarray(0, -1)),
    "bad-answer",
  ),
  { name: "gzip", candidate: zipped({}), armed: GOOD, alone: GOOD },
  weak("gzip with a sign in it", "success-false", zipped({ success: false })),
  weak(
    "gzip that is none",
    "not-json",
    whole((by) => matchesOf(by), GZIP),
    "bad-answer",
  ),
  weak(
    "gzip without its end",
    "not-json",
    whole((by) => gzipSync(matchesOf(by)).subarray(0, -9), GZIP),
    "bad-answer",
  ),
  { name: "a long answer", candidate: longGood("length"), armed: GOOD, alone: GOOD },
  { name: "a long answer in chunks", candidate: longGood("chunked"), armed: GOOD, alone: GOOD },
  {
    name: "a long 500",
    candidate: longError,
    armed: byStable("error", "server-error"),
    alone: asItIs("server-error"),
  },
  // Once it flows it cannot be taken back: then its client must see that it is cut.
  { name: "a long answer, closed one byte before its end", candidate: longCut, armed: CUT, alone: CUT },
  {
    name: "a long answer without its last chunk",
    candidate: broken(noLastChunk, "close", { framing: "chunked" }, LONG),
    armed: CUT,
    alone: CUT,
  },
  {
    name: "a long answer that falls silent",
    candidate: broken(oneShort, "silence", {}, LONG),
    armed: { gets: "cut", candidate: ["timeout"], timeUp: true },
    alone: { gets: "cut", candidate: ["timeout"], timeUp: true },
  },

  // Both arms.
  both("slow, stable slower", slow, after(1_400, good), byStable("latency", "ok"), GOOD, LATE),
  both("slow, stable 500", slow, error500, best("candidate", "latency", "ok", "server-error"), GOOD, LATE),
  both("slow, stable a long 500", slow, longError, best("candidate", "latency", "ok", "server-error"), GOOD, LATE),
  both("slow, stable refused", slow, "refused", best("candidate", "latency", "ok", "connect-failed"), GOOD, LATE),
  both("slow, stable breaks off", slow, broken(inBody, "close"), best("candidate", "latency", "ok", "reset"), GOOD, LATE),
  both("hang, stable 503", hang, error503, inTheEnd(best("stable", "latency", "timeout", "server-error")), TIME_UP, LATE),
  both("hang, stable refused", hang, "refused", inTheEnd(best(504, "latency", "timeout", "connect-failed")), TIME_UP, LATE),
  both("both hang", hang, hang, inTheEnd(best(504, "latency", "timeout", "timeout")), TIME_UP, LATE),
  both("both refused", "refused", "refused", best(502, "error", "connect-failed", "connect-failed")),
  both("refused, stable hangs", "refused", hang, inTheEnd(best(504, "error", "connect-failed", "timeout"))),
  both("refused, stable 503", "refused", error503, best("stable", "error", "connect-failed", "server-error")),
  both(
    "reset, stable refused",
    broken(() => 0, "reset"),
    "refused",
    best(502, "error", "reset", "connect-failed"),
    NO_ANSWER,
  ),
  both("both break off", broken(inBody, "close"), broken(inBody, "close"), best(502, "error", "reset", "reset"), CUT),
  both("500, stable slow", error500, after(150, good), byStable("error", "server-error"), asItIs("server-error")),
  both("500, stable 503", error500, error503, best("stable", "error", "server-error", "server-error"), asItIs("server-error")),
  both("500, stable refused", error500, "refused", best("candidate", "error", "server-error", "connect-failed"), asItIs("server-error")),
  both("500, stable long", error500, longGood("chunked"), byStable("error", "server-error"), asItIs("server-error")),
  both("500, stable long and cut", error500, longCut, best("cut", "error", "server-error", "reset"), asItIs("server-error")),
  both("a sign, stable 503", bad, error503, best("candidate", "quality", "degraded", "server-error"), asItIs("degraded"), BAD),
  both("a sign, stable a long 500", bad, longError, best("candidate", "quality", "degraded", "server-error"), asItIs("degraded"), BAD),
  both("a sign, stable refused", bad, "refused", best("candidate", "quality", "degraded", "connect-failed"), asItIs("degraded"), BAD),
  both("a sign on both", bad, bad, best("stable", "quality", "degraded", "degraded"), asItIs("degraded"), BAD),

  // Users of the stable arm.
  { name: "nobody on the candidate", candidate: hang, flag: "nobody", armed: STABLE, alone: STABLE },
  {
    name: "nobody on the candidate, a body that comes after its head",
    candidate: hang,
    stable: dripping("body", 2, 20),
    flag: "nobody",
    armed: STABLE,
    alone: STABLE,
  },

  // One after the other.
  {
    name: "flapping",
    candidate: [good, error500, good, bad, good],
    sign: "success-false",
    armed: [GOOD, byStable("error", "server-error"), GOOD, byStable("quality", "degraded"), GOOD],
    alone: [GOOD, asItIs("server-error"), GOOD, asItIs("degraded"), GOOD],
  },
  {
    name: "an open breaker",
    candidate: good,
    flag: "open",
    armed: byStable("breaker"),
    alone: byStable("breaker"),
  },
  {
    name: "a breaker that is held closed",
    candidate: error500,
    flag: "closed",
    armed: Array.from({ length: 8 }, () => byStable("error", "server-error")),
    alone: asItIs("server-error"),
  },
  {
    name: "a breaker that watches",
    candidate: error500,
    flag: "auto",
    armed: byStable("error", "server-error"),
    alone: asItIs("server-error"),
  },
];

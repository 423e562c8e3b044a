import type { Match, MatchAnswer, MatchRequest } from "./canonical.ts";
import type { Dialect, Inexpressible } from "./dialect.ts";
import { parseJson, type Json } from "./json.ts";

/** Turns a client's requests into an upstream's, and that upstream's answers back. Never throws, whatever the bytes. */
export interface Translation {
  /** A client's body as the upstream wants it. */
  request(body: Uint8Array): TranslatedRequest | Inexpressible;
  /**
   * The upstream's whole answer as the client wants it: a success translated, an error (status >= 400, or not JSON) in
   * the client's error shape with the same status. `exchange` is what `request` gave.
   */
  answer(status: number, body: Uint8Array, exchange: Translated): TranslatedAnswer | Inexpressible;
}

export interface TranslatedRequest {
  readonly body: Buffer;
  /** In the words of the client's dialect. */
  readonly dropped: readonly string[];
  readonly exchange: Translated;
}

export interface TranslatedAnswer {
  readonly status: number;
  readonly body: Buffer;
  /** In the words of the upstream's dialect. */
  readonly dropped: readonly string[];
}

/** What an answer needs to know of its request. */
export interface Translated {
  readonly request: MatchRequest;
}

export function createTranslation(clients: Dialect, upstream: Dialect): Translation {
  return {
    request: (body) => guarded(() => translateRequest(body, clients, upstream)),
    answer: (status, body, exchange) => guarded(() => translateAnswer(status, body, exchange, clients, upstream)),
  };
}

/** A dialect of somebody's own may throw; that must cost one translation, not the process. */
function guarded<T>(translate: () => T | Inexpressible): T | Inexpressible {
  try {
    return translate();
  } catch (error) {
    return { inexpressible: `the translation broke down: ${error instanceof Error ? error.message : "no reason was given"}` };
  }
}

function translateRequest(body: Uint8Array, clients: Dialect, upstream: Dialect): TranslatedRequest | Inexpressible {
  const json = parseJson(body);
  if (json === undefined) return { inexpressible: "the request is not JSON in UTF-8" };
  const read = clients.readRequest(json);
  if ("inexpressible" in read) return { inexpressible: read.inexpressible };
  const written = upstream.writeRequest(read.value);
  if ("inexpressible" in written) return { inexpressible: written.inexpressible };
  return {
    body: toBytes(written.body, upstream),
    dropped: namesIn(clients, read.dropped, written.dropped),
    exchange: { request: read.value },
  };
}

function translateAnswer(
  status: number,
  body: Uint8Array,
  { request }: Translated,
  clients: Dialect,
  upstream: Dialect,
): TranslatedAnswer | Inexpressible {
  // A redirect or a 204 without a body has nothing to translate, and may not get one.
  if (body.length === 0 && status < 400) return { status, body: Buffer.alloc(0), dropped: [] };
  const json = parseJson(body);
  if (status >= 400 || json === undefined) {
    const error = clients.writeError(status, upstream.readError(status, json));
    return { status, body: toBytes(error, clients), dropped: [] };
  }
  const read = upstream.readAnswer(json);
  if ("inexpressible" in read) return { inexpressible: read.inexpressible };
  const written = clients.writeAnswer(withinLimit(read.value, request.limit), request);
  if ("inexpressible" in written) return { inexpressible: written.inexpressible };
  return { status, body: toBytes(written.body, clients), dropped: namesIn(upstream, read.dropped, written.dropped) };
}

/** The best matches, still in the upstream's order, where it gave more than the client asked for: not every upstream can be told a limit. */
function withinLimit(answer: MatchAnswer, limit: number | undefined): MatchAnswer {
  const { matches } = answer;
  if (limit === undefined || matches.length <= limit) return answer;
  const best: ReadonlySet<Match> = new Set(matches.toSorted((one, other) => other.score - one.score).slice(0, limit));
  return { ...answer, matches: matches.filter((match) => best.has(match)) };
}

/** What was not read has its names already; what was not written has canonical ones. */
function namesIn({ names = {} }: Dialect, read: readonly string[], written: readonly string[]): readonly string[] {
  const own = written.map((name) => (Object.hasOwn(names, name) ? (names[name] ?? name) : name));
  return [...new Set([...read, ...own])];
}

function toBytes(json: Json, dialect: Dialect): Buffer {
  const text: unknown = JSON.stringify(json);
  if (typeof text !== "string") throw new TypeError(`${dialect.name} wrote no JSON`);
  return Buffer.from(text);
}

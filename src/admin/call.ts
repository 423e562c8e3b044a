import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { nearest } from "../config/problem.ts";
import { parseShare } from "../core/quantity.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { Author } from "../store/store.ts";
import type { LiveFeeds } from "./live/feeds.ts";
import type { Operations } from "./operations.ts";
import { Problem } from "./problem.ts";
import type { Pages } from "./static.ts";

/** One request to the admin API, as its handler sees it. */
export interface Call {
  readonly operations: Operations;
  /** What stood in the places of the path's `{name}`s, by name. */
  readonly named: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly ifMatch: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly live: LiveFeeds;
  /** What is served to browsers besides. */
  readonly pages: Pages;
  /** As it goes into the audit; `NAME (unproved)` where others could have proved to be who they are. */
  readonly who: string;
  /** In which roles; undefined: in whichever is named, for nothing is proved. */
  readonly roles: readonly string[] | undefined;
  /** The JSON of the body; undefined for an empty one. */
  body(): Promise<unknown>;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A file as it is, or none of it where the client has it already (304). */
export interface FileAnswer extends Omit<Answer, "text"> {
  readonly bytes: Buffer;
}

/** An answer that goes on: whoever is given the response, its head sent, ends it. The limit of time does not count for it. */
export interface StreamAnswer extends Omit<Answer, "text"> {
  readonly stream: (response: ServerResponse) => void;
}

export function json(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, contentType: "application/json; charset=utf-8", text: `${JSON.stringify(body, null, 2)}\n`, headers };
}

export function author(call: Call, reason: string): Author {
  return { who: call.who, reason };
}

/** The flag of the path, else of the query, else the only one there is. */
export function requireFlag(call: Call): FlagState {
  const known = call.operations.config.flags.map((flag) => flag.name);
  const only = known.length === 1 ? known[0] : undefined;
  const name = call.named["flag"] ?? call.query.get("flag") ?? only;
  if (name === undefined) throw new Problem("malformed-request", `Say which flag with ?flag=: ${known.join(", ")}.`, { known });
  const state = call.operations.flag(name);
  if (state === undefined) {
    throw new Problem("unknown-flag", notKnown("flag", name, known), { known });
  }
  return state;
}

/** A misspelt parameter would otherwise be taken as left out, and the answer would be to another question. */
export function requireParameters(call: Call, known: readonly string[]): void {
  for (const name of new Set(call.query.keys())) {
    if (!known.includes(name)) throw new Problem("malformed-request", notKnown("parameter", name, known), { known });
    if (call.query.getAll(name).length > 1) throw new Problem("malformed-request", `The parameter ${name} is given twice.`);
  }
}

export function requireSegment(name: string | null, state: FlagState): string | undefined {
  if (name === null) return undefined;
  const known = state.settings.segments.map((segment) => segment.name);
  if (known.includes(name)) return name;
  throw new Problem("malformed-request", notKnown("segment", name, known), { known });
}

/** Basis points of `25` or `25%`. */
export function parsePercentage(name: string, value: string | null): number | undefined {
  if (value === null) return undefined;
  const basisPoints = parseShare(value);
  if (basisPoints !== undefined) return basisPoints;
  throw new Problem("malformed-request", `${name}: ${JSON.stringify(value)} is not a percentage from 0 to 100 with at most two decimals.`);
}

export function parseCount(name: string, value: string | null, preset: number, most: number): number {
  if (value === null) return preset;
  const count = /^\d{1,6}$/.test(value) ? Number(value) : 0;
  if (count >= 1 && count <= most) return count;
  throw new Problem("malformed-request", `${name}: ${JSON.stringify(value)} is not a whole number from 1 to ${most}.`);
}

/** The revision of an If-Match header; undefined where any will do. */
export function parseIfMatch(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === "*") return undefined;
  const revision = /^(?:"(\d{1,15})"|(\d{1,15}))$/.exec(header.trim());
  if (revision) return Number(revision[1] ?? revision[2]);
  throw new Problem("malformed-request", `If-Match: ${JSON.stringify(header)} is not a revision, such as "7" in quotes.`);
}

function notKnown(what: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  return `There is no ${what} ${JSON.stringify(name.slice(0, 100))}.${hint} Known: ${known.join(", ") || "none"}.`;
}

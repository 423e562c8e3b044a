import { readRequest } from "./messages.ts";
import type { Essence } from "./recording.ts";

/** What became of the bytes of one client. */
export interface RequestOutcome {
  /** Of the answers that it got, in order. */
  readonly statuses: readonly number[];
  /** What the backend received. */
  readonly forwarded: readonly Essence[];
  /** What the backend received that is no request. */
  readonly wrong: readonly string[];
}

/** What a client got for one answer of an upstream. `failed`: an answer of the proxy's own, or a connection cut before the end. */
export type AnswerOutcome = { readonly kind: "passed"; readonly answer: Essence } | { readonly kind: "failed"; readonly begun: boolean };

/** A way in which the engines may differ, and why. The document on transports has the same list. */
export interface Difference<Outcome> {
  readonly name: string;
  /** Which engine takes less. */
  readonly stricter: "wire" | "node" | "neither";
  readonly why: string;
  /** Depends on the order of events, so that not every run meets it. */
  readonly seldom?: true;
  applies(bytes: string, wire: Outcome, node: Outcome): boolean;
}

/** Whether wire refuses something at a place where node goes on. */
function refusesEarlier(wire: RequestOutcome, node: RequestOutcome): boolean {
  const given = finals(wire);
  const last = given.at(-1) ?? 0;
  return last >= 400 && isPrefix(given.slice(0, -1), finals(node)) && isPrefix(wire.forwarded, node.forwarded);
}

/** Answers that are not interim. */
function finals({ statuses }: RequestOutcome): readonly number[] {
  return statuses.filter((status) => status >= 200);
}

function isPrefix(shorter: readonly unknown[], longer: readonly unknown[]): boolean {
  return shorter.length <= longer.length && isSame(shorter, longer.slice(0, shorter.length));
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What follows the whole requests of a text, as the grammar has them. */
function restOf(bytes: string): string {
  let rest = bytes;
  for (let reading = readRequest(rest); reading.kind === "whole"; reading = readRequest(rest)) rest = reading.rest;
  return rest;
}

export const REQUEST_DIFFERENCES: readonly Difference<RequestOutcome>[] = [
  {
    name: "leave to send",
    stricter: "neither",
    why: "wire leaves 100 Continue out when the body has come already (RFC 9110, 10.1.1)",
    applies: (_, wire, node) => isSame(finals(wire), finals(node)) && isSame(wire.forwarded, node.forwarded),
  },
  {
    name: "bad bytes behind a request",
    stricter: "neither",
    why: "both answer the good request; then wire says 400, node only closes",
    applies: (_, wire, node) =>
      isSame(wire.forwarded, node.forwarded) && (wire.statuses.at(-1) ?? 0) >= 400 && isSame(finals(wire).slice(0, -1), finals(node)),
  },
  {
    name: "the status of a refusal",
    stricter: "neither",
    why: "both refuse the same request, but name another of its faults",
    applies: (_, wire, node) =>
      isSame(wire.forwarded, node.forwarded) &&
      Math.min(wire.statuses.at(-1) ?? 0, node.statuses.at(-1) ?? 0) >= 400 &&
      isSame(finals(wire).slice(0, -1), finals(node).slice(0, -1)),
  },
  {
    name: "behind an answer after which node closes",
    stricter: "node",
    why: "node closes behind an offer of Upgrade, Expect without a body, and an error that came before the body was read; wire goes on where it knows the request's end",
    applies: (bytes, wire, node) =>
      (/^(?:upgrade|expect):/im.test(bytes) || (finals(node).at(-1) ?? 0) >= 400) &&
      isPrefix(finals(node), finals(wire)) &&
      isPrefix(node.forwarded, wire.forwarded),
  },
  {
    name: "line ends and blanks around the request line",
    stricter: "wire",
    why: "node passes over LF and any number of empty lines in front of a request, and more than one blank inside its first line",
    applies: (bytes, wire, node) =>
      (/\n\n|(?:\r\n){4}|(?:^|\n)[A-Z-]+ {2}|  HTTP\//.test(bytes) || /^[\r\n]/.test(restOf(bytes))) && refusesEarlier(wire, node),
  },
  {
    name: "begun behind the last answer",
    stricter: "wire",
    why: "node now and then still begins a request that came behind an error after which it closes; that request is never answered",
    seldom: true,
    applies: (_, wire, node) =>
      (finals(node).at(-1) ?? 0) >= 400 && isSame(finals(wire), finals(node)) && isPrefix(wire.forwarded, node.forwarded),
  },
  {
    name: "close and keep-alive together",
    stricter: "wire",
    why: "close wins (RFC 9112, 9.3); for node keep-alive wins in HTTP/1.0",
    applies: (bytes, wire, node) =>
      /^connection:[^\r]*close/im.test(bytes) &&
      /^connection:[^\r]*keep-alive/im.test(bytes) &&
      isPrefix(finals(wire), finals(node)) &&
      isPrefix(wire.forwarded, node.forwarded),
  },
  {
    name: "long chunk sizes",
    stricter: "wire",
    why: "wire takes 13 digits, zeros included, as many as a number holds exactly; node takes 16",
    applies: (bytes, wire, node) => /^[0-9a-f]{14,}/im.test(bytes) && refusesEarlier(wire, node),
  },
  {
    name: "the grammar of chunk extensions",
    stricter: "wire",
    why: "node takes ones without a name or a value",
    applies: (bytes, wire, node) => /^[0-9a-f]+;.*(?:;;|=;|=$|;$|[^\w"]$)/im.test(bytes) && refusesEarlier(wire, node),
  },
  {
    name: "Expect",
    stricter: "wire",
    why: "wire takes 100-continue and nothing else; node looks for it anywhere in the value, and in any of several fields",
    applies: (_, wire, node) => wire.statuses.includes(417) && refusesEarlier(wire, node),
  },
  {
    name: "a tab behind chunked",
    stricter: "node",
    why: "blanks around a value are no part of it (RFC 9110, 5.5), and what is sent on is framed anew; node takes the space and not the tab",
    applies: (bytes, wire, node) => /^transfer-encoding:[^\r\n]*\t/im.test(bytes) && refusesEarlier(node, wire),
  },
];

/** Whether wire fails where node passes an answer on. */
function failsAlone(wire: AnswerOutcome, node: AnswerOutcome): boolean {
  return wire.kind === "failed" && node.kind === "passed";
}

/** A head that was written as UTF-8, as it was meant. */
function asLatin1(answer: Essence): Essence {
  return { ...answer, fields: answer.fields.map((field) => Buffer.from(field, "latin1").toString("utf8")) };
}

export const ANSWER_DIFFERENCES: readonly Difference<AnswerOutcome>[] = [
  {
    name: "a bad answer found out at once",
    stricter: "neither",
    why: "both give no answer; wire has looked at all that came with the head before it begins one, and so can still say 502",
    applies: (_, wire, node) => wire.kind === "failed" && node.kind === "failed",
  },
  {
    name: "a reason beyond ASCII",
    stricter: "neither",
    why: "wire passes it on as it came; node puts the usual words in its place",
    applies: (bytes, wire, node) =>
      /^HTTP[^\r]*[\x80-\xff]/.test(bytes) &&
      wire.kind === "passed" &&
      node.kind === "passed" &&
      isSame({ ...wire.answer, line: "" }, { ...node.answer, line: "" }),
  },
  {
    name: "obs-text in a head that leaves by itself",
    stricter: "neither",
    why: "Node writes such heads as UTF-8, and every octet beyond ASCII becomes two",
    applies: (bytes, wire, node) =>
      /[\x80-\xff]/.test(bytes) &&
      wire.kind === "passed" &&
      node.kind === "passed" &&
      isSame({ ...wire.answer, line: "" }, { ...asLatin1(node.answer), line: "" }),
  },
  {
    name: "interim answers that node does not expect",
    stricter: "node",
    why: "wire passes over 100 that nobody waits for, and Connection in an interim answer, as a client must (RFC 9110, 15.2); node takes them for bad answers",
    applies: (bytes, wire, node) => /^HTTP\/1\.[01] 1\d\d\b/.test(bytes) && failsAlone(node, wire),
  },
  {
    name: "a tab behind a framing value",
    stricter: "node",
    why: "blanks around a value are no part of it (RFC 9110, 5.5), and what is sent on is framed anew; node knows no length and no coding with a tab",
    applies: (bytes, wire) => /^(?:content-length|transfer-encoding):[^\r\n]*\t/im.test(bytes) && wire.kind === "passed",
  },
  {
    name: "codings",
    stricter: "wire",
    why: "wire takes one Transfer-Encoding, chunked, in HTTP/1.1; node takes what it does not know as a body until the connection closes",
    applies: (bytes, wire, node) => /^transfer-encoding:/im.test(bytes) && failsAlone(wire, node),
  },
  {
    name: "status lines",
    stricter: "wire",
    why: "node passes over empty lines in front, and takes HTTP/2.0 in text and statuses beyond 599",
    applies: (bytes, wire, node) => /^(?!HTTP\/1\.[01] [1-5])|(?:\r\n){3}|\n\n/.test(bytes) && failsAlone(wire, node),
  },
  {
    name: "CR without LF",
    stricter: "wire",
    why: "node takes some of them at the end of a status line",
    applies: (bytes, wire, node) => /\r(?!\n)/.test(bytes) && failsAlone(wire, node),
  },
];

/** `equal`, the rule that explains the difference, or undefined. */
export function differenceOf<Outcome>(
  rules: readonly Difference<Outcome>[],
  bytes: string,
  wire: Outcome,
  node: Outcome,
): string | undefined {
  if (isSame(wire, node)) return "equal";
  return rules.find((rule) => rule.applies(bytes, wire, node))?.name;
}

import type { Config, IdentitySource } from "../config/config.ts";
import type { KeyedHash } from "../core/keyed-hash.ts";
import { randomHex } from "../core/random-id.ts";
import { cookieValues, signId, verifyId } from "../http/cookies.ts";
import type { Origin } from "../http/forwarded.ts";
import { textOf, type RequestHead } from "../http/head.ts";
import { queryValues } from "../http/target.ts";
import type { Subject } from "../rollout/decide.ts";

/** Who asks, as the split sees it. */
export interface Identity extends Subject {
  /** A sticky cookie to set, because the client had no key at all. */
  readonly setCookie: string | undefined;
}

/** What identifying needs, prepared once. */
export interface IdentityRules {
  readonly sources: readonly IdentitySource[];
  readonly ignored: ReadonlySet<string>;
  /** Length of the longest of them: what is longer need not be looked up. */
  readonly ignoredLength: number;
  readonly segmentHeader: Config["segmentHeader"];
  readonly overrides: Config["overrides"];
  readonly cookie: string;
  readonly cookieMaxAgeSeconds: number;
  readonly keyedHash: KeyedHash;
}

export function createIdentityRules(config: Config, keyedHash: KeyedHash): IdentityRules {
  return {
    sources: config.identity,
    ignored: new Set(config.identityIgnore),
    ignoredLength: Math.max(0, ...config.identityIgnore.map((value) => value.length)),
    segmentHeader: config.segmentHeader,
    overrides: config.overrides,
    cookie: config.sticky.cookie,
    cookieMaxAgeSeconds: Math.round(config.sticky.maxAgeMs / 1000),
    keyedHash,
  };
}

/**
 * Finds the user key in the first source that has one. A source that gives two different keys makes the request ambiguous: whoever
 * may choose between two keys chooses an arm. Where a cookie is allowed and nothing else spoke, the client gets an id of its own
 * and a signed cookie with it, so that the unknown never share one bucket. Returns where the request is ambiguous if it is.
 */
export function identify(rules: IdentityRules, head: RequestHead, origin: Origin, secure: boolean): Identity | string {
  let key: string | undefined;
  let setCookie: string | undefined;
  for (const source of rules.sources) {
    const found = keyFrom(rules, source, head, origin);
    if (found === AMBIGUOUS) return nameOf(source, rules);
    key = found;
    if (key === undefined && source.kind === "cookie") {
      key = `anon-${randomHex(12)}`;
      const flags = `Path=/; Max-Age=${rules.cookieMaxAgeSeconds}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
      setCookie = `${rules.cookie}=${signId(key, rules.keyedHash)}; ${flags}`;
    }
    if (key !== undefined) break;
  }
  const segment = origin.trusted ? segmentFrom(rules, head) : undefined;
  const override = origin.trusted ? overrideFrom(rules, head) : undefined;
  return { key, segment, override, setCookie };
}

const AMBIGUOUS = Symbol("ambiguous");

function keyFrom(rules: IdentityRules, source: IdentitySource, head: RequestHead, origin: Origin): string | undefined | typeof AMBIGUOUS {
  switch (source.kind) {
    case "header":
      return source.trustedOnly && !origin.trusted ? undefined : single(rules, texts(head.all(source.name)));
    case "query":
      return head.target.includes("?") ? single(rules, queryValues(head.target, source.name)) : undefined;
    case "cookie": {
      const fields = head.all("cookie");
      if (fields.length === 0) return undefined;
      const ids = cookieValues(fields, rules.cookie).map((value) => verifyId(value, rules.keyedHash));
      return single(
        rules,
        ids.filter((id) => id !== undefined),
      );
    }
    case "address":
      return origin.client === "" ? undefined : origin.client;
  }
}

/** Values of a field as text; nearly always it is one, and needs no other reading. */
function texts(values: readonly string[]): readonly string[] {
  const [only] = values;
  if (only === undefined || (values.length === 1 && textOf(only) === only)) return values;
  return values.map(textOf);
}

/** The one key among values, none, or too many. Values that stand for nobody do not count. */
function single(rules: IdentityRules, values: readonly string[]): string | undefined | typeof AMBIGUOUS {
  let key: string | undefined;
  for (const raw of values) {
    const value = raw.trim();
    if (value === "" || (value.length <= rules.ignoredLength && rules.ignored.has(value.toLowerCase()))) continue;
    if (key !== undefined && key !== value) return AMBIGUOUS;
    key = value;
  }
  return key;
}

function nameOf(source: IdentitySource, rules: IdentityRules): string {
  switch (source.kind) {
    case "header":
      return `header ${source.name}`;
    case "query":
      return `query parameter ${source.name}`;
    case "cookie":
      return `cookie ${rules.cookie}`;
    case "address":
      return "client address";
  }
}

function segmentFrom(rules: IdentityRules, head: RequestHead): string | undefined {
  const { segmentHeader } = rules;
  const value = segmentHeader && head.get(segmentHeader.name);
  const named = value?.trim().toLowerCase();
  return named !== undefined && segmentHeader !== undefined && Object.hasOwn(segmentHeader.values, named)
    ? segmentHeader.values[named]
    : undefined;
}

function overrideFrom(rules: IdentityRules, head: RequestHead): Subject["override"] {
  for (const { source, name, value, arm } of rules.overrides) {
    const values = source === "header" ? head.all(name) : queryValues(head.target, name);
    if (values.some((given) => given.trim() === value)) return arm;
  }
  return undefined;
}

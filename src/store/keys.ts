/**
 * Every name in Redis. All keys of a flag share one hash tag, so that one script may touch them together. What ops write
 * is `flags`, `segment:*`, `allow` and `deny`; the rest is ours.
 */
export const DEFAULT_PREFIX = "crossfade:";

/** Where Redis announces changed keys to connections that asked for it. */
export const INVALIDATION_CHANNEL = "__redis__:invalidate";

/** `allow`, `deny` or `segment:<name>`: how a set is called in the audit, in refusals and on disk. */
export type SetId = string;

export interface FlagKeys {
  /** Hash that ops edit. */
  readonly flags: string;
  /** The copy of `flags` that was judged last. */
  readonly seen: string;
  /** The fields in force. */
  readonly accepted: string;
  /** Number of the last accepted change. */
  readonly revision: string;
  /** Hash: set -> digest of the members that were numbered last. */
  readonly digests: string;
  readonly audit: string;
  readonly instances: string;
  readonly sets: readonly { readonly id: SetId; readonly key: string }[];
  /** Hash: the rollout's document with its version, fence and digest. */
  readonly rollout: string;
  /** Who leads the rollout, as long as the key lives. */
  readonly lease: string;
  /** The last lease handed out; its number never goes back. */
  readonly fence: string;
  /** Stream: what the instances counted lately. */
  readonly windows: string;
  /** Stream: what the leader noted over the whole rollout. */
  readonly record: string;
  /** What the leader saw last. */
  readonly show: string;
  /** A set under construction, before it takes its place at once. Outside what is followed. */
  restoring(id: SetId, instance: string): string;
}

export function flagKeys(prefix: string, flag: string, segments: readonly string[]): FlagKeys {
  const base = `${prefix}{${flag}}:`;
  const ids = ["allow", "deny", ...segments.map((name) => `segment:${name}`)];
  return {
    flags: `${base}flags`,
    seen: `${base}seen`,
    accepted: `${base}accepted`,
    revision: `${base}revision`,
    digests: `${base}digests`,
    audit: `${base}audit`,
    instances: `${base}instances`,
    sets: ids.map((id) => ({ id, key: base + id })),
    rollout: `${base}rollout`,
    lease: `${base}lease`,
    fence: `${base}fence`,
    windows: `${base}windows`,
    record: `${base}record`,
    show: `${base}show`,
    restoring: (id, instance) => `${base}restoring:${instance}:${id}`,
  };
}

/**
 * What to follow for a flag: the keys that ops write and no others, so that our own bookkeeping makes no noise. Redis
 * refuses prefixes of which one begins another; these four cannot.
 */
export function followedPrefixes(prefix: string, flag: string): readonly string[] {
  return ["flags", "allow", "deny", "segment:"].map((part) => `${prefix}{${flag}}:${part}`);
}

export interface DocumentKeys {
  /** Hash: the text with its version, fence, digest and history. */
  readonly document: string;
  /** Who leads it, as long as the key lives. */
  readonly lease: string;
  /** The last lease handed out; its number never goes back. */
  readonly fence: string;
}

/** Of a document beside the rollouts. No flag can be called so: names of flags begin with a letter. */
export function documentKeys(prefix: string, name: string): DocumentKeys {
  const base = `${prefix}{@${name}}:`;
  return { document: `${base}document`, lease: `${base}lease`, fence: `${base}fence` };
}

/** What was answered under an idempotency key: `digest` of the key and of whose it is. `owner` is the route, for those who look into Redis. */
export function answerKey(prefix: string, owner: string, digest: string): string {
  return `${prefix}{${owner}}:answer:${digest}`;
}

export interface CountKeys {
  /** Hash: what clients got in an hour, called by its beginning in UTC. */
  hour(name: string): string;
  /** Sorted set: hour -> version of its last change; `*` has the version of the whole. */
  readonly changed: string;
  /** The number of a writer's last batch. */
  writer(name: string): string;
}

/** Of what is counted for what was promised; these share the flag's hash tag with its settings. */
export function countKeys(prefix: string, flag: string): CountKeys {
  const base = `${prefix}{${flag}}:sla`;
  return { hour: (name) => `${base}:${name}`, changed: `${base}:changed`, writer: (name) => `${base}:writer:${name}` };
}

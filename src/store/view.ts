/** Fields of a flag's hash. */
export type Fields = Readonly<Record<string, string>>;

/** What Redis held of a flag at one instant. */
export interface View {
  /** What stands where the flags hash belongs. */
  readonly kind: "hash" | "none" | "large" | "other";
  readonly fingerprint: string;
  /** As the scripts compare it: empty when there is none. */
  readonly revisionText: string;
  /** Undefined: no change has ever been numbered there, or all was lost. */
  readonly revision: number | undefined;
  readonly history: string;
  readonly raw: Fields;
  readonly seen: Fields;
  readonly accepted: Fields;
  readonly digests: Fields;
  /** In the order of the keys that were asked for. */
  readonly sets: readonly { readonly kind: "set" | "none" | "other"; readonly size: number }[];
  readonly document: DocumentView;
  /** The last lease handed out for the rollout, as the scripts compare it: number, colon, holder. Empty: none. */
  readonly fence: string;
}

/** What stands where the rollout's document belongs. */
export type DocumentView =
  | { readonly kind: "none" }
  /** Something that is no document. */
  | { readonly kind: "other" }
  | {
      readonly kind: "document";
      readonly version: number;
      readonly fence: number;
      readonly digest: string;
      /** Undefined: the one that was known already. */
      readonly text: string | undefined;
    };

export interface FieldChange {
  readonly field: string;
  readonly from: string | null;
  readonly to: string | null;
}

export function parseView(reply: unknown): View {
  if (!Array.isArray(reply)) throw new Error("the script gave an answer of another form");
  const [kind, fingerprint, numberedAs, raw, seen, accepted, digests, sets, document, fence] = reply.map((part: unknown) => part);
  const text = String(numberedAs);
  const numbered = /^(\d{1,15}):(\w+)$/.exec(text);
  const found = Array.isArray(sets) ? sets.map(String) : [];
  return {
    kind: kind === "hash" || kind === "none" || kind === "large" ? kind : "other",
    fingerprint: String(fingerprint),
    revisionText: text,
    revision: numbered ? Number(numbered[1]) : undefined,
    history: numbered?.[2] ?? "",
    raw: parseFields(raw),
    seen: parseFields(seen),
    accepted: parseFields(accepted),
    digests: parseFields(digests),
    sets: found.flatMap((set, i) =>
      i % 2 === 1 ? [] : [{ kind: set === "set" || set === "none" ? set : "other", size: Number(found[i + 1]) } as const],
    ),
    document: parseDocument(document),
    fence: String(fence),
  };
}

/** Kind of the key, then the hash without the text, then the text where it is a new one. */
export function parseDocument(reply: unknown): DocumentView {
  const [kind, flat, text] = Array.isArray(reply) ? reply.map((part: unknown) => part) : [];
  if (kind === "none") return { kind: "none" };
  const fields = parseFields(flat);
  const [version, fence] = [fields["version"], fields["fence"]].map((number) =>
    /^\d{1,16}$/.test(number ?? "") ? Number(number) : Number.NaN,
  );
  const digest = fields["digest"] ?? "";
  if (kind !== "hash" || !Number.isSafeInteger(version) || !Number.isSafeInteger(fence) || !/^[0-9a-f]{40}$/.test(digest))
    return { kind: "other" };
  return { kind: "document", version: version ?? 0, fence: fence ?? 0, digest, text: typeof text === "string" ? text : undefined };
}

/** The revision as it stands in Redis: its number and the count it belongs to. */
export function revisionText(revision: number, history: string): string {
  return `${revision}:${history}`;
}

/** Name, value, name, value ... as Redis writes hashes and the fields of a stream's entry. */
export function parseFields(flat: unknown): Fields {
  if (!Array.isArray(flat)) return {};
  const texts = flat.map(String);
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) pairs.push([texts[i] ?? "", texts[i + 1] ?? ""]);
  return Object.fromEntries(pairs);
}

export function flatten(fields: Fields): string[] {
  return Object.entries(fields).flat();
}

export function fieldOf(fields: Fields, name: string): string | null {
  return Object.hasOwn(fields, name) ? (fields[name] ?? null) : null;
}

/** The fields in which two hashes differ, by name. */
export function diffFields(from: Fields, to: Fields): FieldChange[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].toSorted();
  return names
    .map((field) => ({ field, from: fieldOf(from, field), to: fieldOf(to, field) }))
    .filter((change) => change.from !== change.to);
}

export function sameFields(a: Fields, b: Fields): boolean {
  return diffFields(a, b).length === 0;
}

/** `fields` after some were written and some (null) removed. */
export function withFields(fields: Fields, written: Readonly<Record<string, string | null>>): Fields {
  const kept = Object.entries(fields).filter(([name]) => !Object.hasOwn(written, name));
  const added = Object.entries(written).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries([...kept, ...added]);
}

import { randomHex } from "../core/random-id.ts";
import type { Flag } from "../config/config.ts";
import { acceptSettings, readFields } from "../config/settings.ts";
import { type Held, KILL_FIELD } from "./held.ts";
import type { FlagKeys } from "./keys.ts";
import { onlyLowers, withoutRaising } from "./lowering.ts";
import { digestOf, type HeldDocument } from "./rollout-document.ts";
import type { DocumentWrite } from "./rollout-store.ts";
import { type AuditEntry, type Author, InvalidSettings, type Rejection } from "./store.ts";
import { diffFields, type FieldChange, type Fields, fieldOf, sameFields, type View, withFields } from "./view.ts";

/** What to do about what Redis holds. Pure: the follower carries it out, if Redis still holds the same by then. */
export interface Commit {
  /** What the hash `flags` lacks of what it should hold. */
  readonly written: Readonly<Record<string, string | null>>;
  /** Undefined: the flags as they are after the writing. */
  readonly seen: Fields | undefined;
  readonly accepted: Fields;
  readonly revision: number;
  readonly history: string;
  readonly audit: readonly PlannedEntry[];
}

export interface PlannedEntry extends Author {
  readonly revision: number;
  readonly status: AuditEntry["status"];
  readonly changes: readonly FieldChange[];
}

/** Edits made by other programs carry no name. */
const SOMEBODY: Author = { who: "redis", reason: "" };

/**
 * The store has lost what this instance knows: it came back empty, or a replica that had not heard of the last changes
 * was made master. A lower number of another history is no loss: somebody began anew, and their word counts.
 */
export function isLost(held: Held, view: View): boolean {
  if (held.revision === 0) return false;
  return view.revision === undefined || (view.history === held.history && view.revision < held.revision);
}

/**
 * Writes back what is held. What somebody edited in the store since it lost its memory stays an edit, numbered next; and
 * a kill that only the store knows of is never undone this way.
 */
export function writeBack(flag: Flag, held: Held, view: View, instance: string): Commit {
  const edit = Object.fromEntries(diffFields(view.seen, view.raw).map(({ field, to }) => [field, to]));
  if (killed(flag, view.accepted) && !killed(flag, held.accepted)) edit[KILL_FIELD] = "true";
  const target = withFields(held.accepted, edit);
  const changes = diffFields(view.raw, target);
  return {
    written: Object.fromEntries(changes.map(({ field, to }) => [field, to])),
    seen: held.accepted,
    accepted: held.accepted,
    revision: held.revision,
    history: held.history,
    audit: [
      {
        who: instance,
        reason: view.revision === undefined ? "the store had lost its data" : `the store had fallen back to revision ${view.revision}`,
        revision: held.revision,
        status: "restored",
        changes,
      },
    ],
  };
}

/** Judges an edit that nobody has judged yet. Undefined: there is none. */
export function judgeEdit(flag: Flag, view: View): Commit | undefined {
  const verdict = acceptSettings(flag.settings, { accepted: view.accepted, seen: view.seen }, view.raw);
  const edit = diffFields(view.seen, view.raw);
  if (edit.length === 0 && sameFields(verdict.accepted, view.accepted)) return undefined;
  const reason = verdict.rejections.map((rejection) => rejection.message).join("; ");
  return commit(view, {}, verdict.accepted, SOMEBODY, edit, reason);
}

/** Plans a change of ours on settled settings. Undefined: it would change nothing. @throws {@link InvalidSettings} */
export function planChange(flag: Flag, view: View, fields: Readonly<Record<string, string | null>>, by: Author): Commit | undefined {
  const raw = withFields(view.raw, fields);
  // A field that we name is an edit even if the hash holds that value already: it may hold it as part of a refused edit.
  const before = Object.entries(fields).map(([field, to]) => [field, to === null ? fieldOf(view.accepted, field) : null] as const);
  const seen = withFields(view.raw, Object.fromEntries(before));
  const { accepted, rejections } = acceptSettings(flag.settings, { accepted: view.accepted, seen }, raw);
  if (rejections.length > 0) throw invalid(flag, rejections);
  if (sameFields(raw, view.raw) && sameFields(accepted, view.accepted)) return undefined;
  return commit(view, fields, accepted, by, diffFields(view.raw, raw), "");
}

/** What writes a rollout's document, its settings and the audit; settings are recorded even where nobody is named. @throws {@link InvalidSettings} */
export function planSave(
  flag: Flag,
  view: View,
  { fields, by, text, version, ifRevision, lowers = false }: DocumentWrite,
  instance: string,
): {
  readonly settings: Commit | undefined;
  readonly guarded: boolean;
  readonly audit: readonly PlannedEntry[];
  readonly mustRecord: boolean;
  readonly document: Omit<HeldDocument, "fence">;
} {
  const author = by ?? { who: instance, reason: "" };
  const settings = fields && (lowers ? planLowering(flag, view, fields, author) : planChange(flag, view, fields, author));
  const alone: readonly PlannedEntry[] = by ? [{ ...by, revision: view.revision ?? 0, status: "accepted", changes: [] }] : [];
  const wellFormed = text.toWellFormed();
  return {
    settings,
    // The document says what the settings are: if they are others by now, it must not be written.
    guarded: fields !== undefined || ifRevision !== undefined,
    audit: settings?.audit ?? alone,
    mustRecord: !lowers && (settings === undefined || mustRecord(flag, view, settings)),
    document: { version: version + 1, text: wellFormed, digest: digestOf(wellFormed), history: settings?.history ?? view.history },
  };
}

/** What only takes users off the candidate is not refused because the audit cannot be written. */
export function mustRecord(flag: Flag, view: View, { accepted }: Commit): boolean {
  return !onlyLowers(flag, view.accepted, accepted);
}

/** As {@link planChange}, but never up, and with a revision of its own even where nothing changes: the fields are written, and so everybody hears of it. */
function planLowering(flag: Flag, view: View, fields: Readonly<Record<string, string | null>>, by: Author): Commit {
  const written = withoutRaising(flag, view.accepted, fields);
  const revision = (view.revision ?? 0) + 1;
  const same = commit(view, written, view.accepted, by, [], "");
  const planned = planChange(flag, view, written, by) ?? same;
  return { ...planned, revision, audit: planned.audit.map((entry) => ({ ...entry, revision })) };
}

/** That a document was written back. */
export function restoration(view: View, instance: string, why: string): PlannedEntry {
  return { who: instance, reason: why, revision: view.revision ?? 0, status: "restored", changes: [] };
}

/** @throws {@link InvalidSettings} when a field is wrong in itself, whatever else the hash holds. */
export function validate(flag: Flag, fields: Readonly<Record<string, string | null>>): void {
  const { rejections } = readFields(flag.settings, withFields({}, fields));
  if (rejections.length > 0) throw invalid(flag, rejections);
}

export function invalid(flag: Flag, rejections: readonly Omit<Rejection, "flag">[]): InvalidSettings {
  return new InvalidSettings(rejections.map((rejection) => ({ ...rejection, flag: flag.name })));
}

function commit(
  view: View,
  written: Commit["written"],
  accepted: Fields,
  by: Author,
  edit: readonly FieldChange[],
  refusal: string,
): Commit {
  const changes = diffFields(view.accepted, accepted);
  const revision = (view.revision ?? 0) + (changes.length > 0 ? 1 : 0);
  const audit: PlannedEntry[] = [];
  // An edit that only takes back a refused one changes nothing in force, yet it was made.
  if (changes.length > 0 || refusal === "") {
    audit.push({ ...by, revision, status: "accepted", changes: changes.length > 0 ? changes : edit });
  }
  const refused = edit.filter(({ field, to }) => fieldOf(accepted, field) !== to);
  if (refusal !== "" && refused.length > 0) {
    audit.push({ who: by.who, reason: refusal, revision, status: "refused", changes: refused });
  }
  return { written, seen: undefined, accepted, revision, history: view.history || randomHex(4), audit };
}

export function killed(flag: Flag, fields: Fields): boolean {
  return readFields(flag.settings, fields).settings.killSwitch;
}

/** The field that kills a flag, or takes a kill back to what the file says where the file does not itself kill. */
export function killField(flag: Flag, kill: boolean): Readonly<Record<string, string | null>> {
  return { [KILL_FIELD]: kill ? "true" : flag.settings.killSwitch ? "false" : null };
}

/** Somebody wrote over a rollout's document. */
export function noDocument(flag: Flag, keys: FlagKeys): Rejection {
  const message = `${keys.rollout} is not the document of a rollout; delete or rename it, and the last one that was seen is written back`;
  return { flag: flag.name, field: "rollout", value: "", kind: "wrong-type", message };
}

/** What stands wrong in a flag's keys, for those who watch. */
export function refusals(flag: Flag, view: View, keys: FlagKeys): Rejection[] {
  const found: Rejection[] = [];
  const wrongType = (field: string, key: string, wanted: string): Rejection => ({
    flag: flag.name,
    field,
    value: "",
    kind: "wrong-type",
    message: `${key} is not a ${wanted}; delete it and write it anew. What was in force before goes on`,
  });
  if (view.kind === "other") found.push(wrongType("flags", keys.flags, "hash (HSET)"));
  else if (view.kind === "large") found.push(wrongType("flags", keys.flags, "hash of settings, but of more than 1,000 fields or 64 KiB"));
  else found.push(...readFields(flag.settings, view.raw).rejections.map((rejection) => ({ ...rejection, flag: flag.name })));
  for (const [i, { id, key }] of keys.sets.entries()) {
    if (view.sets[i]?.kind === "other") found.push(wrongType(id, key, "set (SADD)"));
  }
  if (view.document.kind === "other") found.push(noDocument(flag, keys));
  return found;
}

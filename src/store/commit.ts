import type { Commit, PlannedEntry } from "./decide.ts";
import type { FlagKeys } from "./keys.ts";
import { type HeldDocument, identOf } from "./rollout-document.ts";
import { COMMIT } from "./scripts.ts";
import type { Session } from "./session.ts";
import { flatten, revisionText, type View } from "./view.ts";

/** What is to be written at one stroke, decided on a view. */
export interface Plan {
  /** Undefined: the settings stay as they are. */
  readonly settings: Commit | undefined;
  /** Whether all of it stands and falls with the settings being those of the view. */
  readonly guarded: boolean;
  readonly audit: readonly PlannedEntry[];
  /** False: it is done also where the audit cannot be written. */
  readonly mustRecord: boolean;
  readonly document: DocumentPlan | undefined;
}

export interface DocumentPlan {
  /** The lease that must be the last one handed out; empty: any may. */
  readonly lease: string;
  readonly written: HeldDocument;
}

/**
 * unrecorded: done, but not in the audit · moved: the settings are others by now · conflict: the document is · fenced: the lease is not the last
 * one. In the last three cases nothing was written.
 */
export type Outcome = "done" | "unrecorded" | "moved" | "conflict" | "fenced";
const OUTCOMES: readonly Outcome[] = ["done", "unrecorded", "moved", "conflict", "fenced"];

export async function carryOut(session: Session, keys: FlagKeys, view: View, plan: Plan): Promise<Outcome> {
  const { flags, seen, accepted, revision, audit, rollout, fence } = keys;
  const decided = [view.revisionText, view.fingerprint, JSON.stringify(written(plan))];
  const answer = await session.run(
    COMMIT,
    [flags, seen, accepted, revision, audit, rollout, fence],
    [...decided, ...documentOf(view, plan.document)],
  );
  const outcome = OUTCOMES.find((one) => one === answer);
  if (outcome !== undefined) return outcome;
  throw new Error("the script gave an answer of another form");
}

function written({ settings, guarded, audit, mustRecord }: Plan): object {
  const entries = audit.map(({ who, reason, revision, status, changes }) => ({
    // Half a surrogate pair is text to us, and a fault to the JSON reader of Redis.
    who: who.toWellFormed(),
    reason: reason.toWellFormed(),
    revision: String(revision),
    status,
    changes: JSON.stringify(changes),
  }));
  if (settings === undefined) return { guarded, mustRecord, audit: entries };
  const fields = Object.entries(settings.written);
  return {
    guarded: true,
    mustRecord,
    audit: entries,
    write: fields.flatMap(([name, value]) => (value === null ? [] : [name, value])),
    remove: fields.flatMap(([name, value]) => (value === null ? [name] : [])),
    ...(settings.seen ? { seen: flatten(settings.seen) } : {}),
    accepted: flatten(settings.accepted),
    revision: revisionText(settings.revision, settings.history),
  };
}

function documentOf(view: View, plan: DocumentPlan | undefined): readonly (string | number)[] {
  if (plan === undefined) return [];
  const { version, fence, digest, text } = plan.written;
  return [plan.lease, identOf(view.document), version, fence, digest, text];
}

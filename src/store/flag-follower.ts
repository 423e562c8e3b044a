import { randomHex } from "../core/random-id.ts";
import type { Flag } from "../config/config.ts";
import { carryOut, type Outcome, type Plan } from "./commit.ts";
import {
  type Commit,
  invalid,
  isLost,
  judgeEdit,
  killed,
  killField,
  mustRecord,
  noDocument,
  planChange,
  planSave,
  refusals,
  restoration,
  writeBack,
} from "./decide.ts";
import { type Held, type KillMark, setIn } from "./held.ts";
import type { FlagKeys, SetId } from "./keys.ts";
import type { StoreLog } from "./log.ts";
import { documentAfter, type DocumentStep, identOf, reconcile } from "./rollout-document.ts";
import { DocumentConflict, type DocumentWrite, Fenced, type StoredDocument } from "./rollout-store.ts";
import { NUMBER_SET, READ } from "./scripts.ts";
import type { Session } from "./session.ts";
import { SetFollower } from "./set-follower.ts";
import type { HeldSet } from "./sets.ts";
import { type Author, type Rejection, RevisionConflict, StoreUnavailable } from "./store.ts";
import { fieldOf, parseView, revisionText, sameFields, type View } from "./view.ts";

/** How often a change is tried anew because somebody else's came first. */
const MOST_TRIES = 100;

/**
 * One flag, followed through every session: reads what Redis holds, has unjudged edits numbered, writes back what was
 * lost, and hands on what is in force.
 *
 * Everything that reads and then writes goes through one queue, so that an answer is never judged by a newer state.
 */
export class FlagFollower {
  readonly flag: Flag;
  readonly keys: FlagKeys;
  readonly #instance: string;
  readonly #log: StoreLog;
  readonly #onHeld: (held: Held) => void;
  readonly #onRejected: (rejection: Rejection) => void;
  readonly #onRestored: (session: Session) => void;
  readonly #sets: readonly SetFollower[];
  #held: Held;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting: Promise<View> | undefined;
  #reported: readonly Rejection[] = [];
  #fence = 0;

  constructor(options: {
    readonly flag: Flag;
    readonly keys: FlagKeys;
    readonly instance: string;
    readonly log: StoreLog;
    readonly held: Held;
    readonly onHeld: (held: Held) => void;
    readonly onRejected: (rejection: Rejection) => void;
    /** The store had lost its data, of the instances too. */
    readonly onRestored: (session: Session) => void;
  }) {
    this.flag = options.flag;
    this.keys = options.keys;
    this.#instance = options.instance;
    this.#log = options.log;
    this.#held = options.held;
    this.#onHeld = options.onHeld;
    this.#onRejected = options.onRejected;
    this.#onRestored = options.onRestored;
    this.#sets = options.keys.sets.map(
      ({ id, key }, index) =>
        new SetFollower({
          id,
          key,
          index,
          keys: options.keys,
          instance: options.instance,
          log: options.log,
          held: () => this.#held,
          refresh: (session) => this.refresh(session),
          hold: (session, set) => this.#exclusive(() => this.#holdSet(session, id, key, set)),
        }),
    );
  }

  get held(): Held {
    return this.#held;
  }

  /** The highest number of a lease that was seen here. */
  get fence(): number {
    return Math.max(this.#fence, this.#held.document?.fence ?? 0);
  }

  /** What stands wrong in the flag's keys now. */
  get rejections(): readonly Rejection[] {
    return this.#reported;
  }

  /** Everything anew: at the beginning of a session, when nothing that was known is certain any more. */
  async synchronize(session: Session): Promise<void> {
    await this.refresh(session);
    await Promise.all(this.#sets.map((set) => set.loadOnce(session)));
  }

  /** Somebody wrote these keys. Undefined: any key may be gone. */
  changed(session: Session, keys: readonly string[] | undefined): void {
    const touched = (key: string): boolean => keys === undefined || keys.includes(key);
    if (touched(this.keys.flags)) run(session, this.refresh(session));
    for (const set of this.#sets) if (touched(set.key)) run(session, set.load(session));
  }

  /** A look without a cause, should a message have been lost. `thorough` reads the smaller sets again. */
  async poll(session: Session, thorough: boolean): Promise<void> {
    const view = await this.refresh(session);
    for (const set of this.#sets) if (set.isDue(session, view, thorough)) run(session, set.load(session));
  }

  /** Reads and settles. Calls that come before the reading has begun share it; one that comes later gets another. */
  async refresh(session: Session): Promise<View> {
    this.#waiting ??= this.#exclusive(() => {
      this.#waiting = undefined;
      return this.#settle(session);
    });
    return this.#waiting;
  }

  async change(
    session: Session,
    fields: Readonly<Record<string, string | null>>,
    by: Author,
    ifRevision: number | undefined,
  ): Promise<number> {
    return this.#exclusive(() => this.#change(session, fields, by, ifRevision));
  }

  /** The rollout's document, as of now. */
  async load(session: Session): Promise<StoredDocument | undefined> {
    const { document } = await this.refresh(session);
    if (document.kind === "other") throw new StoreUnavailable(noDocument(this.flag, this.keys).message);
    return this.#held.document && { version: this.#held.document.version, text: this.#held.document.text };
  }

  /** As {@link change}, with the rollout's document. `lease`, as the scripts compare it, must be the last one handed out; empty: any may be. */
  async save(session: Session, write: DocumentWrite, lease: string): Promise<{ readonly version: number; readonly revision: number }> {
    return this.#exclusive(() => this.#save(session, write, lease));
  }

  /** Sets or clears what was said here about killing; in force at once, in the store later. */
  mark(mark: KillMark | undefined): void {
    this.#hold({ ...this.#held, mark });
  }

  async #change(
    session: Session,
    fields: Readonly<Record<string, string | null>>,
    by: Author,
    ifRevision: number | undefined,
  ): Promise<number> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const view = await this.#settle(session);
      this.#mustHoldSettings(view);
      const current = view.revision ?? 0;
      if (ifRevision !== undefined && ifRevision !== current) throw new RevisionConflict(current);
      const commit = planChange(this.flag, view, fields, by);
      if (commit === undefined) return current;
      if (await this.#commit(session, view, commit)) {
        this.#apply(session, await this.#read(session));
        return commit.revision;
      }
    }
    throw new StoreUnavailable(`the settings of ${this.flag.name} change too fast for this change to be made; try again`);
  }

  async #save(session: Session, write: DocumentWrite, lease: string): Promise<{ readonly version: number; readonly revision: number }> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const view = await this.#settle(session);
      if (lease !== "" && view.fence !== lease) throw new Fenced(`this instance does not lead the rollout of ${this.flag.name} any more`);
      if (view.document.kind === "other") throw new StoreUnavailable(noDocument(this.flag, this.keys).message);
      if (write.fields !== undefined || write.ifRevision !== undefined) this.#mustHoldSettings(view);
      const stored = view.document.kind === "none" ? 0 : view.document.version;
      if (stored !== write.version) throw new DocumentConflict(`the document of ${this.flag.name} is at version ${stored} by now`);
      const current = view.revision ?? 0;
      if (write.ifRevision !== undefined && write.ifRevision !== current) throw new RevisionConflict(current);
      const plan = planSave(this.flag, view, write, this.#instance);
      const document = { lease, written: { ...plan.document, fence: write.lease?.fence ?? this.fence } };
      if ((await this.#carryOut(session, view, { ...plan, document })) === "done") {
        this.#apply(session, await this.#read(session));
        return { version: document.written.version, revision: plan.settings?.revision ?? current };
      }
    }
    throw new StoreUnavailable(`the settings of ${this.flag.name} change too fast for its rollout to be written; try again`);
  }

  /** @throws {@link InvalidSettings} */
  #mustHoldSettings(view: View): void {
    const misplaced = refusals(this.flag, view, this.keys).filter(({ field }) => field === "flags");
    if (misplaced.length > 0) throw invalid(this.flag, misplaced);
  }

  /** Brings Redis and this instance to agree; resolves with what they agree on. */
  async #settle(session: Session): Promise<View> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const view = await this.#read(session);
      const document = reconcile(this.#held.document, view.document, view.history);
      if (view.kind === "large" || view.kind === "other") {
        if (document.kind === "restore") {
          await this.#settleCommit(session, view, undefined, document);
          continue;
        }
        this.#hold({ ...this.#held, document: documentAfter(this.#held.document, view) });
        this.#report(view);
        return view;
      }
      const lost = isLost(this.#held, view);
      const commit = lost ? writeBack(this.flag, this.#held, view, this.#instance) : judgeEdit(this.flag, view);
      if (commit === undefined && document.kind !== "restore") {
        this.#dropStaleRevival(view);
        this.#apply(session, view);
        return (await this.#shareMark(session, view)) ? this.#read(session) : view;
      }
      if (lost) for (const set of this.#sets) set.lost(view);
      const outcome = await this.#settleCommit(session, view, commit, document);
      if (outcome === "done" && lost && commit) {
        this.#onRestored(session);
        this.#log.warn(
          { flag: this.flag.name, revision: commit.revision, changes: commit.audit[0]?.changes },
          `${commit.audit[0]?.reason ?? ""}; the settings held here were written back`,
        );
      }
    }
    throw new StoreUnavailable(`the settings of ${this.flag.name} change too fast to be read`);
  }

  async #read(session: Session): Promise<View> {
    const { flags, seen, accepted, revision, digests, rollout, fence, sets } = this.keys;
    const keys = [flags, seen, accepted, revision, digests, rollout, fence, ...sets.map(({ key }) => key)];
    const view = parseView(await session.run(READ, keys, [identOf(this.#held.document)]));
    const number = Number(view.fence.split(":", 1)[0]);
    if (Number.isSafeInteger(number)) this.#fence = Math.max(this.#fence, number);
    return view;
  }

  async #commit(session: Session, view: View, commit: Commit): Promise<boolean> {
    const recorded = mustRecord(this.flag, view, commit);
    const plan = { settings: commit, guarded: true, audit: commit.audit, mustRecord: recorded, document: undefined };
    return (await this.#carryOut(session, view, plan)) === "done";
  }

  async #carryOut(session: Session, view: View, plan: Plan): Promise<Exclude<Outcome, "unrecorded">> {
    const outcome = await carryOut(session, this.keys, view, plan);
    if (outcome !== "unrecorded") return outcome;
    const what = `${this.keys.audit} takes no entry; delete or rename it. What was done, and is not recorded there, stands here`;
    this.#log.warn({ flag: this.flag.name, entries: plan.audit }, what);
    return "done";
  }

  /** Writes what was judged or lost of the settings, and what was lost of the document: together, so that nobody sees the one without the other. */
  async #settleCommit(session: Session, view: View, settings: Commit | undefined, step: DocumentStep): Promise<Outcome> {
    const restored = step.kind === "restore" ? step : undefined;
    const plan = {
      settings,
      // A hash that cannot be read cannot be waited for either.
      guarded: view.kind === "hash" || view.kind === "none",
      audit: [...(settings?.audit ?? []), ...(restored ? [restoration(view, this.#instance, restored.why)] : [])],
      mustRecord: settings !== undefined && mustRecord(this.flag, view, settings),
      document: restored && { lease: "", written: restored.document },
    };
    const outcome = await this.#carryOut(session, view, plan);
    if (outcome === "done" && restored) {
      this.#log.warn({ flag: this.flag.name, version: restored.document.version }, `${restored.why}; it was written back`);
    }
    return outcome;
  }

  /** Puts in force here what Redis holds and has numbered. */
  #apply(session: Session, view: View, sets = this.#held.sets): void {
    // While a set is still on its way the number stays behind: it says what is wholly applied.
    const complete = this.#sets.every((set) => set.agrees(view, sets));
    this.#hold({
      ...this.#held,
      sets,
      accepted: sameFields(view.accepted, this.#held.accepted) ? this.#held.accepted : view.accepted,
      revision: complete ? (view.revision ?? 0) : this.#held.revision,
      history: complete ? view.history : this.#held.history,
      document: documentAfter(this.#held.document, view),
      origin: "store",
    });
    this.#report(view);
    for (const set of this.#sets) if (set.isDue(session, view, false)) run(session, set.load(session));
  }

  /** Numbers what a set holds, unless another instance has, and puts it in force. */
  async #holdSet(session: Session, id: SetId, key: string, set: HeldSet): Promise<boolean> {
    const view = await this.#settle(session);
    if ((fieldOf(view.digests, id) ?? "") !== set.digest) {
      const { digests, revision, audit } = this.keys;
      const next = (view.revision ?? 0) + 1;
      const people = (size: number): string | null => (size === 0 ? null : `${size} users`);
      const changes = [{ field: id, from: people(setIn(this.#held.sets, id).size), to: people(set.size) }];
      const numbered = await session.run(
        NUMBER_SET,
        [key, digests, revision, audit],
        [id, set.digest, set.size, view.revisionText, revisionText(next, view.history || randomHex(4)), next, JSON.stringify(changes)],
      );
      if (numbered !== 1) return false;
    }
    // The same members again: what the workers hold already stays.
    const sets = set.digest === setIn(this.#held.sets, id).digest ? this.#held.sets : { ...this.#held.sets, [id]: set };
    this.#apply(session, await this.#read(session), sets);
    return true;
  }

  /**
   * A kill said here always goes through. A revival counts for what was in force when it was said, not for a kill since then; it is
   * dropped before the store's word is in force, so that there is no moment in which neither holds.
   */
  #dropStaleRevival(view: View): void {
    const { mark } = this.#held;
    if (mark === undefined || mark.killed || !killed(this.flag, view.accepted) || view.revision === mark.revision) return;
    this.#log.warn(
      { flag: this.flag.name, ...mark, current: view.revision },
      "the flag was revived here without the store, which has had changes since; the store's word counts",
    );
    this.mark(undefined);
  }

  /** Tells the store of a kill, or of a revival, that it has not heard of. True: it was written. */
  async #shareMark(session: Session, view: View): Promise<boolean> {
    const { mark } = this.#held;
    if (mark === undefined) return false;
    const there = killed(this.flag, view.accepted);
    if (there === mark.killed) {
      this.mark(undefined);
      return false;
    }
    const commit = planChange(this.flag, view, killField(this.flag, mark.killed), mark);
    if (commit === undefined || !(await this.#commit(session, view, commit))) {
      run(session, this.refresh(session));
      return false;
    }
    this.#apply(session, await this.#read(session));
    this.mark(undefined);
    return true;
  }

  #hold(held: Held): void {
    const names: readonly (keyof Held)[] = ["revision", "history", "accepted", "sets", "mark", "document", "origin"];
    if (names.every((name) => held[name] === this.#held[name])) return;
    this.#held = held;
    this.#onHeld(held);
  }

  /** Each wrong value is reported once, as long as it stands there. */
  #report(view: View): void {
    const found = refusals(this.flag, view, this.keys);
    const known = new Set(this.#reported.map((rejection) => JSON.stringify(rejection)));
    this.#reported = found;
    for (const rejection of found) if (!known.has(JSON.stringify(rejection))) this.#onRejected(rejection);
  }

  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }
}

/** Work that nobody waits for: what goes wrong in it ends the session, and the next one begins with reading all. */
export function run(session: Session, work: Promise<unknown>): void {
  work.catch((error: unknown) => session.end(error));
}

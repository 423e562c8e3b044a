import { DocumentConflict, type RolloutStore } from "../store/rollout-store.ts";
import type { Author } from "../store/store.ts";
import type { DrillReceipt, DrillWrite } from "./drill.ts";

/**
 * Settings written together with the document of a rollout that stays as it is: so each write is refused once anybody else, a person or a trigger, has
 * acted on the rollout since, and a drill never puts back what was taken away for real.
 */
export class GuardedWrites {
  readonly #store: RolloutStore;
  readonly #flag: string;
  readonly #by: Author;
  readonly #confirm: Confirm;
  #document: { version: number; readonly text: string } | undefined;

  private constructor(
    store: RolloutStore,
    flag: string,
    by: Author,
    confirm: Confirm,
    document: { version: number; readonly text: string } | undefined,
  ) {
    this.#store = store;
    this.#flag = flag;
    this.#by = by;
    this.#confirm = confirm;
    this.#document = document;
  }

  /** Over the document as it is now. Throws {@link DocumentConflict} where there is none, for then nothing can guard. */
  static async over(store: RolloutStore, flag: string, by: Author, confirm: Confirm): Promise<GuardedWrites> {
    const stored = await store.load(flag);
    return new GuardedWrites(store, flag, by, confirm, stored === undefined ? undefined : { ...stored });
  }

  /** Nobody has acted on the rollout since, but through this. */
  async untouched(): Promise<boolean> {
    return (await this.#store.load(this.#flag))?.version === this.#document?.version;
  }

  readonly write = async (
    fields: Readonly<Record<string, string | null>>,
    reason: string,
    { waitMs, ifRevision }: DrillWrite,
  ): Promise<DrillReceipt> => {
    const document = this.#document;
    if (document === undefined) throw new DocumentConflict("there is no rollout");
    const by = { who: this.#by.who, reason };
    const { version, revision } = await this.#store.save(this.#flag, { lease: undefined, ...document, fields, by, ifRevision });
    document.version = version;
    return { ...(await this.#confirm(this.#flag, revision, waitMs)), revision };
  };
}

type Confirm = (
  flag: string,
  revision: number,
  waitMs: number,
) => Promise<{ readonly acknowledged: readonly string[]; readonly missing: readonly string[] }>;

import { Refused } from "../controller/desk.ts";
import type { DocumentStore } from "../store/documents.ts";
import { DocumentConflict, type Lease } from "../store/rollout-store.ts";
import { readBoard, writeBoard } from "./board-text.ts";
import {
  announceMaintenance,
  cancelMaintenance,
  type Changed,
  EMPTY_BOARD,
  type NewIncident,
  type NewMaintenance,
  type NewUpdate,
  openIncident,
  updateIncident,
} from "./board.ts";
import { AUTOMATIC } from "./from-rollbacks.ts";
import type { Board, Incident, Maintenance } from "./incident.ts";

interface DeskParts {
  readonly documents: DocumentStore;
  readonly now: () => number;
}

/** How often a change is decided anew because somebody else's came first. */
const MOST_TRIES = 20;

const NOTHING = { version: 0, text: "", board: EMPTY_BOARD };

/** There is nothing of that id. */
export class UnknownEntry extends Error {
  override readonly name = "UnknownEntry";
}

/** Incidents and maintenance, for every instance: reads the board, changes it, writes it back. */
export class IncidentDesk {
  readonly #parts: DeskParts;
  #known: { readonly version: number; readonly text: string; readonly board: Board } = NOTHING;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** The last that is known, without asking; while there is no store too. */
  board(): Board {
    try {
      this.#take(this.#parts.documents.held("incidents"));
    } catch {
      // Another version wrote what this one cannot read: `refresh` says so, and what was known before is shown.
    }
    return this.#known.board;
  }

  /** As of now. Throws `StoreUnavailable`, and what is wrong with a text that cannot be read. */
  async refresh(): Promise<Board> {
    this.#take(await this.#parts.documents.load("incidents"));
    return this.#known.board;
  }

  async open(told: NewIncident, by: string): Promise<Incident> {
    return this.change((board) => openIncident(board, told, this.#said(by)));
  }

  async update(id: string, told: NewUpdate, by: string): Promise<Incident> {
    return this.change((board) => updateIncident(board, id, told, this.#said(by)));
  }

  async announce(told: NewMaintenance, by: string): Promise<Maintenance> {
    return this.change((board) => announceMaintenance(board, told, this.#said(by)));
  }

  async cancel(id: string, by: string): Promise<Maintenance> {
    return this.change((board) => cancelMaintenance(board, id, this.#said(by)));
  }

  /**
   * Reads, lets `decide` change it, writes; again if somebody else wrote meanwhile. Throws `Refused`, {@link UnknownEntry}, `StoreUnavailable`, and
   * `Fenced` where a lease is given and is not the last one.
   */
  async change<T>(decide: (board: Board) => Changed<T>, lease?: Lease): Promise<T> {
    for (let tries = 1; ; tries++) {
      const before = await this.refresh();
      const { version } = this.#known;
      const changed = decide(before);
      if ("refused" in changed) throw refusalOf(changed);
      if (changed.board === before) return changed.made;
      const { text, board } = written(changed.board);
      try {
        const saved = await this.#parts.documents.save("incidents", { version, text, lease });
        this.#known = { version: saved, text, board };
        return changed.made;
      } catch (error) {
        if (!(error instanceof DocumentConflict) || tries >= MOST_TRIES) throw error;
      }
    }
  }

  #said(by: string): { readonly at: number; readonly by: string } {
    // A person who has the program's name, as the account that it runs under may, is not taken for the program.
    return { at: this.#parts.now(), by: by === AUTOMATIC ? `${by} (by hand)` : by };
  }

  #take(stored: { readonly version: number; readonly text: string } | undefined): void {
    if (stored === undefined) this.#known = NOTHING;
    else if (stored.version !== this.#known.version || stored.text !== this.#known.text)
      this.#known = { ...stored, board: readBoard(stored.text) };
  }
}

function refusalOf({ refused, missing = false }: { readonly refused: string; readonly missing?: boolean }): Error {
  return missing ? new UnknownEntry(`${refused}.`) : new Refused(`Nothing was changed: ${refused}.`);
}

function written(board: Board): ReturnType<typeof writeBoard> {
  try {
    return writeBoard(board);
  } catch (error) {
    if (error instanceof RangeError) throw new Refused(`Nothing was changed: ${error.message}.`);
    throw error;
  }
}

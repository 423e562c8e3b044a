import { pino } from "pino";
import type { Notifications } from "../../src/config/config-told.ts";
import { linkKey } from "../../src/notify/ack-link.ts";
import { NoticeDesk, type NoticeDeskParts } from "../../src/notify/desk.ts";
import type { SeenFlag, SeenWorld } from "../../src/notify/happenings.ts";
import type { DocumentStore } from "../../src/store/documents.ts";
import { DocumentConflict, Fenced, type StoredDocument } from "../../src/store/rollout-store.ts";
import { StoreUnavailable } from "../../src/store/store.ts";
import type { Scope } from "./backend.ts";

/** One store of documents that several instances share, in this process; it may be away, and whoever leads may be changed. */
export class SharedDocuments {
  /** Nobody reaches it. */
  down = false;
  stored: StoredDocument | undefined;
  saves = 0;
  /** Runs before each write. */
  beforeSave: (text: string) => Promise<void> = async () => {};
  #leader = "";
  #fence = 0;

  /** From now on nobody leads, as if the lease were over. */
  expire(): void {
    this.#leader = "";
    this.#fence++;
  }

  of(instance: string): DocumentStore {
    const reach = (): void => {
      if (this.down) throw new StoreUnavailable("the store of this test is away");
    };
    return {
      load: async () => {
        reach();
        return this.stored;
      },
      held: () => this.stored,
      save: async (_, { version, text, lease }) => {
        await this.beforeSave(text);
        reach();
        if (lease !== undefined && (lease.fence !== this.#fence || this.#leader !== instance)) throw new Fenced("no longer");
        if (version !== (this.stored?.version ?? 0)) throw new DocumentConflict("another version");
        this.saves++;
        this.stored = { version: version + 1, text };
        return version + 1;
      },
      lead: async () => {
        reach();
        if (this.#leader === "") {
          this.#leader = instance;
          this.#fence++;
        }
        return this.#leader === instance ? { instance, fence: this.#fence, at: 0 } : undefined;
      },
      resign: async (_, { fence }) => {
        reach();
        if (fence === this.#fence && this.#leader === instance) this.#leader = "";
      },
    };
  }
}

/** A clock that stands still until it is moved. */
export class Clock {
  at = Date.UTC(2026, 10, 23, 9, 0, 0);
  readonly now = (): number => this.at;

  move(ms: number): void {
    this.at += ms;
  }
}

/** What there is to be seen; tests change it. */
export class World {
  flags: SeenFlag[] = [{ flag: "move", rollout: "none", view: undefined, killed: false, lastChange: undefined, breakers: [] }];

  kill(name: string, killed: boolean): void {
    const lastChange = { who: "ada", reason: "sessions are lost" };
    this.flags = this.flags.map((one) => (one.flag === name ? { ...one, killed, lastChange } : one));
  }

  readonly look =
    (instance: string) =>
    async (at: number): Promise<Omit<SeenWorld, "store">> => ({ at, instance, flags: this.flags, board: undefined, sla: [] });
}

export const NOBODY: Notifications = {
  channels: [],
  routes: [],
  escalations: [],
  reminders: { P0: undefined, P1: undefined, P2: undefined, P3: undefined },
  rollbackFlow: [],
  groupForMs: 600_000,
  url: undefined,
  secret: undefined,
};

export interface DeskSetup {
  readonly documents: SharedDocuments;
  readonly clock: Clock;
  readonly world: World;
  readonly notifications: Notifications;
  readonly instance?: string;
  readonly parts?: Partial<NoticeDeskParts>;
}

export interface RunningDesk {
  readonly desk: NoticeDesk;
  /** What it logged. */
  readonly lines: readonly string[];
}

/** A desk that looks all the time. */
export function startDesk(
  scope: Scope,
  { documents, clock, world, notifications, instance = "host-a", parts = {} }: DeskSetup,
): RunningDesk {
  const lines: string[] = [];
  const desk = new NoticeDesk({
    instance,
    notifications,
    documents: documents.of(instance),
    storeHealth: () => ({ kind: "redis", up: !documents.down, message: documents.down ? "it is away" : "", origin: "store" }),
    look: world.look(instance),
    key: linkKey("the key of this test"),
    log: pino({ level: "debug" }, { write: (line: string) => void lines.push(line) }),
    now: clock.now,
    everyMs: 20,
    ...parts,
  });
  desk.start();
  scope.teardown(() => desk.close());
  return { desk, lines };
}

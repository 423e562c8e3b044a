import { look } from "./plan-notices.ts";
import { Outbox, type OutboxParts } from "./outbox.ts";
import { delivered, dueDeliveries, NO_NOTICES, type NoticeState } from "./state.ts";

/**
 * On an instance that did not send when the store was lost: whoever did may be gone too, and nobody could know. So each such instance tells it once,
 * and once that it is over, from its own memory. Nothing is repeated, nobody is called, and nothing is kept.
 */
export class LostStore {
  readonly #parts: OutboxParts & { readonly instance: string };
  readonly #outbox: Outbox;
  #state: NoticeState | undefined;

  constructor(parts: OutboxParts & { readonly instance: string }) {
    const { notifications } = parts;
    // A link would lead to a notice that no document has.
    const quiet = {
      ...notifications,
      escalations: [],
      reminders: { P0: undefined, P1: undefined, P2: undefined, P3: undefined },
      url: undefined,
    };
    this.#parts = { ...parts, notifications: quiet };
    this.#outbox = new Outbox(this.#parts);
  }

  storeIsLost(message: string, now: number): void {
    // The first look tells what is wrong already, so that the instant at which it began to look does not matter.
    this.#plan({ up: false, message }, now);
  }

  /** Until everybody who was told knows that it is over. */
  storeIsBack(now: number): void {
    if (this.#state === undefined) return;
    this.#plan({ up: true, message: "" }, now);
    if (!this.#state.deliveries.some(({ status }) => status === "waiting") && !this.#outbox.busy) this.#state = undefined;
  }

  close(graceMs: number): Promise<void> {
    return this.#outbox.close(graceMs);
  }

  #plan(store: { readonly up: boolean; readonly message: string }, now: number): void {
    const { instance, notifications } = this.#parts;
    const ended = this.#outbox.ended;
    const before = ended.reduce(
      (state, { id, channel, outcome, at }) => delivered(state, id, channel, outcome, at),
      this.#state ?? NO_NOTICES,
    );
    this.#outbox.forget(ended);
    const state = look(before, { at: now, instance, flags: [], board: undefined, sla: [], store }, now, notifications);
    const noticeOf = (id: string) => state.notices.find((notice) => notice.id === id);
    const chosen = this.#outbox.startable(dueDeliveries(state, now), ({ notice }) => noticeOf(notice));
    for (const delivery of chosen) {
      const notice = noticeOf(delivery.notice);
      if (notice !== undefined) this.#outbox.begin(delivery, notice);
    }
    this.#state = state;
  }
}

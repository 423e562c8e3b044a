import type { GuardMemory } from "./guard-memory.ts";
import { SlidingWindow } from "./sliding-window.ts";

export interface BudgetSettings {
  /** Extra sends to the stable upstream, in basis points of the candidate's requests in the window. 0: only the minimum. */
  readonly budgetBp: number;
  /** Extra sends that may always be open at a time, over all workers. 0: none but those of the share. */
  readonly budgetMinimum: number;
}

const REQUESTS = 0;
const EXTRA = 1;

/**
 * The cap on fallbacks and hedges to the stable upstream. A send is first announced in the thread's own row and then
 * checked against the sum of all rows: of several threads that ask at the same time the last one sees all the others, so
 * together they never get more than the budget. One may be refused that could have passed, but only beside another that
 * had to be.
 */
export class Budget {
  readonly #memory: GuardMemory;
  readonly #window: SlidingWindow;
  readonly #sums = new Float64Array(2);
  /** Sends open in this thread. */
  #open = 0;

  constructor(memory: GuardMemory, worker: number, windowMs: number) {
    this.#memory = memory;
    this.#window = new SlidingWindow(memory.load, worker, windowMs);
  }

  countRequest(now: number, era: number): void {
    this.#window.add(now, era, REQUESTS);
  }

  /** Whether an extra send may go out now. If so, exactly one {@link release} must follow. */
  take(now: number, era: number, { budgetBp, budgetMinimum }: BudgetSettings): boolean {
    const position = this.#window.add(now, era, EXTRA);
    // Announced with this; all sums come after it.
    this.#memory.openSend();
    if (this.#memory.openSends > budgetMinimum && !this.#isWithinShare(now, era, budgetBp)) {
      this.#memory.closeSend();
      this.#window.takeBack(position);
      return false;
    }
    this.#open++;
    return true;
  }

  #isWithinShare(now: number, era: number, budgetBp: number): boolean {
    const { requests, extra } = this.read(now, era);
    return extra * 10_000 <= budgetBp * requests;
  }

  /** One too many is passed over: it must not make room for others. */
  release(): void {
    if (this.#open === 0) return;
    this.#open--;
    this.#memory.closeSend();
  }

  read(now: number, era: number): { readonly requests: number; readonly extra: number } {
    this.#window.sum(now, era, this.#sums);
    return { requests: this.#sums[REQUESTS] ?? 0, extra: this.#sums[EXTRA] ?? 0 };
  }
}

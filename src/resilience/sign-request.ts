import { createPlan, type Plan } from "./json-plan.ts";
import { Finds, scan } from "./json-scan.ts";
import { bareEnd, isNumber, numberOf, QUOTE, stringEnd, textOf } from "./json-text.ts";

/** Where a client says how many matches it wants at most. */
const LIMITS = ["limit", "top_k", "max_results"].flatMap((name) => [`/${name}`, `/options/${name}`]);

/** The pointer up to its last `*`: what a request or answer holds one of for each id. */
export function thingsPointer(idsPointer: string): string {
  const steps = idsPointer.split("/");
  const star = steps.lastIndexOf("*");
  return star < 0 ? idsPointer : steps.slice(0, star + 1).join("/");
}

/** Reads what a request asks about. One at a time: what it works on is kept for the next. */
export class RequestReader {
  readonly ids = 0;
  readonly #plan: Plan;
  readonly finds: Finds;

  constructor(idsPointer: string) {
    this.#plan = createPlan([idsPointer, thingsPointer(idsPointer), ...LIMITS]);
    this.finds = new Finds(this.#plan);
  }

  /** False if the request is not JSON, so that nothing is known of it. */
  read(request: Uint8Array): boolean {
    return scan(request, this.#plan, this.finds);
  }

  /** How many things it asks about. */
  get things(): number {
    return this.finds.count(1);
  }

  /** The most matches that it wants; Infinity where it does not say, NaN where it says something that cannot be understood. */
  limitOf(request: Uint8Array): number {
    let limit = Infinity;
    for (let slot = 2; slot < this.#plan.slots; slot++) {
      if (this.finds.count(slot) > 0) limit = Math.min(limit, limitAt(request, this.finds.start(slot, 0)));
    }
    return limit;
  }
}

function limitAt(request: Uint8Array, at: number): number {
  const first = request[at] ?? 0;
  if (first === 0x6e) return Infinity; // null
  let limit = Number.NaN;
  if (isNumber(first)) limit = numberOf(request, at, bareEnd(request, at, first));
  else if (first === QUOTE) {
    const text = textOf(request, at, stringEnd(request, at));
    if (/^\d{1,9}$/.test(text)) limit = Number(text);
  }
  return limit >= 0 ? Math.floor(limit) : Number.NaN;
}

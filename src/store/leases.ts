import { randomHex } from "../core/random-id.ts";
import { LEAD, RESIGN } from "./rollout-scripts.ts";
import type { Lease } from "./rollout-store.ts";
import type { Session } from "./session.ts";

/** The keys that a lease lives in: who has it, the last one handed out, and the document that is written under it. */
interface LeaseKeys {
  readonly lease: string;
  readonly fence: string;
  readonly document: string;
}

/** Takes leases in the name of this instance, and gives them back. */
export class Leases {
  readonly #instance: string;
  /** Two programs of one name, of which one was thought dead, are two holders. */
  readonly #token = randomHex(8);

  constructor(instance: string) {
    this.#instance = instance;
  }

  /** `seen`: the highest number of a lease that was seen here. Undefined: somebody else has it. */
  async take(session: Session, { lease, fence, document }: LeaseKeys, ttlMs: number, seen: number): Promise<Lease | undefined> {
    const holder = `${this.#token}:${this.#instance}`;
    const reply = await session.run(LEAD, [lease, fence, document], [holder, Math.max(1, Math.round(ttlMs)), seen]);
    const [ours, number, at] = Array.isArray(reply) ? reply.map((part: unknown) => part) : [];
    return ours === 1 ? { instance: this.#instance, fence: Number(number), at: Number(at) } : undefined;
  }

  async giveBack(session: Session, { lease, fence }: LeaseKeys, held: Lease): Promise<void> {
    await session.run(RESIGN, [lease, fence], [this.written(held)]);
  }

  /** A lease as the scripts compare it. */
  written({ fence, instance }: Omit<Lease, "at">): string {
    return `${fence}:${this.#token}:${instance}`;
  }
}

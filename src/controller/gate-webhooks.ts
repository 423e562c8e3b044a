import type { Hook } from "../config/config.ts";
import { askWebhook } from "./hooks.ts";
import type { Seen } from "./next.ts";
import type { Rollout } from "./rollout.ts";

/** Between two questions to the same webhook. */
const EVERY_MS = 10_000;
/** An answer that is older says nothing any more. */
const FRESH_MS = 25_000;

type Answer = Seen["webhooks"][number];

/** Asks the webhooks of a step in the background, so that none delays a rollback, and holds what they said last. */
export class GateWebhooks {
  readonly #flag: string;
  readonly #hooks: readonly Hook[];
  readonly #onWork: (work: Promise<void>) => void;
  readonly #held = new Map<string, { readonly askedAt: number; readonly answeredAt: number; readonly answer: Answer }>();

  constructor(flag: string, hooks: readonly Hook[], onWork: (work: Promise<void>) => void) {
    this.#flag = flag;
    this.#hooks = hooks;
    this.#onWork = onWork;
  }

  /** Somebody else has led meanwhile: what was said before is forgotten. */
  forget(): void {
    this.#held.clear();
  }

  /** The last answers that are still fresh. */
  answers(rollout: Rollout, names: readonly string[], now: number): Seen["webhooks"] {
    const stay = `${rollout.id}/${rollout.stays.length}/`;
    for (const key of this.#held.keys()) if (!key.startsWith(stay)) this.#held.delete(key);
    return names.map((name) => {
      const key = stay + name;
      const waiting: Answer = { name, verdict: "no-data", why: `${name} has not answered yet` };
      const held = this.#held.get(key);
      // A clock that was set back must not keep an answer alive.
      const age = held === undefined ? Infinity : Math.abs(now - held.askedAt);
      if (age >= EVERY_MS) this.#ask(key, name, rollout, now, waiting);
      const last = this.#held.get(key);
      if (last === undefined) return waiting;
      return Math.abs(now - last.answeredAt) <= FRESH_MS ? last.answer : { ...waiting, why: `the last answer of ${name} is too old` };
    });
  }

  #ask(key: string, name: string, rollout: Rollout, now: number, waiting: Answer): void {
    const before = this.#held.get(key) ?? { askedAt: now, answeredAt: now, answer: waiting };
    const hook = this.#hooks.find((candidate) => candidate.name === name);
    if (hook?.kind !== "webhook") {
      const why = `the configuration of this instance has no webhook ${name}`;
      this.#held.set(key, { askedAt: now, answeredAt: now, answer: { ...waiting, why } });
      return;
    }
    const asked = { ...before, askedAt: now };
    this.#held.set(key, asked);
    const step = "step" in rollout.state ? rollout.state.step : undefined;
    this.#onWork(
      askWebhook(hook, { event: "gate", flag: this.#flag, rollout: rollout.id, plan: rollout.plan.name, step }).then(({ verdict, why }) => {
        // It may have been asked again, or another step entered, meanwhile.
        if (this.#held.get(key) === asked) this.#held.set(key, { askedAt: now, answeredAt: now, answer: { name, verdict, why } });
      }),
    );
  }
}

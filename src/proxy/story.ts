import type { FallbackReason } from "../core/words.ts";
import { encodeLines, fieldLine } from "../http/head.ts";
import type { Decision, Rules } from "../rollout/rules.ts";

/** More decisions than a flag has at a time; those of settings that were replaced are forgotten when it is reached. */
const REMEMBERED = 256;

/** Why the other arm answered, or why it could not have. */
export type Fallback = FallbackReason | "unavailable" | undefined;

/** How answers of one destination came to be: all of it repeats but the times, and is put together once. */
export class Story {
  readonly #name: string;
  /** Without a fallback, by the decision: it stands for the revision too, for each has decisions of its own. */
  readonly #known = new Map<Decision | undefined, Uint8Array>();
  readonly #upstreamTime: string;

  constructor(name: string) {
    this.#name = name;
    this.#upstreamTime = `, upstream;desc="${name}";dur=`;
  }

  /** The line of an answer that took `totalMs` here and `upstreamMs` behind us. */
  timing(totalMs: number, upstreamMs: number): string {
    return `Server-Timing: total;dur=${tenths(totalMs)}${this.#upstreamTime}${tenths(upstreamMs)}\r\n`;
  }

  /** Everything else. */
  common(decision: Decision | undefined, rules: Rules | undefined, fallback: Fallback): Uint8Array {
    const known = fallback === undefined ? this.#known.get(decision) : undefined;
    if (known !== undefined) return known;
    const lines = encodeLines(splitLines(decision, rules, fallback) + servedLines(this.#name));
    if (fallback === undefined) {
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(decision, lines);
    }
    return lines;
  }
}

/** What the split said, and whether the fallback was asked. */
export function splitLines(decision: Decision | undefined, rules: Rules | undefined, fallback: Fallback): string {
  const decided =
    decision === undefined || rules === undefined
      ? ""
      : fieldLine("X-Crossfade-Arm", decision.arm) +
        fieldLine("X-Crossfade-Reason", decision.reason) +
        fieldLine("X-Crossfade-Revision", String(rules.revision));
  return fallback === undefined ? decided : decided + fieldLine("X-Crossfade-Fallback", fallback);
}

/** Who answered. */
export function servedLines(name: string): string {
  return fieldLine("X-Crossfade-Served-By", name) + fieldLine("X-Service-Version", name);
}

/** Milliseconds with one decimal, as `toFixed(1)` would write them. */
function tenths(ms: number): string {
  const all = Math.round(ms * 10);
  const whole = Math.floor(all / 10);
  return `${whole}.${all - whole * 10}`;
}

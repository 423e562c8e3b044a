import type { Quality } from "../config/config.ts";
import { SIGNS, type Sign } from "../core/words.ts";
import { figureAt } from "./json-figures.ts";
import { createPlan, type Plan } from "./json-plan.ts";
import { Finds, scan } from "./json-scan.ts";
import { blanksEnd, CLOSE_ARRAY, OPEN_ARRAY, QUOTE, type Word, wordAt, wordOf } from "./json-text.ts";
import { qualityOf, type QualityReading } from "./quality.ts";
import { IdComparer, type Comparison } from "./sign-ids.ts";
import { RequestReader, thingsPointer } from "./sign-request.ts";

export { SIGNS, type Sign };

/** Where the things that signs look at stand: JSON pointers, `*` stands for every element. */
export interface SignPaths {
  readonly success?: string | undefined;
  readonly algorithm?: string | undefined;
  readonly fallbackFlags: readonly string[];
  readonly matches?: string | undefined;
  readonly answerIds?: string | undefined;
  readonly requestIds?: string | undefined;
  readonly scores?: string | undefined;
  readonly confidences?: string | undefined;
}

export interface SignSettings {
  readonly enabled: readonly Sign[];
  readonly paths: SignPaths;
  /** What an upstream calls its algorithm where it has fallen back. */
  readonly fallbackAlgorithms: readonly string[];
  /** `equal-scores` counts only if every confidence is at or below this, 0..1; default 0.6. */
  readonly confidenceAtMost: number;
}

export interface Judge {
  /**
   * Never throws. `request` is the request body as the upstream was sent it, or undefined when unknown: then signs that need it are
   * not decided.
   */
  judge(answer: Uint8Array, request: Uint8Array | undefined): Judgement;
}

export interface Judgement {
  readonly quality: QualityReading | undefined;
  readonly sign: Sign | undefined;
  /** For the log, as `algorithm_used is "fallback_basic"`; empty where there is no sign. */
  readonly detail: string;
}

/** The names under which the backends are known to have fallen back. */
export const FALLBACK_ALGORITHMS: readonly string[] = [
  "fallback",
  "fallback_basic",
  "v2_routed_fallback_basic",
  "fallback-failed",
  "error_fallback",
  "legacy_fallback",
];

/** One generation of V2 sets it on every success: it says nothing, also where a pointer with a star leads to it. */
const NO_FLAG = "/performance_metrics/fallback_used";

const NO_SIGN: Judgement = { quality: undefined, sign: undefined, detail: "" };
const NOT_JSON: QualityReading = { kind: "not-json" };
const FIRST_OF_TRUE = 0x74;
const FIRST_OF_FALSE = 0x66;
const FIRST_OF_NULL = 0x6e;

/** Undefined where there is nothing to read. */
export function createJudge(quality: Quality | undefined, signs: SignSettings | undefined): Judge | undefined {
  return quality === undefined && (signs === undefined || signs.enabled.length === 0) ? undefined : new OnePass(quality, signs);
}

interface Named {
  readonly slot: number;
  /** The pointer, as people read it. */
  readonly name: string;
}

/** Reads an answer once for all that is asked of it, then decides; the request is read only where a sign hangs on it. */
class OnePass implements Judge {
  readonly #quality: Quality | undefined;
  readonly #signs: readonly Sign[];
  readonly #algorithms: readonly Word[];
  readonly #confidenceAtMost: number;
  readonly #plan: Plan;
  readonly #finds: Finds;
  // Slots; -1 for what nothing is asked of.
  readonly #figures: number;
  readonly #success: Named;
  readonly #algorithm: Named;
  readonly #flags: readonly Named[];
  readonly #noFlag: number;
  readonly #matches: number;
  readonly #answerIds: number;
  readonly #answers: number;
  readonly #scores: number;
  readonly #confidences: number;
  readonly #request: RequestReader | undefined;
  readonly #ids = new IdComparer();

  constructor(quality: Quality | undefined, settings: SignSettings | undefined) {
    const enabled = new Set(settings?.enabled);
    const paths: SignPaths = settings?.paths ?? { fallbackFlags: [] };
    const pointers: string[] = [];
    const slotOf = (pointer: string | undefined): number => {
      if (pointer === undefined) return -1;
      if (!pointers.includes(pointer)) pointers.push(pointer);
      return pointers.indexOf(pointer);
    };
    const slotFor = (pointer: string | undefined, ...signs: readonly Sign[]): number =>
      signs.some((sign) => enabled.has(sign)) ? slotOf(pointer) : -1;
    const named = (pointer: string | undefined, sign: Sign): Named => ({ slot: slotFor(pointer, sign), name: (pointer ?? "").slice(1) });

    this.#quality = quality;
    this.#signs = SIGNS.filter((sign) => enabled.has(sign));
    this.#algorithms = (settings?.fallbackAlgorithms ?? []).map((name) => wordOf(name));
    this.#confidenceAtMost = settings?.confidenceAtMost ?? 0;
    this.#figures = slotOf(quality?.pointer);
    this.#success = named(paths.success, "success-false");
    this.#algorithm = named(paths.algorithm, "fallback-algorithm");
    const flags = paths.fallbackFlags.filter((pointer) => pointer !== NO_FLAG);
    this.#flags = flags.map((pointer) => named(pointer, "fallback-flag"));
    this.#noFlag = flags.some((pointer) => pointer.includes("*")) ? slotFor(NO_FLAG, "fallback-flag") : -1;
    this.#matches = slotFor(paths.matches, "empty-matches");
    this.#answerIds = slotFor(paths.answerIds, "missing-ids", "foreign-ids");
    this.#answers = slotFor(paths.answerIds && thingsPointer(paths.answerIds), "missing-ids", "foreign-ids");
    this.#scores = slotFor(paths.scores, "equal-scores");
    this.#confidences = slotFor(paths.confidences, "equal-scores");
    const asksRequest = this.#matches >= 0 || this.#answerIds >= 0;
    this.#request = asksRequest && paths.requestIds !== undefined ? new RequestReader(paths.requestIds) : undefined;
    this.#plan = createPlan(pointers);
    this.#finds = new Finds(this.#plan);
  }

  judge(answer: Uint8Array, request: Uint8Array | undefined): Judgement {
    if (!scan(answer, this.#plan, this.#finds)) {
      const quality = this.#quality && NOT_JSON;
      return this.#signs[0] === "not-json" ? { quality, sign: "not-json", detail: "the body is not JSON" } : { ...NO_SIGN, quality };
    }
    const quality = this.#quality && qualityOf(answer, this.#finds, this.#figures, this.#quality);
    // What is known of the request, once it has been read.
    let read: boolean | undefined;
    let comparison: Comparison | undefined;
    for (const sign of this.#signs) {
      let detail: string | undefined;
      if (sign === "empty-matches" || sign === "missing-ids" || sign === "foreign-ids") {
        if (request === undefined || this.#request === undefined) continue;
        if (sign === "empty-matches" && !this.#isEmpty(answer)) continue;
        if (sign !== "empty-matches" && this.#answerIds < 0) continue;
        read ??= this.#request.read(request);
        if (!read) continue;
        if (sign === "empty-matches") detail = this.#emptiness(request, this.#request);
        else {
          comparison ??= this.#compare(answer, request, this.#request);
          if (comparison !== undefined)
            detail = sign === "missing-ids" ? missing(comparison, this.#request.limitOf(request)) : foreign(comparison);
        }
      } else detail = this.#shows(sign, answer);
      if (detail !== undefined) return { quality, sign, detail };
    }
    return quality === undefined ? NO_SIGN : { quality, sign: undefined, detail: "" };
  }

  /** What is wrong by a sign that needs no more than the answer. */
  #shows(sign: Exclude<Sign, "empty-matches" | "missing-ids" | "foreign-ids">, answer: Uint8Array): string | undefined {
    switch (sign) {
      case "not-json":
        return undefined;
      case "success-false":
        return this.#begins(answer, this.#success.slot, FIRST_OF_FALSE) ? `${this.#success.name} is false` : undefined;
      case "fallback-flag": {
        for (const { slot, name } of this.#flags) if (this.#begins(answer, slot, FIRST_OF_TRUE)) return `${name} is true`;
        return undefined;
      }
      case "fallback-algorithm":
        return this.#fallbackAlgorithm(answer);
      case "equal-scores":
        return this.#equalScores(answer);
    }
  }

  /** Whether a value in the slot begins with that byte, as only one literal does. */
  #begins(answer: Uint8Array, slot: number, first: number): boolean {
    const count = this.#finds.count(slot);
    for (let i = 0; i < count; i++) {
      const at = this.#finds.start(slot, i);
      if (answer[at] === first && !this.#isNoFlag(at)) return true;
    }
    return false;
  }

  #isNoFlag(at: number): boolean {
    const count = this.#finds.count(this.#noFlag);
    for (let i = 0; i < count; i++) if (this.#finds.start(this.#noFlag, i) === at) return true;
    return false;
  }

  #fallbackAlgorithm(answer: Uint8Array): string | undefined {
    const { slot, name } = this.#algorithm;
    const count = this.#finds.count(slot);
    for (let i = 0; i < count; i++) {
      const at = this.#finds.start(slot, i);
      const algorithm = answer[at] === QUOTE ? wordAt(answer, at, this.#algorithms) : undefined;
      if (algorithm !== undefined) return `${name} is ${JSON.stringify(algorithm.text)}`;
    }
    return undefined;
  }

  /** Whether the answer holds no matches: no list where they should stand, or an empty one. */
  #isEmpty(answer: Uint8Array): boolean {
    if (this.#matches < 0) return false;
    const count = this.#finds.count(this.#matches);
    for (let i = 0; i < count; i++) {
      const at = this.#finds.start(this.#matches, i);
      const isNull = answer[at] === FIRST_OF_NULL;
      const isEmptyList = answer[at] === OPEN_ARRAY && answer[blanksEnd(answer, at + 1)] === CLOSE_ARRAY;
      if (!isNull && !isEmptyList) return false;
    }
    return true;
  }

  /** Who asked about nothing, or wants no matches, gets none. */
  #emptiness(request: Uint8Array, asked: RequestReader): string | undefined {
    const things = Math.max(asked.things, asked.finds.count(asked.ids));
    return things > 0 && asked.limitOf(request) !== 0 ? `no matches for ${things} asked about` : undefined;
  }

  #compare(answer: Uint8Array, request: Uint8Array, asked: RequestReader): Comparison | undefined {
    return this.#ids.compare(request, { finds: asked.finds, slot: asked.ids, things: asked.things }, answer, {
      finds: this.#finds,
      slot: this.#answerIds,
      things: this.#finds.count(this.#answers),
    });
  }

  #equalScores(answer: Uint8Array): string | undefined {
    let scores = 0;
    let score = Number.NaN;
    for (let i = this.#finds.count(this.#scores) - 1; i >= 0; i--) {
      const figure = figureAt(answer, this.#finds, this.#scores, i, 1);
      if (Number.isNaN(figure)) continue;
      if (scores > 0 && figure !== score) return undefined;
      score = figure;
      scores++;
    }
    if (scores < 2) return undefined;
    let confidences = 0;
    for (let i = this.#finds.count(this.#confidences) - 1; i >= 0; i--) {
      const figure = figureAt(answer, this.#finds, this.#confidences, i, 1);
      if (figure > this.#confidenceAtMost) return undefined;
      if (!Number.isNaN(figure)) confidences++;
    }
    return confidences > 0 ? `all ${scores} scores are ${score}, and no confidence is above ${this.#confidenceAtMost}` : undefined;
  }
}

/** Fewer are answered than were asked for, and than the client would take. */
function missing({ asked, met, foreign, nameless }: Comparison, limit: number): string | undefined {
  return met < asked && met + foreign + nameless < Math.min(asked, limit) ? `${met} of ${asked} ids are answered` : undefined;
}

function foreign({ foreign: count }: Comparison): string | undefined {
  return count > 0 ? `${count} answered ids were not asked for` : undefined;
}

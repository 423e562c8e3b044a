import { closest } from "fastest-levenshtein";
import { isObject } from "./json.ts";

export const FAULTS = ["none", "hang", "drip", "reset", "refuse", "malformed", "low-quality", "unsuccessful"] as const;

/**
 * `hang` never answers · `drip` sends one byte of the answer every 80 ms · `reset` sends half the answer and resets ·
 * `refuse` closes the connection unanswered · `malformed` answers 200 with JSON that stops halfway · `low-quality`
 * answers with confidence 0.4 · `unsuccessful` answers 200 with `success: false`.
 */
export type Fault = (typeof FAULTS)[number];

/** How a simulator behaves; each figure can be changed while it runs. */
export interface Behaviour {
  /** Median time to answer, 0..600,000. */
  readonly latencyMs: number;
  /** How far the 95th percentile lies above the median, as a share of it, 0..20; 0 is a constant time. */
  readonly jitter: number;
  /** Share of matching requests answered with 500, 0..1. */
  readonly errorRate: number;
  /** Confidence of every match, 0..1; undefined: as computed. V1 states none, so nothing changes there. */
  readonly quality: number | undefined;
  readonly fault: Fault;
}

/** Confidence of every match under the fault `low-quality`. */
export const LOW_QUALITY = 0.4;

const LIMITS = { latency_ms: [0, 600_000], jitter: [0, 20], error_rate: [0, 1], quality: [0, 1] } as const;
const FIELDS = [...Object.keys(LIMITS), "fault"];

export type BehaviourChange =
  | { readonly ok: true; readonly change: Partial<Behaviour> }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads a change as it is posted: any of the five fields. Reports everything that is wrong with it at once. */
export function parseBehaviour(value: unknown): BehaviourChange {
  if (!isObject(value)) return { ok: false, problems: [`expected a JSON object such as {"fault":"hang"}, got ${shown(value)}`] };
  const problems: string[] = [];
  for (const key of Object.keys(value)) {
    if (!FIELDS.includes(key)) problems.push(`${key}: unknown; did you mean "${closest(key, FIELDS)}"? (${FIELDS.join(", ")})`);
  }
  const number = (key: keyof typeof LIMITS): number | undefined => {
    const given = value[key];
    const [least, most] = LIMITS[key];
    if (given === undefined || (key === "quality" && given === null)) return undefined;
    if (typeof given === "number" && given >= least && given <= most) return given;
    problems.push(
      `${key}: expected a number from ${least} to ${most}${key === "quality" ? ", or null for the computed one" : ""}, got ${shown(given)}`,
    );
    return undefined;
  };
  const latencyMs = number("latency_ms");
  const jitter = number("jitter");
  const errorRate = number("error_rate");
  const quality = number("quality");
  const asked = value["fault"];
  const fault = FAULTS.find((name) => name === asked);
  if (asked !== undefined && fault === undefined) problems.push(`fault: expected one of ${FAULTS.join(", ")}, got ${shown(asked)}`);
  if (problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    change: {
      ...(latencyMs === undefined ? {} : { latencyMs }),
      ...(jitter === undefined ? {} : { jitter }),
      ...(errorRate === undefined ? {} : { errorRate }),
      ...("quality" in value ? { quality } : {}),
      ...(fault === undefined ? {} : { fault }),
    },
  };
}

export function printBehaviour(behaviour: Behaviour): Readonly<Record<string, unknown>> {
  return {
    latency_ms: behaviour.latencyMs,
    jitter: behaviour.jitter,
    error_rate: behaviour.errorRate,
    quality: behaviour.quality ?? null,
    fault: behaviour.fault,
  };
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}

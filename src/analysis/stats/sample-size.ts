import { normalQuantile } from "./distributions.ts";
import type { Look } from "./estimate.ts";
import { multiplierOf, TIGHT_AT } from "./multiplier.ts";

export interface Design {
  /** Standard deviation of one observation (one user), the same in both arms. For a share p: sqrt(p (1 - p)). */
  readonly deviation: number;
  /** Smallest difference that must be found, absolute. */
  readonly effect: number;
  /** One-sided: 0.025 for the usual 95 %. */
  readonly risk: number;
  /** 0.8 */
  readonly power: number;
  /** Share of the candidate, 0..1. */
  readonly share: number;
}

export interface ArmSizes {
  readonly candidate: number;
  readonly stable: number;
}

/** Observations of each arm for a single test at the end. Infinity where the design cannot be met (no effect, no share). */
export function fixedSampleSize(design: Design): ArmSizes {
  return sizesOf(design, () => normalQuantile(design.risk));
}

/** The same for intervals that are looked at all the time, with the power counted at the last look only (so the truth is a little better). */
export function alwaysSampleSize(design: Design, tightAt = TIGHT_AT): ArmSizes {
  return sizesOf(design, (effective) => multiplierOf({ risk: design.risk, look: "always", effective, tightAt, df: Infinity }));
}

/** The least all over for which the effect is as many standard errors as bound and power take together. */
function sizesOf({ deviation, effect, power, share }: Design, multiplier: (effective: number) => number): ArmSizes {
  const reserve = normalQuantile(1 - power);
  const isEnough = (all: number): boolean => {
    const effective = all * share * (1 - share);
    return effect * Math.sqrt(effective) >= (multiplier(effective) + reserve) * deviation;
  };
  if (!(effect > 0 && share > 0 && share < 1)) return { candidate: Infinity, stable: Infinity };
  let above = 1;
  while (!isEnough(above)) {
    above *= 2;
    if (above > 1e15) return { candidate: Infinity, stable: Infinity };
  }
  let below = above / 2;
  while (above - below > Math.max(0.5, above * 1e-9)) {
    const middle = (above + below) / 2;
    if (isEnough(middle)) above = middle;
    else below = middle;
  }
  return { candidate: Math.ceil(above * share), stable: Math.ceil(above * (1 - share)) };
}

/** The smallest true difference that is found with `power`, given the standard error of its estimate. Infinity without data. */
export function minimumDetectableEffect(of: {
  readonly standardError: number;
  /** Of the comparison; matters for "always" only. */
  readonly effectiveUsers: number;
  readonly risk: number;
  readonly power: number;
  readonly look: Look;
  readonly tightAt?: number;
}): number {
  const { standardError, effectiveUsers, risk, power, look, tightAt = TIGHT_AT } = of;
  if (!(standardError > 0) || !(effectiveUsers > 0)) return Infinity;
  const multiplier =
    look === "once" ? normalQuantile(risk) : multiplierOf({ risk, look, effective: effectiveUsers, tightAt, df: Infinity });
  return (multiplier + normalQuantile(1 - power)) * standardError;
}

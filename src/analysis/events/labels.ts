import type { AssignedArm } from "../../core/words.ts";
import { BUSINESS_METRICS, type BusinessMetric } from "../business.ts";

/**
 * What sums are kept by. `assigned` and `served` say which arm is meant, that of the split or that which answered; `present` counts users alone,
 * whatever they said. Step -1: before the first, or outside of any rollout.
 */
export type Label =
  | {
      readonly by: "assigned" | "served";
      readonly arm: AssignedArm;
      readonly segment: string;
      readonly metric: BusinessMetric;
      readonly step: number;
    }
  /** As `assigned`, over all steps from 0 on, for sums over users alone. */
  | { readonly by: "overall"; readonly arm: AssignedArm; readonly segment: string; readonly metric: BusinessMetric }
  | { readonly by: "present"; readonly arm: AssignedArm; readonly segment: string };

/** `assigned:candidate:enterprise:accuracy:2`, `overall:candidate:enterprise:accuracy`, `present:stable:none`. Names of segments have no colon. */
export function writeLabel(label: Label): string {
  const start = `${label.by}:${label.arm}:${label.segment}`;
  if (label.by === "present") return start;
  return label.by === "overall" ? `${start}:${label.metric}` : `${start}:${label.metric}:${label.step}`;
}

/** Undefined: it is nothing of ours. */
export function readLabel(text: string): Label | undefined {
  const [by, arm, segment = "", name, stepText = "", more] = text.split(":");
  if ((arm !== "stable" && arm !== "candidate") || segment === "") return undefined;
  if (by === "present") return name === undefined ? { by, arm, segment } : undefined;
  const metric = BUSINESS_METRICS.find((known) => known === name);
  if (metric === undefined) return undefined;
  if (by === "overall")
    return stepText === "" && more === undefined && text.split(":").length === 4 ? { by, arm, segment, metric } : undefined;
  if (by !== "assigned" && by !== "served") return undefined;
  if (more !== undefined || !/^(?:-1|\d{1,4})$/.test(stepText)) return undefined;
  return { by, arm, segment, metric, step: Number(stepText) };
}

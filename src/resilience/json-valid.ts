import { createPlan } from "./json-plan.ts";
import { Finds, scan } from "./json-scan.ts";

const NOTHING = createPlan([]);
const finds = new Finds(NOTHING);

/** Whether the bytes are what JSON.parse accepts of them. */
export function isJson(bytes: Uint8Array): boolean {
  return scan(bytes, NOTHING, finds);
}

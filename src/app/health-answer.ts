import type { Health } from "../config/config.ts";
import { pointerSteps } from "../resilience/json-figures.ts";

/** Of an answer to a check so much is read; a longer one is taken for no answer to it. */
export const MOST_BYTES = 65_536;
/** A text of an answer is shown up to this length. */
const MOST_SHOWN = 60;

export interface Judgement {
  readonly good: boolean;
  /** In words, what was found. */
  readonly detail: string;
}

export function statusIsGood({ statuses }: Health, status: number): boolean {
  return statuses.length === 0 ? status >= 200 && status < 300 : statuses.includes(status);
}

/** Whether the expected value stands in the body: at every place that the pointer leads to, and at one at least. */
export function judgeBody(body: Uint8Array, { pointer, equals }: NonNullable<Health["field"]>): Judgement {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(body).toString());
  } catch {
    return { good: false, detail: "the answer is not JSON" };
  }
  const names = pointerSteps(pointer).map(({ name }) => name);
  const found = valuesAt(document, names);
  const wrong = found.find((value) => !isEqual(value, equals));
  if (found.length > 0 && wrong === undefined) return { good: true, detail: `field ${pointer} is ${shown(equals)}` };
  return { good: false, detail: `field ${pointer} is ${found.length === 0 ? "missing" : shown(wrong)}, not ${shown(equals)}` };
}

/** What stands where the names lead; `*` stands for every element. A place that does not exist is left out. */
function valuesAt(value: unknown, [name, ...rest]: readonly string[]): unknown[] {
  if (name === undefined) return [value];
  if (typeof value !== "object" || value === null) return [];
  if (name === "*") return Object.values(value).flatMap((element) => valuesAt(element, rest));
  if (!Object.hasOwn(value, name)) return [];
  const inner: unknown = Reflect.get(value, name);
  return valuesAt(inner, rest);
}

/** The configuration means `true`, `"true"` and the like alike. */
function isEqual(value: unknown, equals: string | number | boolean): boolean {
  return typeof value !== "object" && String(value) === String(equals);
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value) ?? "missing";
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

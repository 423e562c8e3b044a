import { LATENCY_SLOTS } from "../telemetry/latency-layout.ts";
import { NO_LATENCIES, Sketch, slotCounts } from "./latencies.ts";

/**
 * Slots and counts as base64. Each slot is a number of seven bits to the byte, lowest first: twice the distance from the slot before it,
 * and one more where its count follows; where none does it is 1. In a second of usual traffic nearly every slot takes one byte.
 */
export function encodeSketch({ slots }: Sketch): string {
  const bytes: number[] = [];
  let before = -1;
  for (let at = 0; at < slots.length; at += 2) {
    const slot = slots[at] ?? 0;
    const count = slots[at + 1] ?? 0;
    push(bytes, (slot - before - 1) * 2 + (count === 1 ? 0 : 1));
    if (count !== 1) push(bytes, count);
    before = slot;
  }
  return Buffer.from(bytes).toString("base64");
}

/** Where slots and counts are put until it is known how many there are. */
const scratch = new Float64Array(2 * LATENCY_SLOTS);

/** Undefined: it is none. */
export function decodeSketch(text: unknown): Sketch | undefined {
  if (typeof text !== "string") return undefined;
  if (text === "") return NO_LATENCIES;
  const bytes = Buffer.from(text, "base64");
  // Node reads over what is no base64, and makes less of it.
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  if (bytes.length * 4 !== text.length * 3 - padding * 4) return undefined;
  let used = 0;
  let most = 0;
  let slot = -1;
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let unit = 1; unit <= HIGHEST_UNIT; unit *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) return -1;
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
    return -1;
  };
  while (at < bytes.length) {
    const step = next();
    if (step < 0) return undefined;
    const count = step % 2 === 1 ? next() : 1;
    slot += Math.floor(step / 2) + 1;
    if (slot >= LATENCY_SLOTS || count < 1 || !Number.isSafeInteger(count)) return undefined;
    if (count > most) most = count;
    scratch[used++] = slot;
    scratch[used++] = count;
  }
  const slots = slotCounts(used, most);
  for (let index = 0; index < used; index++) slots[index] = scratch[index] ?? 0;
  return new Sketch(slots);
}

/** 2^49: what is longer is no count. */
const HIGHEST_UNIT = 128 ** 7;

function push(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}

/**
 * Durations in slots of three significant digits, as an HDR histogram with a unit of 0.1 ms has them: 2,048 slots of one unit each, then
 * 1,024 slots per doubling. A slot holds what lies above its lower edge and up to its upper edge, so that "longer than 100 ms" is a count:
 * exact at every 0.1 ms up to 204.8 ms, at every 0.2 ms up to 409.6 ms, and so on.
 */
const UNITS_PER_MS = 10;
const LINEAR = 2_048;
const PER_DOUBLING = 1_024;
/** Up to 104.8 s; what takes longer is filed in the last slot. */
const DOUBLINGS = 9;
export const LATENCY_SLOTS = LINEAR + DOUBLINGS * PER_DOUBLING;
const MOST_UNITS = LINEAR * 2 ** DOUBLINGS;

/** The slot that a duration falls into. What is no number above 0 falls into the first. */
export function slotOf(ms: number): number {
  const scaled = ms * UNITS_PER_MS;
  if (!(scaled < MOST_UNITS)) return scaled >= MOST_UNITS ? LATENCY_SLOTS - 1 : 0;
  const units = Math.ceil(scaled) - 1;
  if (units < LINEAR) return units > 0 ? units : 0;
  const doubling = 21 - Math.clz32(units);
  return LINEAR + (doubling - 1) * PER_DOUBLING + (units >>> doubling) - PER_DOUBLING;
}

/** The longest duration that the slot holds; the lower edge of the slot is that of the one before it, 0 for the first. Milliseconds. */
export function upperEdgeMs(slot: number): number {
  if (slot < LINEAR) return (slot + 1) / UNITS_PER_MS;
  const doubling = Math.floor((slot - LINEAR) / PER_DOUBLING) + 1;
  const within = (slot - LINEAR) % PER_DOUBLING;
  return ((PER_DOUBLING + within + 1) * 2 ** doubling) / UNITS_PER_MS;
}

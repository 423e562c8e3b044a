import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes in use that do not go away by themselves: `heap`, and the memory of buffers, which lies outside it. */
export function memoryInUse(): { readonly heap: number; readonly buffers: number } {
  // Memory of buffers is given back by another thread, which the next collection waits for.
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}

/** All of it. */
export function bytesInUse(): number {
  const { heap, buffers } = memoryInUse();
  return heap + buffers;
}

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createFile } from "./files.ts";
import type { StoreLog } from "./log.ts";

const BYTES = 32;

/**
 * The secret that signs sticky cookies: made once, kept in the state directory, the same after each restart. Where it
 * cannot be kept it lives in memory: cookies then lose their worth at a restart, which is said in the log.
 */
export async function stickySecret(directory: string, log: StoreLog): Promise<Uint8Array> {
  const path = join(directory, "sticky-secret");
  const made = randomBytes(BYTES);
  try {
    if (await createFile(path, made)) return made;
    const kept = await readFile(path);
    if (kept.length === BYTES) return kept;
    log.warn(
      { path, bytes: kept.length, wanted: BYTES },
      "the file of the sticky-cookie secret has another length; delete it, or set sticky.secret. Until then a secret in memory serves, and sticky users are split anew at each restart",
    );
  } catch (error) {
    log.warn(
      { path, err: error },
      "the sticky-cookie secret cannot be kept; make the state directory writable, or set sticky.secret. A secret in memory serves, and sticky users are split anew at each restart",
    );
  }
  return made;
}

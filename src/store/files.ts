import { randomHex } from "../core/random-id.ts";
import { link, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces a file as a whole: whoever reads it, even after a power cut, finds the old content or the new one, never a
 * part. Durable when it resolves.
 */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  await throughTemporary(path, content, mode, rename);
}

/** As {@link replaceFile}, but of two that create the file at once the first wins; false when it was there already. */
export async function createFile(path: string, content: string | Uint8Array, mode = 0o600): Promise<boolean> {
  try {
    await throughTemporary(path, content, mode, link);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

async function throughTemporary(
  path: string,
  content: string | Uint8Array,
  mode: number,
  place: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomHex(6)}.tmp`;
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await place(temporary, path);
    const parent = await open(directory);
    try {
      await parent.sync();
    } finally {
      await parent.close();
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

import { closeSync, constants, fstatSync, openSync, writeSync, writev } from "node:fs";

/**
 * Lines to a file descriptor, gathered and written by the thread that logs, without waiting for another one. A reader that
 * stands still costs lines, never memory or time: what does not fit is dropped and counted. A failing disk costs lines
 * too, and nothing else. Every worker may write to the same descriptor: writes hold whole lines, and to a pipe no more than
 * the 4 KiB that the system keeps together.
 */
export interface LineWriter {
  /** `line` ends in a line feed. */
  write(line: string): void;
  /** Begins to write what is held. */
  flush(): void;
  /** Writes what is held before it returns; for the last moments of a thread. */
  flushSync(): void;
  /**
   * Resolves when all is written and what was opened is closed, or after two seconds in which that could not be done.
   * Lines that come later are dropped.
   */
  close(): Promise<void>;
  /** Lines that could not be kept or written. */
  readonly lost: number;
}

const PIPE_CHUNK_BYTES = 4_096;
const FILE_CHUNK_BYTES = 65_536;
const HELD_BYTES = 4_194_304;
const FLUSH_MS = 1_000;
/** How often a full pipe is tried again, and how long at most while a thread ends. */
const RETRY_MS = 5;
const SYNC_PATIENCE_MS = 500;
const CLOSE_PATIENCE_MS = 2_000;
/** Most bytes of UTF-8 for one UTF-16 unit. */
const BYTES_PER_UNIT = 3;

/** Writes to a descriptor, or appends to a file. Throws what the system says if the file cannot be opened. */
export function openLines(target: number | string = 1): LineWriter {
  if (typeof target === "string") return new DescriptorLines(openSync(target, "a"), { owned: true, waits: true });
  const pipe = fstatSync(target).isFIFO() ? reopenWithoutWaiting(target) : undefined;
  return pipe === undefined
    ? new DescriptorLines(target, { owned: false, waits: true })
    : new DescriptorLines(pipe, { owned: true, waits: false });
}

/**
 * A description of the same pipe of our own, so that it can be told not to wait without changing what others share. A write
 * that waits for a reader would hold one of the few threads that also look up names. Undefined where the system has no such way.
 */
function reopenWithoutWaiting(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

interface Chunk {
  readonly bytes: Buffer;
  used: number;
  lines: number;
  /** Bytes already written: only of a chunk that is one long line, which a pipe may take in parts. */
  gone: number;
}

class DescriptorLines implements LineWriter {
  readonly #fd: number;
  /** Ours to close. */
  readonly #owned: boolean;
  /** Whether a write may take long, so that it must be left to another thread. */
  readonly #waits: boolean;
  readonly #chunkBytes: number;
  #full: Chunk[] = [];
  /** Chunks of a write that another thread is doing. */
  #sent: readonly Chunk[] = [];
  #spare: Chunk | undefined;
  #current: Chunk;
  #held = 0;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #idle: (() => void) | undefined;
  lost = 0;

  constructor(fd: number, { owned, waits }: { readonly owned: boolean; readonly waits: boolean }) {
    this.#fd = fd;
    this.#owned = owned;
    this.#waits = waits;
    this.#chunkBytes = waits ? FILE_CHUNK_BYTES : PIPE_CHUNK_BYTES;
    this.#current = this.#fresh(0);
  }

  write(line: string): void {
    const room = this.#current.bytes.length - this.#current.used;
    if (this.#closed || (line.length * BYTES_PER_UNIT > room && !this.#makeRoom(Buffer.byteLength(line), room))) {
      this.lost++;
      return;
    }
    const chunk = this.#current;
    const bytes = chunk.bytes.write(line, chunk.used);
    chunk.used += bytes;
    chunk.lines++;
    this.#held += bytes;
    this.#timer ??= setTimeout(this.#onTimer, FLUSH_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#seal(0);
    this.#send();
  }

  flushSync(): void {
    this.#seal(0);
    const chunks = this.#full;
    this.#full = [];
    for (const chunk of chunks) this.#release(chunk, writeAll(this.#fd, chunk));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    if (this.#held > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        this.#timer = setTimeout(resolve, CLOSE_PATIENCE_MS);
      });
    }
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    // A descriptor that another thread is still writing to must stay what it is.
    if (this.#owned && this.#sent.length === 0) closeSync(this.#fd);
  }

  /** Whether the current chunk can take `needed` more bytes, after another has taken its place if need be. */
  #makeRoom(needed: number, room: number): boolean {
    if (needed <= room) return true;
    if (this.#held + needed > HELD_BYTES) return false;
    this.#seal(needed);
    this.#send();
    return true;
  }

  #seal(needed: number): void {
    if (this.#current.used > 0) this.#full.push(this.#current);
    else if (this.#current.bytes.length >= needed) return;
    this.#current = this.#fresh(needed);
  }

  #fresh(needed: number): Chunk {
    const spare = needed <= this.#chunkBytes ? this.#spare : undefined;
    if (spare !== undefined) this.#spare = undefined;
    return spare ?? { bytes: Buffer.allocUnsafeSlow(Math.max(needed, this.#chunkBytes)), used: 0, lines: 0, gone: 0 };
  }

  #release(chunk: Chunk, written: boolean): void {
    if (!written) this.lost += chunk.lines;
    this.#held -= chunk.used;
    chunk.used = chunk.lines = chunk.gone = 0;
    if (chunk.bytes.length === this.#chunkBytes) this.#spare = chunk;
    if (this.#held === 0) this.#idle?.();
  }

  #send(): void {
    if (this.#waits) this.#sendByThread();
    else this.#sendNow();
  }

  /** One write at a time, with all there is. */
  #sendByThread(): void {
    if (this.#sent.length > 0 || this.#full.length === 0) return;
    this.#sent = this.#full;
    this.#full = [];
    this.#writeSent(this.#sent.map((chunk) => chunk.bytes.subarray(0, chunk.used)));
  }

  #writeSent(parts: readonly Uint8Array[]): void {
    writev(this.#fd, parts, null, (error, written) => {
      const rest = error === null ? after(parts, written) : [];
      if (error?.code === "EAGAIN" && !this.#closed) this.#retry = setTimeout(() => this.#writeSent(parts), RETRY_MS);
      else if (rest.length > 0 && written > 0) this.#writeSent(rest);
      else {
        const chunks = this.#sent;
        this.#sent = [];
        for (const chunk of chunks) this.#release(chunk, rest.length === 0 && error === null);
        this.#send();
      }
    });
  }

  /** A pipe that does not wait takes a chunk of its size at once and whole, or not at all. */
  #sendNow(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    let chunk = this.#full[0];
    while (chunk !== undefined) {
      const end = tryWrite(this.#fd, chunk);
      if (end === "full") {
        this.#retry = setTimeout(this.#onRetry, RETRY_MS);
        return;
      }
      this.#full.shift();
      this.#release(chunk, end === "written");
      chunk = this.#full[0];
    }
  }

  readonly #onTimer = (): void => {
    this.flush();
  };

  readonly #onRetry = (): void => {
    this.#sendNow();
  };
}

/** What is left of `parts` once `written` bytes of them are gone. */
function after(parts: readonly Uint8Array[], written: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let gone = written;
  for (const part of parts) {
    if (gone < part.length) rest.push(part.subarray(gone));
    gone = Math.max(0, gone - part.length);
  }
  return rest;
}

function tryWrite(fd: number, chunk: Chunk): "written" | "full" | "failed" {
  try {
    while (chunk.gone < chunk.used) chunk.gone += writeSync(fd, chunk.bytes, chunk.gone, chunk.used - chunk.gone);
    return "written";
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EAGAIN" ? "full" : "failed";
  }
}

/** Whether all of it could be written; a full pipe is waited for, but not for ever. */
function writeAll(fd: number, chunk: Chunk): boolean {
  const sleeper = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  for (let waited = 0; ; waited += RETRY_MS) {
    const end = tryWrite(fd, chunk);
    if (end !== "full" || waited >= SYNC_PATIENCE_MS) return end === "written";
    Atomics.wait(sleeper, 0, 0, RETRY_MS);
  }
}

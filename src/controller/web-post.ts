import { createHmac } from "node:crypto";
import { Agent, request } from "undici";

/** JSON to an address of somebody else: hooks, and whoever is told of things. */

/** Bytes of an answer that are read. */
const ANSWER_BYTES = 65_536;
/** Characters of an answer that are shown. */
export const SHOWN = 500;

/** A request that is sent once, to one address. */
export interface WebPost {
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Key of the signature; undefined: not signed. */
  readonly secret: string | undefined;
  /** For all of it. */
  readonly timeoutMs: number;
}

export type WebAnswer =
  /** `cut`: it was longer than what is read. `retryAfter`: the header of that name. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly text: string;
      readonly cut: boolean;
      readonly retryAfter: string | undefined;
    }
  | { readonly kind: "none"; readonly late: boolean; readonly why: string };

/**
 * Sends JSON, signed over its very bytes where there is a secret. Follows no redirect, reads no more of the answer than it must, leaves no
 * connection open. Never rejects.
 */
export async function post(
  { url, headers, secret, timeoutMs }: WebPost,
  body: string,
  signal: AbortSignal | undefined,
): Promise<WebAnswer> {
  const limit = AbortSignal.timeout(timeoutMs);
  const ends = signal === undefined ? limit : AbortSignal.any([limit, signal]);
  // A connection of its own: nothing is left open, and none that is kept alive can turn out dead in an emergency.
  const agent = new Agent({ pipelining: 0, headersTimeout: 0, bodyTimeout: 0, connect: { timeout: timeoutMs } });
  const signature =
    secret === undefined ? {} : { "x-crossfade-signature": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}` };
  const fields = { accept: "application/json", "user-agent": "crossfade", ...headers, ...signature, "content-type": "application/json" };
  try {
    const answer = await request(url, { method: "POST", headers: fields, body, signal: ends, dispatcher: agent });
    const retryAfter = answer.headers["retry-after"];
    return {
      kind: "answer",
      status: answer.statusCode,
      retryAfter: typeof retryAfter === "string" ? retryAfter : undefined,
      ...(await readStart(answer.body)),
    };
  } catch (error) {
    if (limit.aborted) return { kind: "none", late: true, why: `there was no whole answer within ${timeoutMs} ms` };
    if (signal?.aborted === true) return { kind: "none", late: false, why: "called off before its end" };
    return { kind: "none", late: false, why: whyNoAnswer(error) };
  } finally {
    void agent.destroy().catch(() => undefined);
  }
}

async function readStart(body: AsyncIterable<Buffer>): Promise<{ readonly text: string; readonly cut: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > ANSWER_BYTES) break;
  }
  return { text: Buffer.concat(chunks).toString("utf8", 0, Math.min(size, ANSWER_BYTES)), cut: size > ANSWER_BYTES };
}

export function describe({ status, text }: { readonly status: number; readonly text: string }): string {
  const line = plain(text).trim().slice(0, SHOWN).toWellFormed();
  if (status >= 300 && status < 400) return `HTTP ${status}: redirects are not followed; name the address that answers`;
  return line === "" ? `HTTP ${status}` : `HTTP ${status}: ${line}`;
}

function whyNoAnswer(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  switch (code) {
    case "ECONNREFUSED":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `nobody takes connections there (${code})`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the name of its host is not known (${code})`;
    case "ECONNRESET":
    case "UND_ERR_SOCKET":
    case "UND_ERR_RES_CONTENT_LENGTH_MISMATCH":
      return `the connection broke off before the whole answer (${code})`;
    default:
      return `there was no answer in HTTP (${code === "" ? "unknown" : code})`;
  }
}

/** Without what a terminal would obey. */
export function plain(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(/[^\P{Cc}\n\t]/gu, "");
}

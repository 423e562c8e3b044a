import type { IncomingMessage } from "node:http";
import { Problem } from "./problem.ts";

/** Largest request body that the admin API reads where nothing else is said. */
const BODY_LIMIT = 64 * 1024;

/** The JSON of a request body; undefined for an empty one. */
export async function readJson(request: IncomingMessage, limit = BODY_LIMIT): Promise<unknown> {
  const bytes = await readBytes(request, limit);
  if (bytes.length === 0) return undefined;
  requireJson(request);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const why = error instanceof Error ? error.message : "unreadable";
    throw new Problem("malformed-request", `The body is not JSON in UTF-8: ${why}.`, {}, {}, error);
  }
}

async function readBytes(request: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // The connection must outlive the refusal of a body, or its sender would never read why.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > limit) throw new Problem("body-too-large", `The body has more than ${limit} bytes.`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** Only this type, because a page of another site cannot send it without asking first. */
function requireJson(request: IncomingMessage): void {
  const type = request.headers["content-type"];
  const encoding = request.headers["content-encoding"];
  if (!/^application\/json\s*(?:;|$)/i.test(type ?? "")) {
    throw new Problem("not-json", `The content type is ${type === undefined ? "missing" : JSON.stringify(type)}; send application/json.`);
  }
  if (encoding !== undefined && encoding !== "identity") {
    throw new Problem("not-json", `The content encoding is ${JSON.stringify(encoding)}; send the body as it is.`);
  }
}

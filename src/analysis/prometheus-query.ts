import { z } from "zod";

/** Prometheus could not be asked, or its answer is none. The message says what to look at. */
export class PrometheusError extends Error {
  override readonly name = "PrometheusError";
}

/** One element of an instant vector. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PrometheusClient {
  /** Evaluates at one instant (epoch ms). Rejects with a {@link PrometheusError}. */
  query(expression: string, at: number): Promise<readonly Sample[]>;
}

interface ClientOptions {
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
}

const MS_PER_SECOND = 1_000;
/** Far beyond any answer to our questions, which are summed over instances. */
const MOST_BYTES = 16 * 1_048_576;
/** How much of a foreign answer an error shows. */
const SHOWN = 200;

const ANSWER = z.union([
  z.object({
    status: z.literal("success"),
    data: z.object({
      resultType: z.literal("vector"),
      result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
    }),
  }),
  z.object({ status: z.literal("error"), errorType: z.string(), error: z.string() }),
]);

/** A user and password in the URL are sent as basic authorization, and shown nowhere. */
export function createPrometheusClient({ url, fetch, timeoutMs }: ClientOptions): PrometheusClient {
  const base = parseUrl(url);
  const headers: Record<string, string> = { accept: "application/json" };
  if (base.username !== "" || base.password !== "") {
    const pair = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`;
    headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`;
    base.username = base.password = "";
  }
  base.pathname = `${base.pathname.replace(/\/+$/, "")}/api/v1/query`;
  base.search = base.hash = "";
  const shown = `Prometheus at ${base.origin}`;

  return {
    async query(expression, at) {
      const signal = AbortSignal.timeout(timeoutMs);
      const body = new URLSearchParams({ query: expression, time: String(at / MS_PER_SECOND), timeout: `${timeoutMs}ms` });
      let status: number;
      let text: string;
      try {
        const response = await fetch(base, { method: "POST", body, headers, signal, redirect: "error" });
        status = response.status;
        text = await readText(response, shown);
      } catch (cause) {
        if (cause instanceof PrometheusError) throw cause;
        const why = signal.aborted ? `did not answer within ${timeoutMs} ms` : `cannot be reached (${reasonOf(cause)})`;
        throw new PrometheusError(`${shown} ${why}`, { cause });
      }
      return samplesOf(text, status, shown);
    },
  };
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === "http:" || parsed?.protocol === "https:") return parsed;
  // Not the text itself: it may hold a password.
  throw new PrometheusError("the address of Prometheus must be an http or https URL, such as http://prometheus:9090");
}

async function readText(response: Response, shown: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new PrometheusError(`${shown} answers with more than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function samplesOf(text: string, status: number, shown: string): Sample[] {
  const parsed = ANSWER.safeParse(jsonOf(text));
  if (!parsed.success) {
    const start = text.slice(0, SHOWN).replaceAll(/\s+/g, " ");
    throw new PrometheusError(`${shown} does not answer as Prometheus does (status ${status}: ${JSON.stringify(start)})`);
  }
  if (parsed.data.status === "error")
    throw new PrometheusError(`${shown} refuses the query: ${parsed.data.errorType}: ${parsed.data.error}`);
  return parsed.data.data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** undici says "fetch failed" and keeps what happened in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}

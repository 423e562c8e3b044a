import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { userInfo } from "node:os";
import { formatDuration } from "../core/quantity.ts";
import { Failed } from "./failed.ts";
import { printable } from "./output.ts";

export interface AdminTarget {
  readonly url: URL;
  readonly token: string | undefined;
  readonly timeoutMs: number;
}

/** What a running instance answered. */
export interface Answer {
  /** As it came, for `--json`. */
  readonly text: string;
  /** Parsed, with every text made fit for a terminal. */
  readonly value: unknown;
}

export interface Change {
  readonly method: "PATCH" | "POST";
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the instance was asked to wait, besides the usual timeout. */
  readonly waitMs: number;
}

/** Nothing answers at the address. */
export class Unreachable extends Failed {
  override readonly name = "Unreachable";
}

/** Asks the admin API of a running instance; throws {@link Failed} with what it said, or why it said nothing. */
export async function ask(target: AdminTarget, path: string, change?: Change): Promise<Answer> {
  const { status, text } = await exchange(target, path, change);
  const value = parseAnswer(text);
  if (status >= 200 && status < 300 && value !== undefined) return { text: text.trimEnd(), value };
  throw refusal(target, status, value);
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

async function exchange(target: AdminTarget, path: string, change: Change | undefined): Promise<Reply> {
  const { url, token, timeoutMs } = target;
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  // As bytes: with a string Node would write the head as UTF-8 as well, and the user's name in it would be encoded twice.
  const body = change === undefined ? undefined : Buffer.from(JSON.stringify(change.body));
  const request = send(new URL(url.pathname.replace(/\/+$/, "") + path, url), {
    method: change?.method ?? "GET",
    agent: false,
    signal: AbortSignal.timeout(timeoutMs + (change?.waitMs ?? 0)),
    headers: {
      accept: "application/json",
      "x-crossfade-user": Buffer.from(systemUser()).toString("latin1"),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json", "content-length": body.length }),
      ...change?.headers,
    },
  });
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.on("response", resolve).on("error", reject).end(body);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(Buffer.from(chunk));
    return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") };
  } catch (error) {
    throw new Unreachable(whyUnreachable(error, target, change), undefined, error);
  }
}

function whyUnreachable(error: unknown, { url, timeoutMs }: AdminTarget, change: Change | undefined): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const where = addressOf(url);
  if (code === "ABORT_ERR" || code === "ETIMEDOUT") {
    const doubt = change === undefined ? "" : " Whether the change took effect is not known: look with `crossfade flags get`.";
    return `The admin API at ${where} did not answer within ${formatDuration(timeoutMs + (change?.waitMs ?? 0))}.${doubt}`;
  }
  const why = REASONS[code] ?? (error instanceof Error ? error.message : String(error));
  return (
    `No admin API answers at ${where} (${why}).\n` +
    "Start one with `crossfade serve --config FILE` or `crossfade demo`, or name another with --admin URL or $CROSSFADE_ADMIN_URL."
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name cannot be resolved now",
  EHOSTUNREACH: "no route to the host",
  EPROTO: "it does not speak TLS; is it http:// rather than https://?",
};

/** How an address is shown. */
export function addressOf(url: URL): string {
  return url.href.replace(/\/$/, "");
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text, (_, value: unknown) => (typeof value === "string" ? printable(value) : value));
  } catch {
    return undefined;
  }
}

function refusal({ url, token }: AdminTarget, status: number, value: unknown): Failed {
  const problem = typeof value === "object" && value !== null ? value : {};
  if (!("code" in problem && "detail" in problem && typeof problem.detail === "string")) {
    return new Failed(
      `What answers at ${addressOf(url)} (status ${status}) is not crossfade's admin API: check the address, which is not that of a listener.`,
    );
  }
  if (problem.code === "unauthorized") {
    const hint = token === undefined ? "Give it with --token or $CROSSFADE_ADMIN_TOKEN." : "The one given is not it.";
    return new Failed(`The admin API at ${addressOf(url)} wants its token (\`admin.token\` of its configuration). ${hint}`, problem);
  }
  return new Failed(faultsOf(problem) ?? conflictOf(problem) ?? problem.detail, problem);
}

/** Somebody was faster; undefined where something else went wrong. */
function conflictOf(problem: object): string | undefined {
  if (!("code" in problem && problem.code === "revision-conflict" && "current" in problem)) return undefined;
  const current = String(problem.current);
  return `Nothing was changed: the settings are at revision ${current} by now. Look at them with \`crossfade flags get\`, then say --if-revision ${current}.`;
}

/** What is wrong with each setting, a line each; undefined where the detail says it all. */
function faultsOf(problem: object): string | undefined {
  if (!("errors" in problem && Array.isArray(problem.errors))) return undefined;
  const messages = problem.errors.map((fault: unknown) =>
    typeof fault === "object" && fault !== null && "message" in fault ? String(fault.message) : "",
  );
  return ["Nothing was changed:", ...messages.map((message) => `  ${message}`)].join("\n");
}

/** Who changes something, for the audit. A container may run under a number that has no name. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}

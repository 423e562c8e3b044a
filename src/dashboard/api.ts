import type { Fault } from "../admin/problem.ts";
import { actor, token } from "./store.ts";

/** Why the API did not do it, as it says so itself (problem+json). */
export interface Refusal {
  /** 0: there was no answer. */
  readonly status: number;
  /** A code of the API; `unreachable` where there was no answer, `unknown` where it cannot be read. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors: readonly Fault[];
  /** The revision in force, of `revision-conflict`. */
  readonly current: number | undefined;
}

export type Answer<T> = { readonly ok: true; readonly data: T } | { readonly ok: false; readonly refusal: Refusal };

export interface AskOptions {
  readonly method?: "GET" | "POST" | "PATCH";
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as If-Match. */
  readonly ifRevision?: number;
  readonly signal?: AbortSignal;
}

/** One question to the admin API. Never rejects, but where `signal` ended it. The caller says what shape the answer has. */
export async function ask<T>(path: string, options: AskOptions = {}): Promise<Answer<T>> {
  const response = await send(path, options);
  if (!(response instanceof Response)) return { ok: false, refusal: response };
  if (!response.ok) return { ok: false, refusal: await refusalOf(response) };
  try {
    return { ok: true, data: (await response.json()) as T };
  } catch (error) {
    return { ok: false, refusal: unreachable(error) };
  }
}

/** The answer as it comes, or why there is none. */
export async function send(path: string, { method = "GET", body, ifRevision, signal }: AskOptions = {}): Promise<Response | Refusal> {
  const headers = new Headers({ accept: path.startsWith("/api/live") ? "text/event-stream" : "application/json" });
  if (token.value !== undefined) headers.set("authorization", `Bearer ${token.value}`);
  // Headers take bytes; the API reads them as UTF-8.
  if (actor.value !== "") headers.set("x-crossfade-user", String.fromCharCode(...new TextEncoder().encode(actor.value)));
  if (body !== undefined) headers.set("content-type", "application/json");
  if (ifRevision !== undefined) headers.set("if-match", `"${ifRevision}"`);
  try {
    return await fetch(path, {
      method,
      headers,
      cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    return unreachable(error);
  }
}

export async function refusalOf(response: Response): Promise<Refusal> {
  const told: Partial<Refusal> = await response
    .json()
    .then((read: unknown) => (typeof read === "object" && read !== null ? read : {}))
    .catch(() => ({}));
  return {
    status: response.status,
    code: told.code ?? "unknown",
    title: told.title ?? response.statusText,
    detail: told.detail ?? "",
    errors: told.errors ?? [],
    current: told.current,
  };
}

function unreachable(error: unknown): Refusal {
  const detail = error instanceof Error ? error.message : String(error);
  return { status: 0, code: "unreachable", title: "", detail, errors: [], current: undefined };
}

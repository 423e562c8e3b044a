import { batch, effect } from "@preact/signals";
import type { LivePoint, LiveView } from "../../admin/live/view.ts";
import type { FlagStatus } from "../../admin/operations.ts";
import { ask, type Refusal, refusalOf, send } from "../api.ts";
import { length } from "../i18n.ts";
import { connection, firstFlag, flagName, token, view } from "../store.ts";
import { t } from "../words.ts";
import { EventReader, type StreamEvent } from "./events.ts";
import { addPoints, resetPoints } from "./points.ts";

/** Waits between tries: doubled each time, and again short once something came. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;
/** A view comes every second and a sign of life every 15 s; after this long without anything the connection is taken to be dead. */
const SILENCE_MS = 20_000;

/** Keeps the page fed for as long as it is open. A change of flag or token begins anew. */
export function startFeed(): void {
  effect(() => {
    const ending = new AbortController();
    void follow(flagName.value, token.value, ending.signal);
    return () => ending.abort();
  });
}

async function follow(flag: string | undefined, _: string | undefined, ended: AbortSignal): Promise<void> {
  let waitMs = FIRST_WAIT_MS;
  if (view.peek() === undefined) connection.value = { state: "connecting" };
  while (!ended.aborted) {
    try {
      const refusal = flag === undefined ? await learnFlags(ended) : await read(flag, ended, () => (waitMs = FIRST_WAIT_MS));
      if (refusal === undefined || ended.aborted) return;
      if (isFinal(refusal)) {
        // What was shown was for somebody who might see it.
        view.value = undefined;
        resetPoints();
        const state = refusal.status === 401 ? "sign-in" : "refused";
        connection.value = { state, refusal };
        return;
      }
      lost(refusal.detail || refusal.title);
    } catch (error) {
      if (ended.aborted) return;
      lost(error instanceof Error ? error.message : String(error));
    }
    await sleep(waitMs, ended);
    waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
  }
}

/** Trying again would bring the same: the caller may not, or there is no such thing. */
function isFinal({ status }: Refusal): boolean {
  return status === 401 || status === 403 || status === 404;
}

function lost(why: string): void {
  unseen = undefined;
  const before = connection.peek();
  connection.value = { state: "reconnecting", since: before.state === "reconnecting" ? before.since : Date.now(), why };
}

/** Undefined: the flag is chosen, and whoever follows it begins anew. */
async function learnFlags(ended: AbortSignal): Promise<Refusal | undefined> {
  const answer = await ask<{ readonly flags: readonly FlagStatus[] }>("/api/flags", { signal: ended });
  if (!answer.ok) return answer.refusal;
  const first = firstFlag(answer.data.flags);
  if (first === undefined) return { status: 404, code: "no-flags", title: "", detail: "", errors: [], current: undefined };
  flagName.value = first;
  return undefined;
}

/** Reads until the stream ends; resolves with why, or rejects. */
async function read(flag: string, ended: AbortSignal, onEvent: () => void): Promise<Refusal> {
  const silent = new AbortController();
  const stop = (): void => silent.abort();
  ended.addEventListener("abort", stop);
  let alarm = setTimeout(stop, SILENCE_MS);
  try {
    const response = await send(`/api/live?flag=${encodeURIComponent(flag)}`, { signal: silent.signal });
    if (!(response instanceof Response)) return response;
    if (!response.ok || response.body === null) return await refusalOf(response);
    const events = new EventReader();
    const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return unanswered(t("live.ended"));
      clearTimeout(alarm);
      alarm = setTimeout(stop, SILENCE_MS);
      if (ended.aborted) break;
      const came = events.read(value);
      if (came.length > 0) onEvent();
      batch(() => came.forEach(take));
    }
    return unanswered(t("live.ended"));
  } catch (error) {
    if (ended.aborted || !silent.signal.aborted) throw error;
    return unanswered(t("live.silent", { length: length(SILENCE_MS) }));
  } finally {
    clearTimeout(alarm);
    ended.removeEventListener("abort", stop);
    stop();
  }
}

function unanswered(detail: string): Refusal {
  return { status: 0, code: "unreachable", title: "", detail, errors: [], current: undefined };
}

/** The newest view that came while nobody could see the page: it is not even read. */
let unseen: string | undefined;
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && unseen !== undefined) takeView(unseen);
});

function takeView(data: string): void {
  unseen = undefined;
  view.value = JSON.parse(data) as LiveView;
  if (connection.peek().state !== "live") connection.value = { state: "live" };
}

function take({ name, data }: StreamEvent): void {
  // What the stream says is what the program of the same build wrote.
  if (name === "view") {
    if (document.hidden) unseen = data;
    else takeView(data);
  } else if (name === "point") addPoints([JSON.parse(data) as LivePoint]);
  else if (name === "history") {
    resetPoints();
    addPoints(JSON.parse(data) as readonly LivePoint[]);
  }
}

function sleep(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ended.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

import { computed, signal } from "@preact/signals";
import type { FlagStatus } from "../admin/operations.ts";
import type { LiveView } from "../admin/live/view.ts";
import type { Refusal } from "./api.ts";
import { recall, recallHere, remember, rememberHere } from "./keep.ts";

/** What the page knows. Components read these; only the feed and people's choices write them. */

export type Connection =
  | { readonly state: "connecting" }
  | { readonly state: "live" }
  /** Epoch milliseconds of this browser. What is shown is as old as that. */
  | { readonly state: "reconnecting"; readonly since: number; readonly why: string }
  | { readonly state: "sign-in"; readonly refusal: Refusal }
  /** The API will not have this page; trying again would change nothing. */
  | { readonly state: "refused"; readonly refusal: Refusal };

export const connection = signal<Connection>({ state: "connecting" });
/** Undefined until the first one came. Replaced once a second. */
export const view = signal<LiveView | undefined>(undefined);
/** What is shown is no longer what is. */
export const isStale = computed(() => connection.value.state !== "live");

const KEPT_FLAG = "crossfade.flag";
/** Undefined: not known yet which there are. */
export const flagName = signal<string | undefined>(undefined);

/** The flag to begin with: the last one looked at, if there still is such a one. */
export function firstFlag(flags: readonly Pick<FlagStatus, "flag">[]): string | undefined {
  const kept = recall(KEPT_FLAG);
  return (flags.find(({ flag }) => flag === kept) ?? flags[0])?.flag;
}

export function chooseFlag(name: string): void {
  remember(KEPT_FLAG, name);
  view.value = undefined;
  flagName.value = name;
}

const KEPT_TOKEN = "crossfade.token";
/** Until the tab is closed. */
export const token = signal<string | undefined>(recallHere(KEPT_TOKEN));

export function signIn(given: string | undefined): void {
  rememberHere(KEPT_TOKEN, given);
  token.value = given;
}

const KEPT_ACTOR = "crossfade.actor";
/** Who acts, for the audit, where no token says it; "" while nobody said. */
export const actor = signal(recall(KEPT_ACTOR) ?? "");

export function nameActor(name: string): void {
  remember(KEPT_ACTOR, name);
  actor.value = name;
}

import { createHmac, timingSafeEqual } from "node:crypto";
import type { Language } from "../incidents/incident.ts";
import type { Notice } from "./notice.ts";

/** Links by which a notice is acknowledged. Whoever has one may use it: the signature is the proof. */

/** How long a link is good for. */
const LINK_MS = 7 * 86_400_000;

export interface LinkParts {
  /** Base of the admin address as people reach it, without a closing slash. */
  readonly url: string;
  readonly key: Uint8Array;
  /** Who is told: the name of the channel. */
  readonly by: string;
  readonly language: Language;
}

export function ackLink(notice: Pick<Notice, "id" | "openedAt">, { url, key, by, language }: LinkParts, now: number): string {
  const until = now + LINK_MS;
  const query = new URLSearchParams({ by, until: String(until), sig: signature(key, notice, by, until), lang: language });
  return `${url}/notices/${encodeURIComponent(notice.id)}/ack?${query.toString()}`;
}

/** Whom a link was made for, if it is one of ours for this notice. */
export function readLink(
  notice: Pick<Notice, "id" | "openedAt">,
  query: URLSearchParams,
  key: Uint8Array,
  now: number,
): { readonly by: string } | "expired" | "wrong" {
  const by = query.get("by") ?? "";
  const until = query.get("until") ?? "";
  if (!/^\d{1,16}$/.test(until)) return "wrong";
  const wanted = Buffer.from(signature(key, notice, by, Number(until)));
  const given = Buffer.from(query.get("sig") ?? "");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return "wrong";
  return now > Number(until) ? "expired" : { by };
}

/** The instant is among what is signed: a number may come again after all notices were lost. */
function signature(key: Uint8Array, { id, openedAt }: Pick<Notice, "id" | "openedAt">, by: string, until: number): string {
  return createHmac("sha256", key)
    .update(JSON.stringify(["acknowledge", id, openedAt, by, until]))
    .digest("base64url");
}

/** The key of links, of a secret that may sign other things too. */
export function linkKey(secret: Uint8Array | string): Uint8Array {
  return createHmac("sha256", secret).update("crossfade notice links").digest();
}

import type { WebhookChannel } from "../../config/config-told.ts";
import { post } from "../../controller/web-post.ts";
import { outcomeOf } from "./answer.ts";
import { secretsOf } from "./hidden.ts";
import type { Message, Send } from "./message.ts";

/** What a webhook is sent. */
export interface WebhookBody {
  /** As `X-Crossfade-Delivery`: equal in what is sent a second time. */
  readonly delivery: string;
  /** ISO 8601, as `X-Crossfade-Timestamp`. It is under the signature, so an old message cannot be passed off as a new one. */
  readonly at: string;
  readonly part: string;
  readonly index: number;
  /** From 1. */
  readonly try: number;
  readonly notice: Message["notice"];
  readonly subject: string;
  readonly text: string;
  readonly acknowledge: string | null;
}

/** JSON by POST, signed as hooks are. */
export function createWebhookSend({ url, headers, secret, timeoutMs }: WebhookChannel): Send {
  const values = Object.values(headers).flatMap((value) => [value, ...value.split(" ")]);
  const secrets = [...secretsOf(url), ...values, ...(secret === undefined ? [] : [secret])];
  return async (message, signal) => {
    const stamp = new Date(message.at).toISOString();
    const own = { "x-crossfade-delivery": message.id, "x-crossfade-timestamp": stamp };
    const body = JSON.stringify(bodyOf(message, stamp));
    return outcomeOf(await post({ url, headers: { ...headers, ...own }, secret, timeoutMs }, body, signal), secrets, message.at);
  };
}

function bodyOf({ id, words, notice, delivery, link }: Message, at: string): WebhookBody {
  const { part, index, tries } = delivery;
  const { subject, text } = words;
  return { delivery: id, at, part, index, try: tries + 1, notice: plainNotice(notice), subject, text, acknowledge: link ?? null };
}

/** Without what is kept beside it. */
function plainNotice(notice: Message["notice"]): Message["notice"] {
  const { id, kind, severity, group, flag, facts, openedAt, lastAt, count, acknowledged, resolvedAt, levels } = notice;
  return { id, kind, severity, group, flag, facts, openedAt, lastAt, count, acknowledged, resolvedAt, levels };
}

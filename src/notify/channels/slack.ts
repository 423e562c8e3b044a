import type { SlackChannel } from "../../config/config-told.ts";
import { post } from "../../controller/web-post.ts";
import { outcomeOf } from "./answer.ts";
import { secretsOf } from "./hidden.ts";
import type { Send } from "./message.ts";

/** An incoming webhook of Slack, or of what understands the same. */
export function createSlackSend({ url, timeoutMs }: SlackChannel): Send {
  const secrets = secretsOf(url);
  return async ({ id, words, at }, signal) => {
    const body = JSON.stringify({ text: words.slack, unfurl_links: false, unfurl_media: false });
    const headers = { "x-crossfade-delivery": id };
    return outcomeOf(await post({ url, headers, secret: undefined, timeoutMs }, body, signal), secrets, at);
  };
}

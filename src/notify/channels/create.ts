import type { Channel } from "../../config/config-told.ts";
import { createEmailSend } from "./email.ts";
import type { Send } from "./message.ts";
import { createSlackSend } from "./slack.ts";
import { createWebhookSend } from "./webhook.ts";

export function createSend(channel: Channel): Send {
  switch (channel.kind) {
    case "slack":
      return createSlackSend(channel);
    case "email":
      return createEmailSend(channel);
    case "webhook":
      return createWebhookSend(channel);
  }
}

import { isObject, textAt } from "./json.ts";
import { closeServer, Inbox, listen, serveInbox, type Sink, urlOf } from "./sink.ts";
import { parseJson } from "./service.ts";

export interface SlackOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** 0, the default, lets the system choose. */
  readonly port?: number;
}

/** Stands in for Slack's incoming webhooks: takes what is posted to any path, and shows it. */
export async function startSlackSink({ host = "127.0.0.1", port = 0 }: SlackOptions = {}): Promise<Sink> {
  const inbox = new Inbox();
  const server = serveInbox(inbox, "What Slack was told", (body) => {
    const parsed = parseJson(body);
    if (parsed === undefined || !isObject(parsed.value) || textAt(parsed.value, "text") === "") return false;
    const text = textAt(parsed.value, "text");
    inbox.add({ subject: text.split("\n", 1)[0] ?? "", text, to: ["#war-room"] });
    return true;
  });
  const bound = await listen(server, host, port);
  const close = (): Promise<void> => closeServer(server);
  return {
    url: urlOf(host, bound),
    port: bound,
    get told() {
      return inbox.told;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

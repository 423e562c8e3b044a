import { type ClientRequest, type IncomingMessage, request } from "node:http";
import type { LivePoint, LiveView } from "../../src/admin/live/view.ts";
import { type Scope, until } from "./backend.ts";

/** What has come; numbers that are NaN arrive as null. */
export interface Viewer {
  readonly response: IncomingMessage;
  readonly history: readonly LivePoint[] | undefined;
  readonly views: readonly LiveView[];
  readonly points: readonly LivePoint[];
  /** Everything that came, as it came. */
  readonly text: () => string;
  readonly isOver: boolean;
  /** The first view from now on of which this holds. */
  next(what: string, holds: (view: LiveView) => boolean, limitMs?: number): Promise<LiveView>;
  leave(): void;
}

export interface Looking {
  readonly flag?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Somebody who looks at the live view of an instance. */
export async function openLive(scope: Scope, port: number, { flag = "move", headers = {} }: Looking = {}): Promise<Viewer> {
  let sent: ClientRequest | undefined;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    sent = request({ host: "127.0.0.1", port, path: `/api/live?flag=${flag}`, headers, agent: false }, resolve);
    sent.on("error", reject).end();
  });
  scope.teardown(() => sent?.destroy());
  const views: LiveView[] = [];
  const points: LivePoint[] = [];
  let history: readonly LivePoint[] | undefined;
  let text = "";
  let taken = 0;
  let isOver = false;
  response.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf("\n\n", taken); end >= 0; end = text.indexOf("\n\n", taken)) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(text.slice(taken, end)) ?? [];
      taken = end + 2;
      if (data === undefined) continue;
      if (name === "view") views.push(JSON.parse(data));
      else if (name === "point") points.push(JSON.parse(data));
      else history = JSON.parse(data);
    }
  });
  response.once("close", () => (isOver = true)).on("error", () => {});
  return {
    response,
    views,
    points,
    get history() {
      return history;
    },
    get isOver() {
      return isOver;
    },
    text: () => text,
    async next(what, holds, limitMs = 30_000) {
      const from = views.length;
      await until(what, () => views.slice(from).some(holds), limitMs);
      const found = views.slice(from).find(holds);
      if (found === undefined) throw new Error(what);
      return found;
    },
    leave: () => void sent?.destroy(),
  };
}

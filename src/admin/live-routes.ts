import { type Call, requireFlag, requireParameters, type Answer, type FileAnswer, type StreamAnswer } from "./call.ts";
import { requireOwnOrigin } from "./guard.ts";
import { Problem } from "./problem.ts";
import type { AdminRoute } from "./route.ts";

export const LIVE_ROUTES: readonly AdminRoute[] = [
  { method: "GET", path: "/", open: "page", html: true, about: "the dashboard, for browsers", handle: page },
  { method: "GET", path: "/assets/{file}", open: "page", about: "its files", handle: asset },
  { method: "GET", path: "/api/live", open: false, about: "?flag= everything, every second, as server-sent events", handle: live },
];

function page(call: Call): Answer | FileAnswer {
  return call.pages.page(call.headers);
}

function asset(call: Call): FileAnswer {
  const name = call.named["file"] ?? "";
  const found = call.pages.asset(name, call.headers);
  if (found === undefined)
    throw new Problem("unknown-path", `The dashboard has no file ${JSON.stringify(name.slice(0, 100))}; load its page again.`);
  return found;
}

function live(call: Call): StreamAnswer {
  requireParameters(call, ["flag"]);
  const { flag } = requireFlag(call);
  // Another's page could not read it, but would take the place of those who may.
  requireOwnOrigin(call.headers);
  call.live.requireRoom();
  return {
    status: 200,
    contentType: "text/event-stream; charset=utf-8",
    // Whoever stands between must neither keep it nor wait for more of it; and when it ends, nothing else comes on this connection.
    headers: { "cache-control": "no-store, no-transform", "x-accel-buffering": "no", connection: "close" },
    stream: (response) => call.live.add(flag, response),
  };
}

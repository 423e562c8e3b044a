import { type Answer, type Call, json, requireFlag, requireParameters } from "./call.ts";
import { fault, parseReason, refuse, refuseOthers, requireObject } from "./change-request.ts";
import { Refused } from "../controller/desk.ts";
import type { LinkCheck } from "../notify/operations.ts";
import { type AckPage, ackPage } from "./notice-page.ts";
import type { Fault } from "./problem.ts";
import type { AdminRoute } from "./route.ts";

/** A channel may take a minute to answer. */
const TEST_MS = 75_000;

export const NOTICE_ROUTES: readonly AdminRoute[] = [
  { method: "GET", path: "/api/notices", open: false, about: "?flag= what people were told of, over which channels", handle: list },
  {
    method: "POST",
    path: "/api/notices/{id}/ack",
    open: false,
    about: "somebody looks after it, nobody else is called: {reason}",
    handle: acknowledge,
  },
  {
    method: "POST",
    path: "/api/notices/test",
    open: false,
    timeoutMs: TEST_MS,
    about: "send a message to one channel: {channel}",
    handle: test,
  },
  // The signature of the link is the proof, so whoever was told needs no token. Scanners of mail follow links: only the button acknowledges.
  { method: "GET", path: "/notices/{id}/ack", open: true, about: "the page behind the link of a message", handle: showLink },
  // Anybody may send this: nobody without a right makes all views anew before the next second.
  { method: "POST", path: "/notices/{id}/ack", open: true, quiet: true, about: "its button", handle: followLink },
];

async function list(call: Call): Promise<Answer> {
  requireParameters(call, ["flag"]);
  const flag = call.query.has("flag") ? requireFlag(call).flag : undefined;
  await call.operations.notices.refresh();
  return json(call.operations.notices.view(flag));
}

async function acknowledge(call: Call): Promise<Answer> {
  const faults: Fault[] = [];
  const body = await call.body();
  const { reason, ...rest } = body === undefined ? {} : requireObject(body, '{"reason": "..."}');
  refuseOthers(rest, [], "the only member is reason", faults);
  const why = parseReason(reason, faults);
  refuse(faults);
  // Browsers say so of themselves, and no page can leave it out.
  const via = call.headers["sec-fetch-site"] === undefined ? "cli" : "dashboard";
  return json(await call.operations.notices.acknowledge(call.named["id"] ?? "", { who: call.who, reason: why }, via));
}

async function test(call: Call): Promise<Answer> {
  const faults: Fault[] = [];
  const { channel, ...rest } = requireObject(await call.body(), '{"channel": "ops-slack"}');
  refuseOthers(rest, [], "the only member is channel", faults);
  if (typeof channel !== "string" || channel === "") faults.push(fault("channel", channel ?? null, "is not the name of a channel"));
  refuse(faults);
  return json(await call.operations.notices.test(String(channel), call.who));
}

async function showLink(call: Call): Promise<Answer> {
  const check = await checked(call);
  if (check.kind !== "good") return page(call, { kind: check.kind });
  const { notice, subject } = check;
  if (notice.acknowledged !== undefined)
    return page(call, { kind: "before", subject, by: notice.acknowledged.by, at: notice.acknowledged.at });
  if (notice.resolvedAt !== undefined) return page(call, { kind: "over", subject, at: notice.resolvedAt });
  return page(call, { kind: "ask", subject });
}

async function followLink(call: Call): Promise<Answer> {
  const check = await checked(call);
  if (check.kind !== "good") return page(call, { kind: check.kind });
  try {
    const { id } = check.notice;
    const { acknowledged } = await call.operations.notices.acknowledge(id, { who: check.by, reason: "by the link of a message" }, "link");
    const isOurs = check.notice.acknowledged === undefined && acknowledged?.by === check.by;
    return isOurs ? page(call, { kind: "done", subject: check.subject }) : showLink(call);
  } catch (error) {
    // It is over, and the page says since when.
    if (error instanceof Refused) return showLink(call);
    return page(call, { kind: "failed", subject: check.subject });
  }
}

/** What went wrong inside must not reach the log with the address, which is a key. */
async function checked(call: Call): Promise<LinkCheck> {
  return call.operations.notices.checkLink(call.named["id"] ?? "", call.query).catch((): LinkCheck => ({ kind: "wrong" }));
}

function page(call: Call, shown: AckPage): Answer {
  return ackPage(shown, call.query.get("lang") === "fr" ? "fr" : "en", call.named["id"] ?? "");
}

import { SPANS, type Span } from "../analysis/windows-summary.ts";
import type { Act } from "../controller/desk.ts";
import { type Answer, author, type Call, json, parseCount, requireFlag, requireParameters } from "./call.ts";
import { nearest } from "../config/problem.ts";
import { parseActRequest } from "./act-request.ts";
import { Problem } from "./problem.ts";
import type { AdminRoute } from "./route.ts";

/** Plans are longer than settings. */
const PLAN_BYTES = 256 * 1_024;
const EVENT_BYTES = 1_024 * 1_024;
/** A drill runs every hook, each within its own limit. */
const DRILL_MS = 900_000;

export const ROLLOUT_ROUTES: readonly AdminRoute[] = [
  { method: "GET", path: "/api/rollout/{flag}", open: false, about: "plan, step, gates, triggers, who leads", handle: status },
  {
    method: "POST",
    path: "/api/rollout/{flag}/start",
    open: false,
    bodyBytes: PLAN_BYTES,
    about: "begin a plan: {plan, reason, force}",
    handle: start,
  },
  { method: "POST", path: "/api/rollout/{flag}/approve", open: false, about: "let it leave its step: {role, reason}", handle: approve },
  {
    method: "POST",
    path: "/api/rollout/{flag}/pause",
    open: false,
    about: "hold it: {reason}",
    handle: (call) => act(call, { kind: "pause" }),
  },
  {
    method: "POST",
    path: "/api/rollout/{flag}/resume",
    open: false,
    about: "let it go on, or begin anew at {step} after a rollback: {reason}",
    handle: resume,
  },
  {
    method: "POST",
    path: "/api/rollout/{flag}/advance",
    open: false,
    about: "to the next step without its gates: {reason}",
    handle: (call) => act(call, { kind: "advance" }),
  },
  {
    method: "POST",
    path: "/api/rollout/{flag}/rollback",
    open: false,
    about: "everybody to the stable arm, then the hooks: {reason}",
    handle: (call) => act(call, { kind: "rollback" }),
  },
  {
    method: "POST",
    path: "/api/rollout/{flag}/drill",
    open: false,
    timeoutMs: DRILL_MS,
    about: "rehearse a rollback: {live, reason}",
    handle: drill,
  },
  { method: "GET", path: "/api/rollout/{flag}/figures", open: false, about: `?span= of both arms: ${SPANS.join(", ")}`, handle: figures },
  {
    method: "GET",
    path: "/api/rollout/{flag}/experiment",
    open: false,
    about: "candidate against stable, with intervals",
    handle: experiment,
  },
  { method: "GET", path: "/api/rollout/{flag}/record", open: false, about: "?after=&count= recorded figures, for replay", handle: record },
  {
    method: "POST",
    path: "/api/events",
    open: false,
    quiet: true,
    bodyBytes: EVENT_BYTES,
    about: "?flag= feedback of users: {events: [...]}",
    handle: events,
  },
];

async function status(call: Call): Promise<Answer> {
  const { flag } = requireFlag(call);
  return json(await call.operations.rollouts.status(flag));
}

async function start(call: Call): Promise<Answer> {
  const { flag } = requireFlag(call);
  const { plan, reason, force, waitMs } = parseActRequest(await call.body(), ["plan", "force"]);
  if (plan === undefined) throw new Problem("malformed-request", "Send the text of a plan file as `plan`.");
  return json(await call.operations.rollouts.start(flag, plan, author(call, reason), force, waitMs));
}

async function approve(call: Call): Promise<Answer> {
  const { role } = parseActRequest(await call.body(), ["role"]);
  const { roles } = call;
  // Two people who must both approve are two only if neither can be both.
  if (roles === undefined && call.operations.config.admin.people.length > 0)
    throw new Problem("forbidden", "Where people have tokens of their own, an approval takes one: send yours as the bearer token.");
  if (role === undefined && (roles === undefined || roles.length !== 1))
    throw new Problem(
      "malformed-request",
      `Say in which role you approve, as \`role\`${roles === undefined ? "" : `: ${roles.join(", ") || "you have none"}`}.`,
    );
  const chosen = role ?? roles?.[0] ?? "";
  if (roles !== undefined && !roles.includes(chosen)) {
    const near = nearest(chosen, roles);
    throw new Problem(
      "forbidden",
      `You do not have the role ${JSON.stringify(chosen)}${near === undefined ? "" : `; did you mean ${near}?`} Yours: ${roles.join(", ") || "none"}.`,
    );
  }
  return act(call, { kind: "approve", role: chosen });
}

async function resume(call: Call): Promise<Answer> {
  const { step } = parseActRequest(await call.body(), ["step"]);
  return act(call, { kind: "resume", step });
}

async function act(call: Call, what: Act): Promise<Answer> {
  const { flag } = requireFlag(call);
  const { reason, waitMs } = parseActRequest(await call.body(), ["role", "step"]);
  return json(await call.operations.rollouts.act(flag, what, author(call, reason), waitMs));
}

async function drill(call: Call): Promise<Answer> {
  const { flag } = requireFlag(call);
  const { reason, live } = parseActRequest(await call.body(), ["live"]);
  return json(await call.operations.rollouts.drill(flag, live, author(call, reason)));
}

async function figures(call: Call): Promise<Answer> {
  requireParameters(call, ["span"]);
  const { flag } = requireFlag(call);
  return json(await call.operations.rollouts.figures(flag, parseSpan(call.query.get("span"))));
}

function parseSpan(text: string | null): Span {
  if (text === null) return "1m";
  const span = SPANS.find((known) => known === text);
  if (span === undefined) throw new Problem("malformed-request", `span: ${JSON.stringify(text)} is not one of ${SPANS.join(", ")}.`);
  return span;
}

async function experiment(call: Call): Promise<Answer> {
  requireParameters(call, []);
  const { flag } = requireFlag(call);
  return json(await call.operations.rollouts.experiment(flag));
}

async function record(call: Call): Promise<Answer> {
  requireParameters(call, ["after", "count"]);
  const { flag } = requireFlag(call);
  const after = call.query.get("after") ?? "";
  if (after !== "" && !/^\d{1,15}-\d{1,15}$/.test(after))
    throw new Problem("malformed-request", `after: ${JSON.stringify(after)} is not the id of an entry, such as 1790000000000-0.`);
  const count = parseCount("count", call.query.get("count"), 500, 5_000);
  return json({ flag, entries: await call.operations.rollouts.recorded(flag, after, count) });
}

async function events(call: Call): Promise<Answer> {
  requireParameters(call, ["flag"]);
  const { flag } = requireFlag(call);
  const report = await call.operations.takeEvents(flag, await call.body(), call.who);
  return json(report, report.refused.length > 0 && report.accepted + report.duplicates === 0 ? 422 : 200);
}

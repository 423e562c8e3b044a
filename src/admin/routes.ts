import {
  type Answer,
  type Call,
  author,
  json,
  parseCount,
  parseIfMatch,
  parsePercentage,
  requireFlag,
  requireParameters,
  requireSegment,
} from "./call.ts";
import { parseChange, parseKill } from "./change-request.ts";
import { viewFlag } from "./flag-view.ts";
import { INCIDENT_ROUTES } from "./incident-routes.ts";
import { NOTICE_ROUTES } from "./notice-routes.ts";
import { Problem } from "./problem.ts";
import { LIVE_ROUTES } from "./live-routes.ts";
import { ROLLOUT_ROUTES } from "./rollout-routes.ts";
import type { AdminRoute } from "./route.ts";
import { STATUS_ROUTES } from "./status-routes.ts";
import { SLA_ROUTES } from "./sla-routes.ts";

/** Everything that the admin address answers, in the order in which it is listed. */
export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...LIVE_ROUTES,
  { method: "GET", path: "/api", open: false, about: "this list", handle: index },
  { method: "GET", path: "/", open: false, about: "this list, for those that do not ask for text/html", handle: index },
  { method: "GET", path: "/healthz", open: true, about: "200 while the program is alive", handle: () => json({ alive: true }) },
  {
    method: "GET",
    path: "/readyz",
    open: true,
    about: "200 when requests can be served, else 503; why, and what is degraded",
    handle: readyz,
  },
  { method: "GET", path: "/metrics", open: false, about: "the figures, for Prometheus", handle: metrics },
  {
    method: "GET",
    path: "/api/status",
    open: false,
    about: "listeners, workers, upstreams, store, flags, traffic",
    handle: (call) => json(call.operations.status()),
  },
  {
    method: "GET",
    path: "/api/flags",
    open: false,
    about: "every flag in short",
    handle: (call) => json({ flags: call.operations.status().flags }),
  },
  { method: "GET", path: "/api/flags/{flag}", open: false, about: "settings in force, instances, refused values", handle: readFlag },
  {
    method: "PATCH",
    path: "/api/flags/{flag}",
    open: false,
    about: "change settings: {fields, reason, wait}; If-Match: revision",
    handle: changeFlag,
  },
  {
    method: "POST",
    path: "/api/flags/{flag}/kill",
    open: false,
    about: "everybody to the stable arm: {killed, reason, wait}",
    handle: kill,
  },
  { method: "GET", path: "/api/explain", open: false, about: "?flag=&user=&segment=&at= which arm, and why", handle: explain },
  { method: "GET", path: "/api/audit", open: false, about: "?flag=&count= who changed what, and why", handle: audit },
  ...ROLLOUT_ROUTES,
  ...NOTICE_ROUTES,
  ...INCIDENT_ROUTES,
  ...STATUS_ROUTES,
  ...SLA_ROUTES,
];

export interface Found {
  readonly route: AdminRoute;
  /** What stood in the places of the path's `{name}`s, by name. */
  readonly named: Readonly<Record<string, string>>;
}

/** The route of a request. HEAD is GET without the body. Throws the {@link Problem} of an unknown path or method. */
export function findRoute(method: string, path: string, accept = ""): Found {
  const isBrowser = /\btext\/html\b/i.test(accept);
  const matches = ADMIN_ROUTES.flatMap((route): Found[] => {
    if (route.html === true && !isBrowser) return [];
    const match = matchPath(route.path, path);
    return match === undefined ? [] : [{ route, named: match }];
  });
  if (matches.length === 0)
    throw new Problem("unknown-path", `Nothing answers at ${JSON.stringify(path.slice(0, 200))}; GET /api lists what does.`);
  const wanted = method === "HEAD" ? "GET" : method;
  const found = matches.find(({ route }) => route.method === wanted);
  if (found) return found;
  const allowed = matches.flatMap(({ route }) => (route.method === "GET" ? ["GET", "HEAD"] : [route.method])).join(", ");
  throw new Problem("method-not-allowed", `${path} takes ${allowed}, not ${method}.`, {}, { allow: allowed });
}

function matchPath(pattern: string, path: string): Readonly<Record<string, string>> | undefined {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return undefined;
  const named: [string, string][] = [];
  for (const [i, part] of given.entries()) {
    const name = /^\{(\w+)\}$/.exec(wanted[i] ?? "")?.[1];
    if (name !== undefined && part !== "") named.push([name, part]);
    else if (wanted[i] !== part) return undefined;
  }
  // Only of the path that is meant: another one's coding is nobody's fault.
  return Object.fromEntries(named.map(([name, part]) => [name, decode(part)]));
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new Problem("malformed-request", `${JSON.stringify(part)} in the path is not percent-encoded UTF-8.`, {}, {}, error);
  }
}

function index(call: Call): Answer {
  const lines = ADMIN_ROUTES.map((route) => `${route.method.padEnd(6)} ${route.path.padEnd(33)} ${route.about}`);
  const { instance, version } = call.operations;
  return {
    status: 200,
    contentType: "text/plain; charset=utf-8",
    text: `crossfade ${version}, instance ${instance}\n\n${lines.join("\n")}\n`,
    headers: {},
  };
}

function readyz(call: Call): Answer {
  const { ready, degraded, reasons } = call.operations.readiness();
  return json({ ready, degraded, reasons }, ready ? 200 : 503);
}

async function metrics(call: Call): Promise<Answer> {
  const { text, contentType } = await call.operations.metrics();
  return { status: 200, contentType, text, headers: {} };
}

async function readFlag(call: Call): Promise<Answer> {
  const state = requireFlag(call);
  return json(await viewFlag(call.operations, state), 200, { etag: `"${state.revision}"` });
}

async function changeFlag(call: Call): Promise<Answer> {
  const { flag } = requireFlag(call);
  const ifRevision = parseIfMatch(call.ifMatch);
  const { fields, reason, waitMs } = parseChange(await call.body());
  const receipt = await call.operations.change(flag, fields, author(call, reason), { ifRevision, waitMs });
  return json(receipt, 200, { etag: `"${receipt.revision}"` });
}

async function kill(call: Call): Promise<Answer> {
  const { flag } = requireFlag(call);
  const { killed, reason, waitMs } = parseKill(await call.body());
  const receipt = await call.operations.kill(flag, killed, author(call, reason), waitMs);
  return json(receipt, 200, { etag: `"${receipt.revision}"` });
}

function explain(call: Call): Answer {
  requireParameters(call, ["flag", "user", "segment", "at"]);
  const state = requireFlag(call);
  const user = call.query.get("user");
  if (!user) throw new Problem("malformed-request", "Say whom with ?user=ID.");
  const segment = requireSegment(call.query.get("segment"), state);
  const atBp = parsePercentage("at", call.query.get("at"));
  return json(call.operations.explain({ flag: state.flag, user, segment, atBp }));
}

async function audit(call: Call): Promise<Answer> {
  requireParameters(call, ["flag", "count"]);
  const { flag } = requireFlag(call);
  const count = parseCount("count", call.query.get("count"), 50, 1_000);
  return json({ flag, entries: await call.operations.store.audit(flag, count) });
}

import { type Answer, type Call, json, requireFlag, requireParameters } from "./call.ts";
import type { AdminRoute } from "./route.ts";

export const SLA_ROUTES: readonly AdminRoute[] = [
  { method: "GET", path: "/api/sla", open: false, about: "?flag= what was promised, and what is kept of it", handle: view },
  { method: "GET", path: "/api/sla/report", open: false, about: "?flag= the same with every breach, for a report", handle: report },
];

function view(call: Call): Answer {
  requireParameters(call, ["flag"]);
  return json(call.operations.sla.view(requireFlag(call).flag));
}

function report(call: Call): Answer {
  requireParameters(call, ["flag"]);
  return json(call.operations.sla.report(requireFlag(call).flag));
}

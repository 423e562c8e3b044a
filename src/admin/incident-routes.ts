import type { Board } from "../incidents/incident.ts";
import { UnknownEntry } from "../incidents/desk.ts";
import { StoreUnavailable } from "../store/store.ts";
import { type Answer, type Call, json, requireParameters } from "./call.ts";
import { parseIncident, parseMaintenance, parseUpdate } from "./incident-request.ts";
import { Problem } from "./problem.ts";
import type { AdminRoute } from "./route.ts";

export const INCIDENT_ROUTES: readonly AdminRoute[] = [
  { method: "GET", path: "/api/incidents", open: false, about: "incidents and announced maintenance, as customers are told", handle: list },
  {
    method: "POST",
    path: "/api/incidents",
    open: false,
    about: "tell customers: {title, text, priority, impact, state}; texts may be {en, fr}",
    handle: open,
  },
  {
    method: "POST",
    path: "/api/incidents/{id}/updates",
    open: false,
    about: "what is known by now: {state, text, impact, priority}",
    handle: update,
  },
  {
    method: "POST",
    path: "/api/maintenance",
    open: false,
    about: "announce work: {title, text, from, to}",
    handle: announce,
  },
  { method: "POST", path: "/api/maintenance/{id}/cancel", open: false, about: "it does not take place", handle: cancel },
];

/** Without a store what is known is better than nothing, and says that it may be old. */
async function list(call: Call): Promise<Answer> {
  requireParameters(call, []);
  const { incidents } = call.operations;
  const answer = ({ incidents: known, maintenance }: Board, current: boolean): Answer => json({ current, incidents: known, maintenance });
  try {
    return answer(await incidents.refresh(), true);
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    return answer(incidents.board(), false);
  }
}

async function open(call: Call): Promise<Answer> {
  return json(await call.operations.incidents.open(parseIncident(await call.body()), call.who), 201);
}

async function update(call: Call): Promise<Answer> {
  const told = parseUpdate(await call.body());
  return json(await found(call.operations.incidents.update(call.named["id"] ?? "", told, call.who)));
}

async function announce(call: Call): Promise<Answer> {
  return json(await call.operations.incidents.announce(parseMaintenance(await call.body(), Date.now()), call.who), 201);
}

async function cancel(call: Call): Promise<Answer> {
  return json(await found(call.operations.incidents.cancel(call.named["id"] ?? "", call.who)));
}

async function found<T>(changed: Promise<T>): Promise<T> {
  try {
    return await changed;
  } catch (error) {
    if (!(error instanceof UnknownEntry)) throw error;
    throw new Problem(
      "unknown-incident",
      `Nothing was changed: ${error.message} GET /api/incidents and \`crossfade incident list\` say what there is.`,
      {},
      {},
      error,
    );
  }
}

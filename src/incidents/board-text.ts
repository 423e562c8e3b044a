import { isOpen } from "./board.ts";
import {
  type Board,
  IMPACTS,
  type Incident,
  INCIDENT_STATES,
  type IncidentUpdate,
  LANGUAGES,
  type Maintenance,
  PRIORITIES,
  type Wording,
} from "./incident.ts";

/** A board as it stands in the store. */

const VERSION = 1;
/** Of the text, in bytes: below what a document may have. Beyond it the oldest that is over goes. */
const MOST_BYTES = 900_000;

/** @throws RangeError where even what is open is too much. */
export function writeBoard(board: Board): { readonly text: string; readonly board: Board } {
  for (let kept = board; ;) {
    const text = JSON.stringify({ version: VERSION, ...kept });
    if (Buffer.byteLength(text) <= MOST_BYTES) return { text, board: kept };
    const oldest = kept.incidents.findLast((incident) => !isOpen(incident));
    if (oldest === undefined) throw new RangeError("the open incidents have more text than is kept; resolve some first");
    kept = { ...kept, incidents: kept.incidents.filter((incident) => incident !== oldest) };
  }
}

/** @throws where it is not what {@link writeBoard} makes. */
export function readBoard(text: string): Board {
  const file = record(JSON.parse(text), "the board");
  if (file["version"] !== VERSION) throw new Error(`the board has version ${String(file["version"])} where ${VERSION} is understood`);
  return {
    next: number(file["next"]),
    incidents: list(file["incidents"]).map(incidentOf),
    maintenance: list(file["maintenance"]).map(maintenanceOf),
  };
}

function incidentOf(value: unknown): Incident {
  const { id, priority, impact, title, openedAt, openedBy, rollout, updates } = record(value, "an incident");
  return {
    id: string(id),
    priority: oneOf(PRIORITIES, priority),
    impact: oneOf(IMPACTS, impact),
    title: wording(title),
    openedAt: number(openedAt),
    openedBy: string(openedBy),
    rollout: rollout === undefined ? undefined : string(rollout),
    updates: list(updates).map(updateOf),
  };
}

function updateOf(value: unknown): IncidentUpdate {
  const { at, state, text, by } = record(value, "an update");
  return { at: number(at), state: oneOf(INCIDENT_STATES, state), text: wording(text), by: string(by) };
}

function maintenanceOf(value: unknown): Maintenance {
  const { id, title, text, from, to, announcedBy, cancelled, changedAt } = record(value, "a maintenance");
  return {
    id: string(id),
    title: wording(title),
    text: wording(text),
    from: number(from),
    to: number(to),
    announcedBy: string(announcedBy),
    cancelled: cancelled === true,
    changedAt: number(changedAt),
  };
}

function wording(value: unknown): Wording {
  const given = record(value, "a text");
  return Object.fromEntries(LANGUAGES.flatMap((language) => (given[language] === undefined ? [] : [[language, string(given[language])]])));
}

function oneOf<const T extends string>(known: readonly T[], value: unknown): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw new Error(`${JSON.stringify(value)} is none of ${known.join(", ")}`);
  return found;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error("a list is missing");
  return value;
}

function number(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Error(`${JSON.stringify(value)} is no number`);
  return value;
}

function string(value: unknown): string {
  if (typeof value !== "string") throw new Error(`${JSON.stringify(value)} is no text`);
  return value;
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${what} is not an object`);
  return Object.fromEntries(Object.entries(value));
}

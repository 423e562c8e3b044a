import {
  type Board,
  type Impact,
  type Incident,
  type IncidentState,
  type IncidentUpdate,
  type Maintenance,
  type Priority,
  stateOf,
  type Wording,
} from "./incident.ts";

/** Changes of the board. All are pure: the board before, what is said and when, the board after. */

export const EMPTY_BOARD: Board = { next: 1, incidents: [], maintenance: [] };

const DAY = 86_400_000;
/** What is over stays for so long. */
export const KEPT_MS = 90 * DAY;
const MOST_UPDATES = 100;
/** That are not over. More at a time are nobody's news. */
export const MOST_OPEN = 50;
export const MOST_TITLE = 200;
export const MOST_TEXT = 2_000;
const LONGEST_MAINTENANCE_MS = 30 * DAY;

/** Who says something, and when. */
export interface Said {
  readonly at: number;
  readonly by: string;
}

export interface NewIncident {
  readonly title: Wording;
  readonly text: Wording;
  readonly priority: Priority;
  readonly impact: Impact;
  readonly state: IncidentState;
  /** Undefined: by a person. */
  readonly rollout: string | undefined;
}

export interface NewUpdate {
  readonly state: IncidentState;
  readonly text: Wording;
  /** Undefined: as it was. */
  readonly impact: Impact | undefined;
  readonly priority: Priority | undefined;
}

export interface NewMaintenance {
  readonly title: Wording;
  readonly text: Wording;
  readonly from: number;
  readonly to: number;
}

/** `missing`: there is nothing of that id. */
export type Changed<T> = { readonly board: Board; readonly made: T } | { readonly refused: string; readonly missing?: boolean };

export function openIncident(board: Board, told: NewIncident, { at, by }: Said): Changed<Incident> {
  if (board.incidents.filter(isOpen).length >= MOST_OPEN)
    return { refused: `there are ${MOST_OPEN} open incidents already; resolve some first` };
  const { title, text, priority, impact, state, rollout } = told;
  const made: Incident = {
    id: `inc-${board.next}`,
    priority,
    impact,
    title,
    openedAt: at,
    openedBy: by,
    rollout,
    updates: [{ at, state, text, by }],
  };
  return { board: tidy({ ...board, next: board.next + 1, incidents: [made, ...board.incidents] }, at), made };
}

/** A resolved one that is updated with another state is open again. */
export function updateIncident(board: Board, id: string, told: NewUpdate, { at, by }: Said): Changed<Incident> {
  const before = board.incidents.find((incident) => incident.id === id);
  if (before === undefined) return { refused: `there is no incident ${JSON.stringify(id)}`, missing: true };
  // Whatever was said of it, that it is over may be said.
  const ends = told.state === "resolved" && isOpen(before);
  if (before.updates.length >= MOST_UPDATES && !ends)
    return { refused: `${id} has ${MOST_UPDATES} updates already; resolve it, and open a new incident` };
  // A clock that was set back does not put the last word before an earlier one.
  const update: IncidentUpdate = { at: Math.max(at, before.updates.at(-1)?.at ?? 0), state: told.state, text: told.text, by };
  const made: Incident = {
    ...before,
    impact: told.impact ?? before.impact,
    priority: told.priority ?? before.priority,
    updates: [...before.updates, update],
  };
  const incidents = board.incidents.map((incident) => (incident.id === id ? made : incident));
  return { board: tidy({ ...board, incidents }, at), made };
}

export function announceMaintenance(board: Board, { title, text, from, to }: NewMaintenance, { at, by }: Said): Changed<Maintenance> {
  if (to <= from) return { refused: "it ends before it begins" };
  if (to <= at) return { refused: "it is over already" };
  if (to - from > LONGEST_MAINTENANCE_MS) return { refused: "it is longer than 30 days" };
  if (board.maintenance.filter((one) => !one.cancelled && one.to > at).length >= MOST_OPEN)
    return { refused: `${MOST_OPEN} are announced already; cancel some first` };
  const made: Maintenance = { id: `mnt-${board.next}`, title, text, from, to, announcedBy: by, cancelled: false, changedAt: at };
  return { board: tidy({ ...board, next: board.next + 1, maintenance: [made, ...board.maintenance] }, at), made };
}

export function cancelMaintenance(board: Board, id: string, { at }: Said): Changed<Maintenance> {
  const before = board.maintenance.find((one) => one.id === id);
  if (before === undefined) return { refused: `there is no maintenance ${JSON.stringify(id)}`, missing: true };
  if (before.cancelled) return { refused: `${id} is cancelled already` };
  if (before.to <= at) return { refused: `${id} is over` };
  const made = { ...before, cancelled: true, changedAt: at };
  return { board: tidy({ ...board, maintenance: board.maintenance.map((one) => (one.id === id ? made : one)) }, at), made };
}

export function isOpen(incident: Incident): boolean {
  return stateOf(incident) !== "resolved";
}

/** When it was last told of. */
export function lastAt({ updates, openedAt }: Incident): number {
  return updates.at(-1)?.at ?? openedAt;
}

/** Forgets what has been over for long. */
function tidy(board: Board, now: number): Board {
  return {
    ...board,
    incidents: board.incidents.filter((incident) => isOpen(incident) || now - lastAt(incident) < KEPT_MS),
    maintenance: board.maintenance.filter(({ to }) => now - to < KEPT_MS),
  };
}

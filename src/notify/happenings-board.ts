import { type Board, type Incident, type IncidentUpdate, type Maintenance, stateOf, type Wording } from "../incidents/incident.ts";
import type { Observed } from "./happenings.ts";
import type { Happening } from "./notice.ts";

/** How far the board was told. */
export interface BoardMemory {
  /** Highest numbers that were seen. */
  readonly incident: number;
  readonly maintenance: number;
  /** Open incidents, and how many of their updates were told. */
  readonly open: Readonly<Record<string, number>>;
  /** Announced work that is neither over nor cancelled. */
  readonly announced: readonly string[];
}

const NOTHING: BoardMemory = { incident: 0, maintenance: 0, open: {}, announced: [] };

export function observeBoard(before: BoardMemory | undefined, board: Board | undefined, at: number): Observed<BoardMemory | undefined> {
  if (board === undefined) return { memory: before, happenings: [] };
  const first = before === undefined;
  const known = before ?? NOTHING;
  const memory: BoardMemory = {
    incident: highest(known.incident, board.incidents),
    maintenance: highest(known.maintenance, board.maintenance),
    open: Object.fromEntries(board.incidents.filter(isOpen).map(({ id, updates }) => [id, updates.length])),
    announced: board.maintenance.filter(({ cancelled, to }) => !cancelled && to > at).map(({ id }) => id),
  };
  const gone = Object.keys(known.open).filter((id) => !board.incidents.some((incident) => incident.id === id));
  return {
    memory,
    happenings: [
      ...board.incidents.flatMap((incident) => incidentTold(incident, known, first)),
      ...gone.map((id): Happening => ({ ...ended, at, group: group(id), facts: { incident: id } })),
      ...(first ? [] : board.maintenance.flatMap((one) => maintenanceTold(one, known))),
    ],
  };
}

const ended = { kind: "incident-resolved", severity: "info", flag: undefined, resolves: true } as const;

function incidentTold(incident: Incident, known: BoardMemory, first: boolean): readonly Happening[] {
  const { id, updates } = incident;
  const told = Object.hasOwn(known.open, id) ? known.open[id] : undefined;
  const isKnown = first || numberOf(id) <= known.incident;
  if (told === undefined && !isOpen(incident) && isKnown) return [];
  // Of one that was over and is open again, what was said before was told before, its end above all.
  const from = told ?? (isKnown ? updates.findLastIndex(({ state }) => state === "resolved") + 1 : 0);
  return updates.slice(from).map((update, i) => (opens(incident, from + i) ? opened(incident, update) : updated(incident, update)));
}

/** The first word, and one after the end: it is a trouble anew. */
function opens({ updates }: Incident, index: number): boolean {
  return index === 0 || (updates[index - 1]?.state === "resolved" && updates[index]?.state !== "resolved");
}

function opened(incident: Incident, update: IncidentUpdate): Happening {
  return {
    kind: "incident-opened",
    severity: severityOf(incident),
    at: update === incident.updates[0] ? incident.openedAt : update.at,
    group: group(incident.id),
    flag: undefined,
    facts: { ...incidentFacts(incident), by: update.by, ...updateFacts(update) },
    resolves: false,
  };
}

/** The rollback itself calls people; its incident must not call them a second time. */
function severityOf({ rollout, priority }: Incident): Happening["severity"] {
  return rollout === undefined ? priority : "info";
}

function updated(incident: Incident, update: IncidentUpdate): Happening {
  const resolves = update.state === "resolved";
  return {
    kind: resolves ? "incident-resolved" : "incident-updated",
    // One that has become worse is to be told to those who hear of what is so bad.
    severity: resolves ? "info" : severityOf(incident),
    at: update.at,
    group: group(incident.id),
    flag: undefined,
    facts: { ...incidentFacts(incident), by: update.by, ...updateFacts(update) },
    resolves,
  };
}

function maintenanceTold(one: Maintenance, known: BoardMemory): readonly Happening[] {
  const fresh = numberOf(one.id) > known.maintenance;
  const cancelled = one.cancelled && known.announced.includes(one.id);
  if (!cancelled && (!fresh || one.cancelled)) return [];
  return [
    {
      kind: "maintenance-announced",
      severity: "info",
      at: one.changedAt,
      group: `maintenance/${one.id}${cancelled ? "/cancelled" : ""}`,
      flag: undefined,
      facts: {
        maintenance: one.id,
        ...worded("title", one.title),
        ...worded("text", one.text),
        from: String(one.from),
        to: String(one.to),
        by: one.announcedBy,
        ...(cancelled ? { cancelled: "true" } : {}),
      },
      resolves: false,
    },
  ];
}

function incidentFacts({ id, title, priority, impact }: Incident): Happening["facts"] {
  return { incident: id, priority, impact, ...worded("title", title) };
}

function updateFacts({ state, text }: IncidentUpdate): Happening["facts"] {
  return { state, ...worded("text", text) };
}

/** One fact a language: `title.en`, `title.fr`. */
function worded(name: string, wording: Wording): Happening["facts"] {
  return {
    ...(wording.en === undefined ? {} : { [`${name}.en`]: wording.en }),
    ...(wording.fr === undefined ? {} : { [`${name}.fr`]: wording.fr }),
  };
}

function isOpen(incident: Incident): boolean {
  return stateOf(incident) !== "resolved";
}

function group(id: string): string {
  return `incident/${id}`;
}

function highest(known: number, numbered: readonly { readonly id: string }[]): number {
  return numbered.reduce((most, { id }) => Math.max(most, numberOf(id)), known);
}

function numberOf(id: string): number {
  const number = Number(/-(\d{1,15})$/.exec(id)?.[1]);
  return Number.isSafeInteger(number) ? number : 0;
}

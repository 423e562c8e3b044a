import type { Rollback, Rollout } from "../controller/rollout.ts";
import { isOpen, lastAt, openIncident, updateIncident } from "./board.ts";
import { type Board, type Incident, type IncidentState, stateOf, type Wording } from "./incident.ts";

/** Incidents that a rollback opens by itself. What customers read says nothing of the rollout, of its figures, or of who noticed. */

/** Who speaks. An incident in which anybody else has spoken is left to people. */
export const AUTOMATIC = "crossfade";

/** A rollback that began longer ago is nobody's news any more: it was told of then, or this program was not there. */
export const NEWS_MS = 3_600_000;

export interface RollbackWorld {
  readonly now: number;
  /** How long all must have been well before it is over; 0: a person says so. */
  readonly resolveAfterMs: number;
  /** Since when requests have been answered as they should be; undefined: they are not. */
  readonly healthySince: number | undefined;
  /** Ids of the rollouts that there are, of all flags. One that goes on after a rollback is another run, with an id of its own. */
  readonly runs: ReadonlySet<string>;
}

const TITLE: Wording = { en: "Disturbance of the service", fr: "Perturbation du service" };
const TEXTS: Readonly<Record<IncidentState, Wording>> = {
  investigating: {
    en: "We have noticed a disturbance and are restoring normal operation. Requests are still being answered.",
    fr: "Nous avons constaté une perturbation et rétablissons le fonctionnement normal. Les requêtes restent traitées.",
  },
  identified: {
    en: "We know what causes the disturbance and are restoring normal operation.",
    fr: "Nous connaissons la cause de la perturbation et rétablissons le fonctionnement normal.",
  },
  monitoring: {
    en: "Normal operation has been restored. We are keeping watch.",
    fr: "Le fonctionnement normal est rétabli. Nous restons vigilants.",
  },
  resolved: {
    en: "There has been no further disturbance. This incident is over.",
    fr: "Aucune autre perturbation n'a été constatée. Cet incident est clos.",
  },
};

/**
 * What the board says after a look at a rollout (undefined: the flag has none); undefined where nothing is to be said. It depends on the board and
 * the rollouts alone, so whoever looks, and however often, each thing is said once: an incident is known by the rollout and the instant at which
 * the rollback began.
 */
export function followRollback(board: Board, rollout: Rollout | undefined, world: RollbackWorld): Board | undefined {
  const rollback = rollout && automaticRollback(rollout);
  if (rollout !== undefined && rollback !== undefined) {
    const known = board.incidents.find((incident) => incident.rollout === rollout.id && incident.openedAt === rollback.at);
    if (known === undefined) return openFor(board, rollout, rollback, world.now);
    const done = rollout.state.status === "rolled-back" && rollback.shift.length === 0;
    if (done && known.updates.length === 1 && isUntouched(known)) return say(board, known, "monitoring", world.now);
  }
  const left = board.incidents.find((incident) => isLeft(incident, world) && stateOf(incident) !== "monitoring");
  if (left !== undefined && world.healthySince !== undefined) return say(board, left, "monitoring", world.now);
  const over = board.incidents.find((incident) => isOver(incident, rollout, world));
  return over && say(board, over, "resolved", world.now);
}

function openFor(board: Board, { id }: Rollout, { at }: Rollback, now: number): Board | undefined {
  if (now - at > NEWS_MS) return undefined;
  const told = {
    title: TITLE,
    text: TEXTS.investigating,
    priority: "P1",
    impact: "degraded",
    state: "investigating",
    rollout: id,
  } as const;
  const opened = openIncident(board, told, { at, by: AUTOMATIC });
  return "refused" in opened ? undefined : opened.board;
}

function say(board: Board, { id }: Incident, state: IncidentState, at: number): Board | undefined {
  const told = { state, text: TEXTS[state], impact: undefined, priority: undefined };
  const updated = updateIncident(board, id, told, { at, by: AUTOMATIC });
  return "refused" in updated ? undefined : updated.board;
}

/** Told to be watched, and all has been well for long enough since. */
function isOver(incident: Incident, rollout: Rollout | undefined, world: RollbackWorld): boolean {
  const { now, resolveAfterMs, healthySince } = world;
  if (resolveAfterMs === 0 || healthySince === undefined) return false;
  const isOurs = rollout !== undefined && incident.rollout === rollout.id && rollout.state.status !== "rolling-back";
  if (!isOurs && !isLeft(incident, world)) return false;
  if (!isOpen(incident) || !isUntouched(incident) || stateOf(incident) !== "monitoring") return false;
  return now - Math.max(lastAt(incident), healthySince) >= resolveAfterMs;
}

/** Of a run whose place another has taken, which it does only when the rollback is over. */
function isLeft(incident: Incident, { runs }: RollbackWorld): boolean {
  const { rollout } = incident;
  return rollout !== undefined && !runs.has(rollout) && isOpen(incident) && isUntouched(incident);
}

/** The rollback that a trigger caused, under way or done. */
function automaticRollback({ state }: Rollout): Rollback | undefined {
  if (state.status !== "rolling-back" && state.status !== "rolled-back") return undefined;
  return state.rollback.trigger === undefined ? undefined : state.rollback;
}

function isUntouched({ updates }: Incident): boolean {
  return updates.every(({ by }) => by === AUTOMATIC);
}

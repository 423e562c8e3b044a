import { isOpen, lastAt } from "../../incidents/board.ts";
import type { Incident } from "../../incidents/incident.ts";
import type { NoticesView } from "../../notify/notice.ts";

/** Of what people were told, as much as is looked at: all that is kept would be some hundred kilobytes for every viewer in every second. */

const MOST_OVER = 20;
const MOST_DELIVERIES = 40;
/** What is over for longer is in the API alone. */
const RECENT_MS = 14 * 86_400_000;

/** What lasts, the newest of what is over, and the newest messages of both. */
export function noticesShown(view: NoticesView): NoticesView {
  let room = MOST_OVER;
  const notices = view.notices.filter(({ resolvedAt }) => resolvedAt === undefined || room-- > 0);
  const ids = new Set(notices.map(({ id }) => id));
  return { ...view, notices, deliveries: view.deliveries.filter(({ notice }) => ids.has(notice)).slice(0, MOST_DELIVERIES) };
}

/** Open ones, and the newest of those that were resolved lately. */
export function incidentsShown(incidents: readonly Incident[], now: number): readonly Incident[] {
  let room = MOST_OVER;
  return incidents.filter((incident) => isOpen(incident) || (now - lastAt(incident) < RECENT_MS && room-- > 0));
}

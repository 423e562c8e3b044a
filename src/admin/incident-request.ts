import { MOST_TEXT, MOST_TITLE, type NewIncident, type NewMaintenance, type NewUpdate } from "../incidents/board.ts";
import { IMPACTS, INCIDENT_STATES, LANGUAGES, PRIORITIES, type Wording } from "../incidents/incident.ts";
import { fault, refuse, refuseOthers, requireObject } from "./change-request.ts";
import type { Fault } from "./problem.ts";

/** What the bodies of acts on incidents and maintenance say. All that is wrong is told at once. */

/** `{"title": ..., "text": ..., "priority": "P2", "impact": "degraded", "state": "investigating"}`. */
export function parseIncident(body: unknown): NewIncident {
  const faults: Fault[] = [];
  const given = requireObject(body, '{"title": "Slow answers", "text": "We are looking into it."}');
  refuseOthers(given, ["title", "text", "priority", "impact", "state"], "the members are title, text, priority, impact, state", faults);
  const told = {
    title: parseWording("title", given["title"], MOST_TITLE, faults),
    text: parseWording("text", given["text"], MOST_TEXT, faults),
    priority: parseOne("priority", given["priority"], PRIORITIES, faults) ?? "P2",
    impact: parseOne("impact", given["impact"], IMPACTS, faults) ?? "degraded",
    state: parseOne("state", given["state"], INCIDENT_STATES, faults) ?? "investigating",
    rollout: undefined,
  } as const;
  refuse(faults);
  return told;
}

/** `{"state": "identified", "text": ...}`, and `impact` and `priority` where they change. */
export function parseUpdate(body: unknown): NewUpdate {
  const faults: Fault[] = [];
  const given = requireObject(body, '{"state": "identified", "text": "We know the cause."}');
  refuseOthers(given, ["state", "text", "impact", "priority"], "the members are state, text, impact, priority", faults);
  const state = parseOne("state", given["state"], INCIDENT_STATES, faults);
  if (given["state"] === undefined) faults.push(missing("state", `one of ${INCIDENT_STATES.join(", ")}`));
  const told = {
    state: state ?? "investigating",
    text: parseWording("text", given["text"], MOST_TEXT, faults),
    impact: parseOne("impact", given["impact"], IMPACTS, faults),
    priority: parseOne("priority", given["priority"], PRIORITIES, faults),
  };
  refuse(faults);
  return told;
}

/** `{"title": ..., "text": ..., "from": "2026-11-24T22:00Z", "to": "2026-11-24T23:30Z"}`; without `from` it begins now. */
export function parseMaintenance(body: unknown, now: number): NewMaintenance {
  const faults: Fault[] = [];
  const given = requireObject(
    body,
    '{"title": "Move of a database", "text": "Short interruptions.", "from": "2026-11-24T22:00Z", "to": "..."}',
  );
  refuseOthers(given, ["title", "text", "from", "to"], "the members are title, text, from, to", faults);
  if (given["to"] === undefined) faults.push(missing("to", "an instant such as 2026-11-24T23:30Z"));
  const told = {
    title: parseWording("title", given["title"], MOST_TITLE, faults),
    text: parseWording("text", given["text"], MOST_TEXT, faults),
    from: parseInstant("from", given["from"], faults) ?? now,
    to: parseInstant("to", given["to"], faults) ?? now,
  };
  refuse(faults);
  return told;
}

/** A text for both languages, or one for each in an object; one language is enough. */
function parseWording(name: string, value: unknown, most: number, faults: Fault[]): Wording {
  if (value === undefined || value === null) {
    faults.push(missing(name, 'a text, or {"en": ..., "fr": ...}'));
    return {};
  }
  if (typeof value === "string") {
    const text = parseText(name, value, most, faults);
    return { en: text, fr: text };
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    faults.push(fault(name, value, 'is neither a text nor {"en": ..., "fr": ...}'));
    return {};
  }
  const texts: Record<string, unknown> = Object.fromEntries(
    Object.entries(value).filter(([, text]) => text !== undefined && text !== null),
  );
  for (const [language, text] of Object.entries(texts)) {
    if (language !== "en" && language !== "fr")
      faults.push(fault(`${name}.${language}`, text, `is in no language that is shown: ${LANGUAGES.join(", ")}`));
  }
  if (Object.keys(texts).length === 0) faults.push(missing(name, 'a text, or {"en": ..., "fr": ...}'));
  return Object.fromEntries(
    LANGUAGES.flatMap((language) =>
      texts[language] === undefined ? [] : [[language, parseText(`${name}.${language}`, texts[language], most, faults)]],
    ),
  );
}

function parseText(name: string, value: unknown, most: number, faults: Fault[]): string {
  const text = typeof value === "string" ? value.replaceAll("\r\n", "\n").trim() : "";
  if (text === "" || text.length > most) faults.push(fault(name, value, `is not a text of 1 to ${most} characters`));
  // Line breaks have a place in a text, and nothing else that cannot be seen.
  else if (!text.isWellFormed() || (name.startsWith("title") ? /\p{Cc}/u : /[^\P{Cc}\n\t]/u).test(text))
    faults.push(fault(name, value, "holds control characters"));
  return text;
}

function parseOne<const T extends string>(name: string, value: unknown, known: readonly T[], faults: Fault[]): T | undefined {
  if (value === undefined || value === null) return undefined;
  const found = known.find((one) => one === value);
  if (found === undefined) faults.push(fault(name, value, `is not one of ${known.join(", ")}`));
  return found;
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/;

function parseInstant(name: string, value: unknown, faults: Fault[]): number | undefined {
  if (value === undefined || value === null) return undefined;
  const at = typeof value === "string" && INSTANT.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isFinite(at)) return at;
  faults.push(fault(name, value, "is not an instant with its zone, such as 2026-11-24T22:00Z or 2026-11-24T23:00+01:00"));
  return undefined;
}

function missing(name: string, right: string): Fault {
  return { field: name, value: "", message: `${name} is missing; expected ${right}` };
}

import type { Language } from "../incidents/incident.ts";
import type { CustomerView } from "./status.ts";
import { inWords } from "./words.ts";

const WINDOW_SECONDS = 300;

/** For machines. Instants are ISO 8601; what is not known is null. */
export function renderJson(view: CustomerView, { title, language }: { readonly title: string; readonly language: Language }): string {
  const body = {
    title,
    language,
    at: instant(view.at),
    status: view.status,
    responseTime: view.p95Ms === undefined ? null : { p95Ms: view.p95Ms, windowSeconds: WINDOW_SECONDS },
    availability: view.availability ?? null,
    incidents: view.incidents.map(({ id, title: heading, impact, state, openedAt, updates }) => ({
      id,
      title: inWords(heading, language).text,
      impact,
      state,
      openedAt: instant(openedAt),
      updates: updates.map(({ at, state: said, text }) => ({ at: instant(at), state: said, text: inWords(text, language).text })),
    })),
    maintenance: view.maintenance.map(({ id, title: heading, text, from, to, state }) => ({
      id,
      title: inWords(heading, language).text,
      text: inWords(text, language).text,
      from: instant(from),
      to: instant(to),
      state,
    })),
  };
  return `${JSON.stringify(body, null, 2)}\n`;
}

function instant(at: number): string {
  return new Date(at).toISOString();
}

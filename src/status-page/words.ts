import type { Impact, IncidentState, Language, Wording } from "../incidents/incident.ts";
import type { CustomerMaintenance, CustomerStatus } from "./status.ts";

/** Everything that the status page says by itself. */
interface Words {
  readonly language: string;
  readonly status: Readonly<Record<CustomerStatus, string>>;
  readonly about: Readonly<Record<CustomerStatus, string>>;
  readonly state: Readonly<Record<IncidentState, string>>;
  readonly impact: Readonly<Record<Impact, string>>;
  readonly planned: Readonly<Record<CustomerMaintenance["state"], string>>;
  readonly figures: string;
  readonly responseTime: string;
  readonly responseTimeOf: (time: string) => string;
  readonly availability: string;
  readonly availabilityOf: (share: string, days: number) => string;
  readonly unknown: string;
  readonly incidents: string;
  readonly noIncidents: string;
  readonly maintenance: string;
  readonly noMaintenance: string;
  readonly fromTo: (from: string, to: string) => string;
  readonly asOf: (time: string) => string;
  readonly languages: string;
  readonly feed: string;
  readonly refreshing: string;
  readonly stopRefreshing: string;
  readonly refreshAgain: string;
}

export const WORDS: Readonly<Record<Language, Words>> = {
  en: {
    language: "English",
    status: { operational: "Operational", degraded: "Degraded", maintenance: "Maintenance", incident: "Incident" },
    about: {
      operational: "All is well.",
      degraded: "Requests are answered, but not everything is as it should be.",
      maintenance: "Announced work is under way.",
      incident: "Some or all requests are not answered. We are working on it.",
    },
    state: { investigating: "Investigating", identified: "Identified", monitoring: "Monitoring", resolved: "Resolved" },
    impact: { none: "No impact", degraded: "Degraded service", outage: "Outage" },
    planned: { announced: "Announced", "under-way": "Under way", cancelled: "Cancelled" },
    figures: "Figures",
    responseTime: "Response time",
    responseTimeOf: (time) => `${time} or less for 95 % of requests, last 5 minutes`,
    availability: "Availability",
    availabilityOf: (share, days) => `${share} over the last ${days === 1 ? "day" : `${days} days`}`,
    unknown: "Not known at present",
    incidents: "Incidents",
    noIncidents: "No incidents in the last 14 days.",
    maintenance: "Announced maintenance",
    noMaintenance: "No maintenance is announced.",
    fromTo: (from, to) => `From ${from} to ${to}`,
    asOf: (time) => `As of ${time}.`,
    languages: "Language",
    feed: "RSS feed",
    refreshing: "This page is refreshed every 30 seconds.",
    stopRefreshing: "Do not refresh it",
    refreshAgain: "Refresh this page every 30 seconds",
  },
  fr: {
    language: "Français",
    status: { operational: "Opérationnel", degraded: "Dégradé", maintenance: "Maintenance", incident: "Incident" },
    about: {
      operational: "Tout fonctionne.",
      degraded: "Les requêtes sont traitées, mais tout n'est pas comme il se doit.",
      maintenance: "Une intervention annoncée est en cours.",
      incident: "Une partie ou l'ensemble des requêtes n'est pas traitée. Nous y travaillons.",
    },
    state: { investigating: "Analyse en cours", identified: "Cause identifiée", monitoring: "Sous surveillance", resolved: "Résolu" },
    impact: { none: "Sans effet", degraded: "Service dégradé", outage: "Interruption" },
    planned: { announced: "Annoncée", "under-way": "En cours", cancelled: "Annulée" },
    figures: "Chiffres",
    responseTime: "Temps de réponse",
    responseTimeOf: (time) => `${time} ou moins pour 95 % des requêtes, 5 dernières minutes`,
    availability: "Disponibilité",
    availabilityOf: (share, days) => `${share} sur ${days === 1 ? "le dernier jour" : `les ${days} derniers jours`}`,
    unknown: "Inconnu pour le moment",
    incidents: "Incidents",
    noIncidents: "Aucun incident au cours des 14 derniers jours.",
    maintenance: "Maintenance annoncée",
    noMaintenance: "Aucune maintenance n'est annoncée.",
    fromTo: (from, to) => `Du ${from} au ${to}`,
    asOf: (time) => `État au ${time}.`,
    languages: "Langue",
    feed: "Flux RSS",
    refreshing: "Cette page est actualisée toutes les 30 secondes.",
    stopRefreshing: "Ne pas l'actualiser",
    refreshAgain: "Actualiser cette page toutes les 30 secondes",
  },
};

/** In the language that is asked for, else in the one there is. */
export function inWords(wording: Wording, language: Language): { readonly text: string; readonly language: Language } {
  const other = language === "en" ? "fr" : "en";
  const own = wording[language];
  return own === undefined ? { text: wording[other] ?? "", language: other } : { text: own, language };
}

const LOCALES: Readonly<Record<Language, string>> = { en: "en-GB", fr: "fr-FR" };
const TIMES: Readonly<Record<Language, Intl.DateTimeFormat>> = { en: timesIn("en"), fr: timesIn("fr") };

/** With its zone: nobody knows where a customer is. */
export function timeIn(language: Language, at: number): string {
  return `${TIMES[language].format(at)} UTC`;
}

export function millisecondsIn(language: Language, ms: number): string {
  return ms < 10
    ? `${ms.toLocaleString(LOCALES[language], { maximumFractionDigits: 1 })} ms`
    : `${Math.round(ms).toLocaleString(LOCALES[language])} ms`;
}

/** Never rounded up: 99.996 % is not 100 %. */
export function shareIn(language: Language, ratio: number): string {
  const hundredths = Math.floor(ratio * 10_000 + 1e-6) / 100;
  return `${hundredths.toLocaleString(LOCALES[language], { minimumFractionDigits: 2 })} %`;
}

function timesIn(language: Language): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat(LOCALES[language], { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
}

/** The first known one that a reader prefers; `preset` where none is known. `lang` of the address goes before the header. */
export function chooseLanguage(lang: string | null, acceptLanguage: string | undefined, preset: Language): Language {
  if (lang === "en" || lang === "fr") return lang;
  const wanted = (acceptLanguage ?? "")
    .slice(0, 500)
    .split(",")
    .map((part, index) => {
      const [tag = "", ...parameters] = part.trim().split(";");
      const weight = parameters.map((parameter) => /^\s*q=(\d(?:\.\d{1,3})?)\s*$/i.exec(parameter)?.[1]).find((q) => q !== undefined);
      return { tag: tag.trim().toLowerCase(), weight: weight === undefined ? 1 : Number(weight), index };
    })
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight || a.index - b.index);
  for (const { tag } of wanted) {
    if (tag === "en" || tag.startsWith("en-")) return "en";
    if (tag === "fr" || tag.startsWith("fr-")) return "fr";
    if (tag === "*") return preset;
  }
  return preset;
}

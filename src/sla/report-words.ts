import type { Language } from "../incidents/incident.ts";
import type { SlaPromise, SlaState } from "./sla.ts";

/** What a report says, in each language. */
export interface ReportWords {
  readonly title: (flag: string) => string;
  readonly asOf: (at: string) => string;
  readonly countedFrom: (from: string) => string;
  readonly nothingCounted: string;
  readonly summary: Readonly<Record<SlaState, (count: string) => string>>;
  readonly promises: string;
  readonly byVersion: string;
  readonly bySegment: string;
  readonly byBoth: string;
  readonly breaches: string;
  readonly noBreaches: string;
  readonly method: string;
  readonly how: (warnAt: string, recoveredAfter: string) => readonly string[];
  readonly columns: Readonly<Record<Column, string>>;
  readonly promise: Readonly<Record<SlaPromise, string>>;
  readonly within: (limit: string) => string;
  readonly state: Readonly<Record<SlaState, string>>;
  readonly recovering: (since: string) => string;
  readonly atLeast: (target: string) => string;
  readonly atMost: (target: string) => string;
  readonly all: string;
  readonly none: string;
  readonly lasts: string;
  readonly unknown: string;
}

export type Column =
  | "promise"
  | "version"
  | "segment"
  | "target"
  | "value"
  | "budget"
  | "p95"
  | "sample"
  | "period"
  | "covered"
  | "state"
  | "since"
  | "from"
  | "to"
  | "lasted"
  | "worst";

export const REPORT_WORDS: Readonly<Record<Language, ReportWords>> = {
  en: {
    title: (flag) => `Service levels of ${flag}`,
    asOf: (at) => `As of ${at}. All times are UTC.`,
    countedFrom: (from) => `There are figures from ${from} on.`,
    nothingCounted: "Nothing has been counted yet.",
    summary: {
      met: (count) => `Kept: ${count}`,
      warning: (count) => `In danger: ${count}`,
      breached: (count) => `Broken: ${count}`,
      "no-data": (count) => `Without a verdict: ${count}`,
    },
    promises: "What was promised",
    byVersion: "By version",
    bySegment: "By segment",
    byBoth: "By version and segment",
    breaches: "Breaches",
    noBreaches: "No promise was broken in the last 90 days.",
    method: "How it was counted",
    how: (warnAt, recoveredAfter) => [
      "Requests are counted as clients saw them, on all instances, by the hour. The hour in which a window begins counts as a whole.",
      "A request has failed when it got a 5xx, no answer, or one that broke off. Requests whose client left before the answer count for nobody.",
      "Response time runs from a request's head to the end of its answer. Only answers without a 5xx can be in time.",
      "A version is the upstream that answered, else the one that was asked last. Requests for which none was asked count under all versions only.",
      "Accuracy is the share of judged matches that users confirmed, by the arm that the user was assigned to.",
      `A promise is in danger when ${warnAt} of its error budget is spent, and broken when more than all of it is. It counts as recovered after it has been kept again for ${recoveredAfter}.`,
      "Too few requests give no verdict: there must be so many that the budget allows for a failed one. Covered is the part of the window in which an instance was counting.",
    ],
    columns: {
      promise: "Promise",
      version: "Version",
      segment: "Segment",
      target: "Target",
      value: "Value",
      budget: "Budget left",
      p95: "P95",
      sample: "Requests",
      period: "Period",
      covered: "Covered",
      state: "State",
      since: "Since",
      from: "From",
      to: "To",
      lasted: "Lasted",
      worst: "Worst value",
    },
    promise: { availability: "Availability", response_time: "Response time", errors: "Errors", accuracy: "Accuracy" },
    within: (limit) => `within ${limit}`,
    state: { met: "kept", warning: "in danger", breached: "broken", "no-data": "no verdict" },
    recovering: (since) => `broken, kept again since ${since}`,
    atLeast: (target) => `at least ${target}`,
    atMost: (target) => `at most ${target}`,
    all: "all",
    none: "no segment",
    lasts: "still broken",
    unknown: "–",
  },
  fr: {
    title: (flag) => `Niveaux de service de ${flag}`,
    asOf: (at) => `État au ${at}. Toutes les heures sont en UTC.`,
    countedFrom: (from) => `Les mesures commencent le ${from}.`,
    nothingCounted: "Rien n’a encore été mesuré.",
    summary: {
      met: (count) => `Tenus : ${count}`,
      warning: (count) => `En danger : ${count}`,
      breached: (count) => `Rompus : ${count}`,
      "no-data": (count) => `Sans verdict : ${count}`,
    },
    promises: "Engagements",
    byVersion: "Par version",
    bySegment: "Par segment",
    byBoth: "Par version et segment",
    breaches: "Manquements",
    noBreaches: "Aucun engagement n’a été rompu ces 90 derniers jours.",
    method: "Méthode de mesure",
    how: (warnAt, recoveredAfter) => [
      "Les requêtes sont comptées telles que les clients les ont vécues, sur toutes les instances, heure par heure. L’heure où commence une période compte en entier.",
      "Une requête a échoué si elle a reçu un 5xx, aucune réponse ou une réponse interrompue. Celles dont le client est parti avant la réponse ne comptent pour personne.",
      "Le temps de réponse va de l’en-tête de la requête à la fin de la réponse. Seules les réponses sans 5xx peuvent être à temps.",
      "La version est le service qui a répondu, sinon le dernier interrogé. Les requêtes pour lesquelles aucun ne l’a été comptent seulement sous toutes les versions.",
      "L’exactitude est la part des résultats jugés que les utilisateurs ont confirmés, selon le bras attribué à l’utilisateur.",
      `Un engagement est en danger quand ${warnAt} de son budget d’erreur est dépensé, et rompu quand il l’est au-delà de la totalité. Il est rétabli après avoir été tenu de nouveau pendant ${recoveredAfter}.`,
      "Trop peu de requêtes ne donnent pas de verdict : il en faut assez pour que le budget en permette une en échec. La couverture est la part de la période pendant laquelle une instance comptait.",
    ],
    columns: {
      promise: "Engagement",
      version: "Version",
      segment: "Segment",
      target: "Objectif",
      value: "Valeur",
      budget: "Budget restant",
      p95: "P95",
      sample: "Requêtes",
      period: "Période",
      covered: "Couverture",
      state: "État",
      since: "Depuis",
      from: "Du",
      to: "Au",
      lasted: "Durée",
      worst: "Pire valeur",
    },
    promise: { availability: "Disponibilité", response_time: "Temps de réponse", errors: "Erreurs", accuracy: "Exactitude" },
    within: (limit) => `en ${limit}`,
    state: { met: "tenu", warning: "en danger", breached: "rompu", "no-data": "sans verdict" },
    recovering: (since) => `rompu, tenu de nouveau depuis le ${since}`,
    atLeast: (target) => `au moins ${target}`,
    atMost: (target) => `au plus ${target}`,
    all: "ensemble",
    none: "aucun segment",
    lasts: "en cours",
    unknown: "–",
  },
};

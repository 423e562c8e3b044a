import { createHash } from "node:crypto";
import type { Language } from "../incidents/incident.ts";
import type { Answer } from "./call.ts";

/** What the page behind the link of a message says. */
export type AckPage =
  | { readonly kind: "ask" | "done" | "failed"; readonly subject: string }
  | { readonly kind: "before"; readonly subject: string; readonly by: string; readonly at: number }
  | { readonly kind: "over"; readonly subject: string; readonly at: number }
  | { readonly kind: "expired" | "wrong" };

interface Texts {
  readonly title: string;
  readonly ask: string;
  readonly button: string;
  readonly done: string;
  readonly failed: string;
  readonly before: (by: string, at: string) => string;
  readonly over: (at: string) => string;
  readonly expired: (id: string) => string;
  readonly wrong: (id: string) => string;
}

const TEXTS: Readonly<Record<Language, Texts>> = {
  en: {
    title: "Acknowledge a notice",
    ask: "Say that you look after it. Reminders stop, and nobody else is called.",
    button: "Acknowledge",
    done: "Acknowledged. Reminders stop, and nobody else is called.",
    failed: "It could not be kept just now: the store cannot be reached. Try again in a moment.",
    before: (by, at) => `It was acknowledged by ${by} at ${at}.`,
    over: (at) => `It is over since ${at}; there is nothing to acknowledge.`,
    expired: (id) => `This link has expired. The command still works: crossfade notices ack ${id}`,
    wrong: (id) => `This link is not valid: it is incomplete, or the notice is no longer kept. The command: crossfade notices ack ${id}`,
  },
  fr: {
    title: "Prendre en charge une alerte",
    ask: "Dites que vous vous en occupez. Les rappels s’arrêtent et personne d’autre n’est appelé.",
    button: "Prendre en charge",
    done: "C’est noté. Les rappels s’arrêtent et personne d’autre n’est appelé.",
    failed: "La prise en charge n’a pas pu être enregistrée : le stockage est injoignable. Réessayez dans un instant.",
    before: (by, at) => `Elle a été prise en charge par ${by} à ${at}.`,
    over: (at) => `Elle est terminée depuis ${at} ; il n’y a plus rien à prendre en charge.`,
    expired: (id) => `Ce lien a expiré. La commande reste valable : crossfade notices ack ${id}`,
    wrong: (id) =>
      `Ce lien n’est pas valable : il est incomplet, ou l’alerte n’est plus conservée. La commande : crossfade notices ack ${id}`,
  },
};

const STATUS: Readonly<Record<AckPage["kind"], number>> = {
  ask: 200,
  done: 200,
  before: 200,
  over: 200,
  failed: 503,
  expired: 410,
  wrong: 404,
};

const STYLE = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}
h1{font-size:1.2rem}button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#0b57d0;color:#fff;cursor:pointer}
button:focus-visible{outline:3px solid #fa0;outline-offset:2px}`;
const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** A page without scripts. The form has no action, so it goes to the address of the page, behind whatever prefix that is reached. */
export function ackPage(page: AckPage, language: Language, id: string): Answer {
  const texts = TEXTS[language];
  const subject = "subject" in page ? `<p><strong>${escape(page.subject)}</strong></p>\n` : "";
  const form = page.kind === "ask" ? `<form method="post"><button type="submit">${texts.button}</button></form>\n` : "";
  const text = `<!doctype html>
<html lang="${language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>${texts.title}</title><style>${STYLE}</style></head>
<body><main>
<h1>${texts.title}</h1>
${subject}<p>${escape(sentenceOf(page, texts, id, language))}</p>
${form}</main></body>
</html>
`;
  return {
    status: STATUS[page.kind],
    contentType: "text/html; charset=utf-8",
    text,
    headers: {
      "content-security-policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
      // The address is a key.
      "referrer-policy": "no-referrer",
    },
  };
}

function sentenceOf(page: AckPage, texts: Texts, id: string, language: Language): string {
  // What stands in the path may be anything; only what can be an id is repeated.
  const shown = /^ntc-\d{1,12}$/.test(id) ? id : "ID";
  switch (page.kind) {
    case "before":
      return texts.before(page.by, timeOf(page.at, language));
    case "over":
      return texts.over(timeOf(page.at, language));
    case "expired":
    case "wrong":
      return texts[page.kind](shown);
    default:
      return texts[page.kind];
  }
}

function timeOf(at: number, language: Language): string {
  return (
    new Date(at).toLocaleString(language === "fr" ? "fr-FR" : "en-GB", { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" }) +
    " UTC"
  );
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

import { LANGUAGES, type Language, type Wording } from "../incidents/incident.ts";
import type { CustomerIncident, CustomerMaintenance, CustomerView } from "./status.ts";
import { inWords, millisecondsIn, shareIn, timeIn, WORDS } from "./words.ts";

interface Look {
  readonly title: string;
  readonly language: Language;
  /** Whether the page says that it is refreshed by itself. */
  readonly refreshed: boolean;
}

/** The page, without any script. Addresses in it are relative, so that it may be published under any path. */
export function renderPage(view: CustomerView, { title, language, refreshed }: Look): string {
  const words = WORDS[language];
  const status = words.status[view.status];
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(status)} - ${escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="status.css">
<link rel="alternate" type="application/rss+xml" title="${escape(words.feed)}" href="status.rss?lang=${language}">
</head>
<body>
<header>
<h1>${escape(title)}</h1>
<nav aria-label="${escape(words.languages)}"><ul>${languages(language, refreshed)}</ul></nav>
</header>
<main>
<section class="card now ${view.status}" role="status">
<p class="word">${escape(status)}</p>
<p>${escape(words.about[view.status])}</p>
<p>${escape(words.asOf(timeIn(language, view.at)))}</p>
</section>
<section>
<h2>${escape(words.figures)}</h2>
<dl class="card">
<dt>${escape(words.responseTime)}</dt><dd>${escape(responseTime(view, language))}</dd>
${availability(view, language)}</dl>
</section>
<section>
<h2>${escape(words.incidents)}</h2>
${view.incidents.length === 0 ? `<p>${escape(words.noIncidents)}</p>` : view.incidents.map((one) => incident(one, language)).join("\n")}
</section>
<section>
<h2>${escape(words.maintenance)}</h2>
${view.maintenance.length === 0 ? `<p>${escape(words.noMaintenance)}</p>` : view.maintenance.map((one) => maintenance(one, language)).join("\n")}
</section>
</main>
<footer>
<p>${refreshing(language, refreshed)}</p>
<p><a href="status.rss?lang=${language}">${escape(words.feed)}</a> · <a href="status.json?lang=${language}">JSON</a></p>
</footer>
</body>
</html>
`;
}

function languages(chosen: Language, refreshed: boolean): string {
  return LANGUAGES.map((language) => {
    const current = language === chosen ? ' aria-current="true"' : "";
    const still = refreshed ? "" : "&amp;refresh=off";
    return `<li><a href="?lang=${language}${still}" lang="${language}" hreflang="${language}"${current}>${WORDS[language].language}</a></li>`;
  }).join("");
}

function refreshing(language: Language, refreshed: boolean): string {
  const { refreshing, stopRefreshing, refreshAgain } = WORDS[language];
  return refreshed
    ? `${escape(refreshing)} <a href="?lang=${language}&amp;refresh=off">${escape(stopRefreshing)}</a>`
    : `<a href="?lang=${language}">${escape(refreshAgain)}</a>`;
}

function responseTime({ p95Ms }: CustomerView, language: Language): string {
  const words = WORDS[language];
  return p95Ms === undefined ? words.unknown : words.responseTimeOf(millisecondsIn(language, p95Ms));
}

function availability({ availability: known }: CustomerView, language: Language): string {
  if (known === undefined) return "";
  const words = WORDS[language];
  return `<dt>${escape(words.availability)}</dt><dd>${escape(words.availabilityOf(shareIn(language, known.ratio), known.days))}</dd>\n`;
}

function incident({ id, title, impact, state, updates }: CustomerIncident, language: Language): string {
  const words = WORDS[language];
  const lines = updates
    .toReversed()
    .map(
      (update) =>
        `<li><strong>${escape(words.state[update.state])}</strong> ${time(update.at, language)}${paragraph(update.text, language)}</li>`,
    );
  return `<article class="card" id="${escape(id)}">
<h3${inLanguage(title, language)}>${escape(inWords(title, language).text)}</h3>
<p class="tags">${escape(words.state[state])} · ${escape(words.impact[impact])}</p>
<ol>${lines.join("\n")}</ol>
</article>`;
}

function maintenance({ id, title, text, from, to, state }: CustomerMaintenance, language: Language): string {
  const words = WORDS[language];
  const [begins, ends] = [time(from, language), time(to, language)];
  return `<article class="card" id="${escape(id)}">
<h3${inLanguage(title, language)}>${escape(inWords(title, language).text)}</h3>
<p class="tags">${escape(words.planned[state])}</p>
<p>${words.fromTo(begins, ends)}</p>
${paragraph(text, language)}
</article>`;
}

function paragraph(wording: Wording, language: Language): string {
  const { text } = inWords(wording, language);
  return text === "" ? "" : `<p${inLanguage(wording, language)}>${escape(text)}</p>`;
}

/** Where the text is in another language than the page, whoever reads it aloud must know. */
function inLanguage(wording: Wording, language: Language): string {
  const { language: own } = inWords(wording, language);
  return own === language ? "" : ` lang="${own}"`;
}

function time(at: number, language: Language): string {
  return `<time datetime="${new Date(at).toISOString()}">${escape(timeIn(language, at))}</time>`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** For text and attributes in double quotes. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

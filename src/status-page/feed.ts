import { Feed } from "feed";
import type { Language } from "../incidents/incident.ts";
import { escape } from "./page.ts";
import type { CustomerView } from "./status.ts";
import { inWords, timeIn, WORDS } from "./words.ts";

const MOST_ITEMS = 50;
const DAY = 86_400_000;
/** Minutes between two looks of a reader. */
const TTL = 5;

interface FeedLook {
  readonly title: string;
  readonly language: Language;
  /** Of the page and of the feed itself. */
  readonly page: string;
  readonly feed: string;
}

interface Entry {
  /** Stays the same for good: readers show each once. */
  readonly id: string;
  readonly anchor: string;
  readonly at: number;
  readonly title: string;
  readonly lines: readonly string[];
}

/** RSS 2.0: each update of an incident, and each maintenance with its cancellation, is an item of its own. Newest first. */
export function renderFeed(view: CustomerView, { title, language, page, feed: self }: FeedLook): string {
  const entries = entriesOf(view, language)
    .toSorted((a, b) => b.at - a.at)
    .slice(0, MOST_ITEMS);
  const feed = new Feed({
    id: page,
    title: plain(title),
    description: plain(title),
    link: page,
    feed: self,
    language,
    ttl: TTL,
    generator: false,
    // Not the time of asking: what has not changed must look the same.
    updated: new Date(entries[0]?.at ?? view.at - (view.at % DAY)),
  });
  for (const { id, anchor, at, title: heading, lines } of entries) {
    const description = lines.filter((line) => line !== "").map((line) => `<p>${escape(plain(line)).replaceAll("\n", "<br>")}</p>`);
    // A description is HTML to those who read it.
    feed.addItem({ id, title: plain(heading), link: `${page}#${anchor}`, date: new Date(at), description: description.join("") });
  }
  return feed.rss2();
}

function entriesOf({ incidents, maintenance }: CustomerView, language: Language): Entry[] {
  const words = WORDS[language];
  return [
    ...incidents.flatMap(({ id, title, updates }) =>
      updates.map((update, index) => ({
        id: `${id}/${index + 1}`,
        anchor: id,
        at: update.at,
        title: `${words.state[update.state]}: ${inWords(title, language).text}`,
        lines: [inWords(update.text, language).text],
      })),
    ),
    ...maintenance.map(({ id, title, text, from, to, state, changedAt }) => ({
      id: state === "cancelled" ? `${id}/cancelled` : id,
      anchor: id,
      at: changedAt,
      title: `${state === "cancelled" ? words.planned.cancelled : words.status.maintenance}: ${inWords(title, language).text}`,
      lines: [words.fromTo(timeIn(language, from), timeIn(language, to)), inWords(text, language).text],
    })),
  ];
}

/** Without what XML cannot carry. */
function plain(text: string): string {
  return text.toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "");
}

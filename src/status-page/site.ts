import type { StatusPageSettings } from "../config/config-told.ts";
import type { Language } from "../incidents/incident.ts";
import { renderFeed } from "./feed.ts";
import { renderJson } from "./json.ts";
import { renderPage } from "./page.ts";
import type { CustomerView } from "./status.ts";
import { STYLE } from "./style.ts";
import { chooseLanguage } from "./words.ts";

export const STATUS_PATHS = ["/status", "/status.json", "/status.rss", "/status.css"] as const;
export type StatusPath = (typeof STATUS_PATHS)[number];

export interface Asked {
  readonly path: StatusPath;
  readonly query: URLSearchParams;
  readonly acceptLanguage: string | undefined;
  /** As the Host header has it. */
  readonly host: string | undefined;
}

export interface Page {
  readonly contentType: string;
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** A page is made anew after so long, however many ask for it. */
const FRESH_MS = 1_000;
/** Of feeds, which name the address under which they were asked for: a client that makes up addresses fills no memory. */
const MOST_KEPT = 64;

const POLICY = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface SiteParts {
  readonly settings: Pick<StatusPageSettings, "title" | "language" | "url">;
  /** What is known at this moment; never rejects. Asked at most once a second. */
  readonly look: () => Promise<CustomerView>;
  /** Steady, milliseconds. */
  readonly now: () => number;
}

/** The status page in all its forms, each made once a second at most and only while somebody asks. */
export class StatusSite {
  readonly #parts: SiteParts;
  readonly #style: Page = { contentType: "text/css; charset=utf-8", bytes: Buffer.from(STYLE), headers: headersOf("max-age=300") };
  #look: { readonly until: number; readonly view: Promise<CustomerView>; readonly pages: Map<string, Page> } | undefined;

  constructor(parts: SiteParts) {
    this.#parts = parts;
  }

  async answer({ path, query, acceptLanguage, host }: Asked): Promise<Page> {
    if (path === "/status.css") return this.#style;
    const { settings, now, look } = this.#parts;
    const language = chooseLanguage(query.get("lang"), acceptLanguage, settings.language);
    const refreshed = query.get("refresh") !== "off";
    const address = path === "/status.rss" ? (settings.url ?? addressOf(host)) : "";
    if (this.#look === undefined || now() >= this.#look.until) this.#look = { until: now() + FRESH_MS, view: look(), pages: new Map() };
    const { view, pages } = this.#look;
    const key = `${path} ${language} ${path === "/status" && refreshed} ${address}`;
    const seen = await view;
    const known = pages.get(key);
    if (known !== undefined) return known;
    const made = render(path, seen, { title: settings.title, language, refreshed, address });
    if (pages.size < MOST_KEPT) pages.set(key, made);
    return made;
  }
}

function render(
  path: Exclude<StatusPath, "/status.css">,
  view: CustomerView,
  { title, language, refreshed, address }: { title: string; language: Language; refreshed: boolean; address: string },
): Page {
  const headers = { ...headersOf("max-age=1"), vary: "Accept-Language", "content-language": language };
  switch (path) {
    case "/status":
      return {
        contentType: "text/html; charset=utf-8",
        bytes: Buffer.from(renderPage(view, { title, language, refreshed })),
        // By the head of the answer and not by the page, and with a link that ends it: whoever has it read aloud must be able to.
        headers: refreshed ? { ...headers, refresh: "30" } : headers,
      };
    case "/status.json":
      // Anybody's page may show it.
      return {
        contentType: "application/json; charset=utf-8",
        bytes: Buffer.from(renderJson(view, { title, language })),
        headers: { ...headers, "access-control-allow-origin": "*" },
      };
    case "/status.rss":
      return {
        contentType: "application/rss+xml; charset=utf-8",
        bytes: Buffer.from(renderFeed(view, { title, language, page: address, feed: feedOf(address, language) })),
        headers,
      };
  }
}

function headersOf(cacheControl: string): Readonly<Record<string, string>> {
  return {
    "cache-control": cacheControl,
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };
}

/** Where the page stands for whoever asked; a Host that is none is not repeated. */
function addressOf(host: string | undefined): string {
  const plain = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,252}))(?::\d{1,5})?$/i.test(host ?? "") ? host : "localhost";
  const url = URL.parse(`http://${plain}/status`);
  return url === null ? "http://localhost/status" : url.href;
}

/** Beside the page, in the same language. */
function feedOf(page: string, language: Language): string {
  const url = new URL(page);
  url.pathname = `${url.pathname.replace(/\/$/, "")}.rss`;
  url.search = `?lang=${language}`;
  return url.href;
}

import fc from "fast-check";
import t from "tap";
import { EMPTY_BOARD, openIncident } from "../src/incidents/board.ts";
import { type Board, IMPACTS, type Incident, type IncidentState, LANGUAGES, type Maintenance } from "../src/incidents/incident.ts";
import { StatusSite } from "../src/status-page/site.ts";
import { CUSTOMER_STATUSES, type CustomerStatus, type Observed, statusOf, viewFor } from "../src/status-page/status.ts";
import { chooseLanguage, shareIn } from "../src/status-page/words.ts";
import { type Element, parseXml } from "./support/xml.ts";

const T0 = Date.UTC(2026, 10, 23, 9);
const HOUR = 3_600_000;
const WELL: Observed = {
  reachable: true,
  impaired: false,
  requests: 1_000,
  failed: 0,
  p95Ms: 42.4,
  availability: { ratio: 0.99987, days: 30 },
};

function incident(id: number, more: Partial<Incident> = {}, state: IncidentState = "investigating"): Incident {
  return {
    id: `inc-${id}`,
    priority: "P1",
    impact: "degraded",
    title: { en: "Slow answers", fr: "Réponses lentes" },
    openedAt: T0 - HOUR,
    openedBy: "alice",
    rollout: undefined,
    updates: [{ at: T0 - HOUR, state, text: { en: "Looking", fr: "On regarde" }, by: "alice" }],
    ...more,
  };
}

function maintenance(from: number, to: number, more: Partial<Maintenance> = {}): Maintenance {
  return {
    id: "mnt-9",
    title: { en: "Work" },
    text: { en: "Short interruptions" },
    from,
    to,
    announcedBy: "alice",
    cancelled: false,
    changedAt: T0 - 2 * HOUR,
    ...more,
  };
}

function boardOf(incidents: readonly Incident[], works: readonly Maintenance[] = []): Board {
  return { next: 50, incidents, maintenance: works };
}

t.test("the status is the worst that holds", async (t) => {
  const outage = boardOf([incident(1, { impact: "outage" })]);
  const now = maintenance(T0 - 1, T0 + 1);
  const table: readonly [string, CustomerStatus, Partial<Observed>, Board][] = [
    ["all is well", "operational", {}, EMPTY_BOARD],
    ["a rollback under way, and all are answered", "degraded", { impaired: true }, EMPTY_BOARD],
    ["the stable arm is lost", "incident", { reachable: false, impaired: true }, EMPTY_BOARD],
    ["nothing is known of requests", "operational", { requests: 0 }, EMPTY_BOARD],
    ["some fail", "degraded", { failed: 50 }, EMPTY_BOARD],
    ["most fail", "incident", { failed: 500 }, EMPTY_BOARD],
    ["too few to say", "operational", { requests: 19, failed: 19 }, EMPTY_BOARD],
    ["an incident is open", "degraded", {}, boardOf([incident(1)])],
    ["one that customers do not notice", "operational", {}, boardOf([incident(1, { impact: "none" })])],
    ["one that is over", "operational", {}, boardOf([incident(1, { impact: "outage" }, "resolved")])],
    ["an outage", "incident", {}, outage],
    ["work under way", "maintenance", { impaired: true }, boardOf([incident(1)], [now])],
    ["work under way, and nobody is answered", "incident", { reachable: false }, boardOf([], [now])],
    ["work that was cancelled", "operational", {}, boardOf([], [{ ...now, cancelled: true }])],
    ["work to come", "operational", {}, boardOf([], [maintenance(T0 + 1, T0 + 2)])],
    ["work that is over", "operational", {}, boardOf([], [maintenance(T0 - 2, T0)])],
  ];
  for (const [name, status, more, board] of table) t.equal(statusOf({ ...WELL, ...more }, board, T0), status, name);
});

t.test("nothing that gets worse makes the status better", async (t) => {
  const rank = (observed: Observed, board: Board): number => CUSTOMER_STATUSES.indexOf(statusOf(observed, board, T0));
  const impacts = fc.array(fc.constantFrom(...IMPACTS), { maxLength: 4 });
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.boolean(),
      fc.nat(200),
      fc.nat(200),
      impacts,
      fc.constantFrom(...IMPACTS),
      (reachable, impaired, requests, bad, list, impact) => {
        const observed = { ...WELL, reachable, impaired, requests, failed: Math.min(bad, requests) };
        const board = boardOf(list.map((one, i) => incident(i, { impact: one })));
        const worse = boardOf([incident(99, { impact }), ...board.incidents]);
        const before = rank(observed, board);
        return (
          rank(observed, worse) >= before &&
          rank({ ...observed, reachable: false }, board) >= before &&
          rank({ ...observed, impaired: true }, board) >= before &&
          rank({ ...observed, failed: requests }, board) >= before
        );
      },
    ),
  );
  t.pass();
});

interface Setup {
  readonly site: StatusSite;
  readonly looks: () => number;
  pass(ms: number): void;
}

function siteOf(
  board: Board,
  observed: Partial<Observed> = {},
  settings: Partial<{ title: string; language: "en" | "fr"; url: string | undefined }> = {},
): Setup {
  let looks = 0;
  let now = 0;
  const site = new StatusSite({
    settings: { title: "Matching", language: "en", url: undefined, ...settings },
    look: async () => {
      looks++;
      return viewFor({ ...WELL, ...observed }, board, T0);
    },
    now: () => now,
  });
  return { site, looks: () => looks, pass: (ms) => (now += ms) };
}

async function text(
  { site }: Setup,
  path: "/status" | "/status.json" | "/status.rss" | "/status.css",
  search = "",
  acceptLanguage?: string,
  host = "status.example:8090",
): Promise<string> {
  return (await site.answer({ path, query: new URLSearchParams(search), acceptLanguage, host })).bytes.toString();
}

t.test("the page says it in the reader's language", async (t) => {
  const setup = siteOf(
    boardOf([incident(1), incident(2, { title: { fr: "Seulement en français" } })], [maintenance(T0 + HOUR, T0 + 2 * HOUR)]),
  );
  const english = await text(setup, "/status");
  t.match(english, '<html lang="en">');
  t.match(english, "Degraded");
  t.match(english, "42 ms or less for 95 % of requests");
  t.match(english, "99.98 % over the last 30 days", "a share is never rounded up");
  t.match(english, '<h3 lang="fr">Seulement en français</h3>', "a text in another language says so");
  t.match(english, "From <time datetime=");
  const french = await text(setup, "/status", "", "de, fr-CA;q=0.8, en;q=0.5");
  t.match(french, '<html lang="fr">');
  t.match(french, "Dégradé");
  t.match(french, "Réponses lentes");
  t.equal(await text(setup, "/status", "lang=fr", "en"), french);
  t.match(JSON.parse(await text(setup, "/status.json", "lang=fr")), {
    language: "fr",
    status: "degraded",
    responseTime: { p95Ms: 42.4, windowSeconds: 300 },
    incidents: [{ id: "inc-1", title: "Réponses lentes", state: "investigating", updates: [{ text: "On regarde" }] }, { id: "inc-2" }],
    maintenance: [{ title: "Work", from: "2026-11-23T10:00:00.000Z", state: "announced" }],
  });
  const nothing = siteOf(EMPTY_BOARD, { p95Ms: Number.NaN, availability: undefined });
  t.match(await text(nothing, "/status"), "Not known at present");
  t.match(JSON.parse(await text(nothing, "/status.json")), { responseTime: null, availability: null, incidents: [], maintenance: [] });
});

t.test("languages are chosen by weight, and what is not known falls back", async (t) => {
  t.equal(chooseLanguage(null, undefined, "fr"), "fr");
  t.equal(chooseLanguage(null, "de,it", "fr"), "fr");
  t.equal(chooseLanguage(null, "fr;q=0.2,en-US;q=0.9", "fr"), "en");
  t.equal(chooseLanguage(null, "fr;q=0, *", "en"), "en");
  t.equal(chooseLanguage("xx", "FR", "en"), "fr");
  t.equal(shareIn("en", 0.999_99), "99.99 %");
  t.equal(shareIn("en", 1), "100.00 %");
  fc.assert(fc.property(fc.string({ maxLength: 80 }), (header) => LANGUAGES.includes(chooseLanguage(null, header, "en"))));
});

t.test("the page has no script, and nothing of what people write becomes markup", async (t) => {
  const nasty = `<script>alert(1)</script>"'&]]><img src=x onerror=y>`;
  const setup = siteOf(
    boardOf(
      [incident(1, { title: { en: nasty }, updates: [{ at: T0, state: "identified", text: { en: nasty }, by: "x" }] })],
      [maintenance(T0, T0 + HOUR, { title: { en: nasty }, text: { en: nasty } })],
    ),
    {},
    { title: nasty },
  );
  const page = await text(setup, "/status");
  t.notMatch(page, /<script|<img|<style|\son\w+="|\sstyle=|javascript:/i);
  t.same(
    [...new Set([...page.matchAll(/<(\w+)/g)].map(([, tag]) => tag))].filter((tag) =>
      ["iframe", "form", "object", "img", "script"].includes(tag ?? ""),
    ),
    [],
  );
  const channel = channelOf(await text(setup, "/status.rss"));
  const titles = channel.children.filter(({ name }) => name === "item").map((item) => textIn(item, "title"));
  t.same(titles, [`Identified: ${nasty}`, `Maintenance: ${nasty}`]);
  for (const item of channel.children.filter(({ name }) => name === "item")) t.notMatch(textIn(item, "description"), /<script|<img/);
  t.equal(JSON.parse(await text(setup, "/status.json")).incidents[0].title, nasty);
  const { headers } = await setup.site.answer({
    path: "/status",
    query: new URLSearchParams(),
    acceptLanguage: undefined,
    host: undefined,
  });
  t.match(headers["content-security-policy"], /^default-src 'none'; style-src 'self'/);
  t.notMatch(headers["content-security-policy"], /unsafe/);
  t.equal(headers["refresh"], "30");
  const still = await setup.site.answer({
    path: "/status",
    query: new URLSearchParams("refresh=off"),
    acceptLanguage: undefined,
    host: undefined,
  });
  t.equal(still.headers["refresh"], undefined, "a reader may stop it");
});

function channelOf(feed: string): Element {
  const rss = parseXml(feed);
  const channel = rss.children[0];
  if (rss.name !== "rss" || rss.attributes["version"] !== "2.0" || channel?.name !== "channel") throw new Error("not RSS 2.0");
  return channel;
}

function textIn(element: Element, name: string): string {
  const found = element.children.filter((child) => child.name === name);
  if (found.length !== 1) throw new Error(`${found.length} of ${name} in ${element.name}`);
  return found[0]?.text ?? "";
}

t.test("the feed is RSS 2.0, and what a reader has seen keeps its name", async (t) => {
  const first = incident(1);
  const works = maintenance(T0 + HOUR, T0 + 2 * HOUR);
  const items = (feed: string): { guid: string; date: string; link: string }[] =>
    channelOf(feed)
      .children.filter(({ name }) => name === "item")
      .map((item) => {
        t.equal(item.children.find(({ name }) => name === "guid")?.attributes["isPermaLink"], "false");
        t.ok(textIn(item, "description") !== "");
        return { guid: textIn(item, "guid"), date: textIn(item, "pubDate"), link: textIn(item, "link") };
      });
  const before = await text(siteOf(boardOf([first], [works])), "/status.rss");
  const channel = channelOf(before);
  for (const name of ["title", "link", "description", "language", "ttl", "lastBuildDate"]) t.ok(textIn(channel, name), name);
  t.equal(textIn(channel, "link"), "http://status.example:8090/status");
  t.match(channel.children.find(({ name }) => name === "atom:link")?.attributes, {
    rel: "self",
    href: "http://status.example:8090/status.rss?lang=en",
  });
  const seen = items(before);
  t.same(
    seen.map(({ guid }) => guid),
    ["inc-1/1", "mnt-9"],
  );
  for (const { date } of seen) t.equal(new Date(date).toUTCString(), date, "a date of RFC 822");

  const more = { ...first, updates: [...first.updates, { at: T0, state: "resolved", text: { en: "Over" }, by: "bob" } as const] };
  const after = items(await text(siteOf(boardOf([incident(2), more], [{ ...works, cancelled: true, changedAt: T0 + 1 }])), "/status.rss"));
  t.same(
    after.map(({ guid }) => guid),
    ["mnt-9/cancelled", "inc-1/2", "inc-2/1", "inc-1/1"],
  );
  t.same(after.at(-1), seen[0]);
  t.equal(await text(siteOf(boardOf([first], [works])), "/status.rss"), before, "what has not changed looks the same");
  t.equal(items(await text(siteOf(EMPTY_BOARD), "/status.rss")).length, 0);

  const placed = await text(
    siteOf(boardOf([first]), {}, { url: "https://example.com/about/status" }),
    "/status.rss",
    "lang=fr",
    "",
    "evil.example",
  );
  t.match(items(placed)[0], { link: "https://example.com/about/status#inc-1" });
  t.notMatch(placed, "evil");
  t.notMatch(await text(siteOf(EMPTY_BOARD), "/status.rss", "", "", 'x"><script>'), /<script/);
});

t.test("no internals reach a customer, whatever they are called", async (t) => {
  const poison = (name: string): string => `poison-${name}`;
  const poisoned: Incident = {
    ...incident(1),
    openedBy: poison("person"),
    rollout: poison("rollout"),
    priority: "P0",
    updates: [{ at: T0, state: "monitoring", text: { en: "Fine" }, by: poison("updater") }],
  };
  const board = boardOf([poisoned], [maintenance(T0, T0 + HOUR, { announcedBy: poison("announcer") })]);
  const observed = { ...WELL, reachable: false, upstream: poison("upstream"), instance: poison("instance"), reason: poison("reason") };
  for (const path of ["/status", "/status.json", "/status.rss", "/status.css"] as const) {
    for (const language of LANGUAGES) {
      const shown = await text(siteOf(board, observed), path, `lang=${language}`);
      t.notMatch(shown, /poison|"P0"|\bP0\b/, `${path} in ${language}`);
    }
  }
});

t.test("however many ask, it is made once a second; made-up addresses fill no memory", async (t) => {
  const setup = siteOf(boardOf([incident(1)]));
  const many = await Promise.all(
    Array.from({ length: 500 }, () =>
      setup.site.answer({ path: "/status", query: new URLSearchParams(), acceptLanguage: "en", host: "a" }),
    ),
  );
  t.equal(setup.looks(), 1);
  t.equal(new Set(many.map(({ bytes }) => bytes)).size, 1, "all get the same bytes");
  setup.pass(999);
  await text(setup, "/status.json");
  t.equal(setup.looks(), 1);
  setup.pass(1);
  await text(setup, "/status.json");
  t.equal(setup.looks(), 2);
  for (let i = 0; i < 200; i++) t.match(await text(setup, "/status.rss", "", "", `host-${i}`), `http://host-${i}/status`);
});

t.test("open incidents come before those that are over, and old ones are not shown", async (t) => {
  const old = incident(1, { updates: [{ at: T0 - 15 * 24 * HOUR, state: "resolved", text: {}, by: "a" }] });
  const view = viewFor(WELL, boardOf([incident(4, {}, "resolved"), incident(3), old, incident(2)]), T0);
  t.same(
    view.incidents.map(({ id }) => id),
    ["inc-3", "inc-2", "inc-4"],
  );
  const opened = openIncident(EMPTY_BOARD, { ...incident(1), text: { en: "x" }, state: "investigating" }, { at: T0, by: "a" });
  t.ok("board" in opened && viewFor(WELL, opened.board, T0).status === "degraded");
});

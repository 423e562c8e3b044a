import { AxeBuilder } from "@axe-core/playwright";
import t from "tap";
import type { Board } from "../src/incidents/incident.ts";
import { startStatusListener } from "../src/status-page/listener.ts";
import { StatusSite } from "../src/status-page/site.ts";
import { viewFor } from "../src/status-page/status.ts";
import { NO_BROWSER, openTab, startBrowser } from "./support/browser.ts";

// A busy machine takes its time.
t.setTimeout(300_000);

const T0 = Date.UTC(2026, 10, 23, 9);
const HOUR = 3_600_000;
const BOARD: Board = {
  next: 9,
  incidents: [
    {
      id: "inc-7",
      priority: "P1",
      impact: "outage",
      title: { en: "Some requests are not answered", fr: "Certaines requêtes restent sans réponse" },
      openedAt: T0 - HOUR,
      openedBy: "alice",
      rollout: undefined,
      updates: [
        { at: T0 - HOUR, state: "investigating", text: { en: "We are looking into it." }, by: "alice" },
        { at: T0, state: "identified", text: { en: "A disk is full.\nWe are moving data.", fr: "Un disque est plein." }, by: "alice" },
      ],
    },
    {
      id: "inc-6",
      priority: "P2",
      impact: "degraded",
      title: { fr: `Un titre très long ${"sans-espace".repeat(12)}` },
      openedAt: T0 - 30 * HOUR,
      openedBy: "bob",
      rollout: undefined,
      updates: [{ at: T0 - 29 * HOUR, state: "resolved", text: { fr: "C'est fini." }, by: "bob" }],
    },
  ],
  maintenance: [
    {
      id: "mnt-8",
      title: { en: "Move of a database" },
      text: { en: "Short interruptions." },
      from: T0 + HOUR,
      to: T0 + 2 * HOUR,
      announcedBy: "alice",
      cancelled: false,
      changedAt: T0,
    },
  ],
};

const LOOKS = [
  { name: "a bad day", board: BOARD, observed: { reachable: false, impaired: true } },
  { name: "an impaired one", board: { ...BOARD, incidents: [] }, observed: { reachable: true, impaired: true } },
  {
    name: "a day of work",
    board: { ...BOARD, incidents: [], maintenance: BOARD.maintenance.map((one) => ({ ...one, from: T0 })) },
    observed: {},
  },
  { name: "a good day", board: { next: 1, incidents: [], maintenance: [] }, observed: {} },
];

t.test(
  "everybody can read the page: light and dark, on a telephone, in both languages, without a script",
  { skip: NO_BROWSER },
  async (t) => {
    const browser = await startBrowser(t);
    let shown = LOOKS[0];
    let now = 0;
    const site = new StatusSite({
      settings: { title: "Matching service", language: "en", url: undefined },
      look: async () => {
        const figures = { requests: 100, failed: 0, p95Ms: 42, availability: { ratio: 0.9998, days: 30 } };
        return viewFor({ reachable: true, impaired: false, ...figures, ...shown?.observed }, shown?.board ?? BOARD, T0);
      },
      now: () => (now += 1_000),
    });
    const listener = await startStatusListener({
      host: "127.0.0.1",
      port: 0,
      answer: (asked) => site.answer(asked),
      onError: (error) => t.fail(String(error)),
    });
    t.teardown(() => listener.close());
    const folder = process.env["CROSSFADE_SCREENSHOTS"];

    for (const look of LOOKS) {
      shown = look;
      for (const [colorScheme, language, width] of [
        ["light", "en", 1_280],
        ["dark", "fr", 320],
      ] as const) {
        const { page, faults } = await openTab(t, browser, { colorScheme, viewport: { width, height: 800 }, locale: language });
        await page.goto(`http://127.0.0.1:${listener.port}/status`);
        t.equal(await page.getAttribute("html", "lang"), language, "as the browser asks");
        const { violations } = await new AxeBuilder({ page }).analyze();
        t.same(
          violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
          [],
          `${look.name}, ${colorScheme}`,
        );
        t.ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing has to be moved sideways");
        t.equal(await page.evaluate("document.styleSheets.length"), 1, "its style is there");
        t.same(faults, []);
        if (folder !== undefined)
          await page.screenshot({ path: `${folder}/status-${look.name.replaceAll(" ", "-")}-${colorScheme}.png`, fullPage: true });
      }
    }
    const { page } = await openTab(t, browser, { javaScriptEnabled: false });
    await page.goto(`http://127.0.0.1:${listener.port}/status`);
    await page.getByRole("link", { name: "Français" }).click();
    t.match(page.url(), /lang=fr/);
    await page.getByRole("link", { name: "Ne pas l'actualiser" }).click();
    t.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Matching service");
    await page.getByRole("link", { name: "English" }).click();
    t.match(page.url(), /refresh=off/, "who has stopped it is not asked again");
  },
);

import { AxeBuilder } from "@axe-core/playwright";
import type { BrowserContextOptions, Page } from "playwright-core";
import t from "tap";
import { NO_BROWSER } from "./support/browser.ts";
import { connectionIs, figure, open, stage } from "./support/dashboard.ts";

/** Whoever cannot see, point or look at a large screen uses the dashboard too. */

t.setTimeout(300_000);
const staged = stage();

async function violations(page: Page): Promise<readonly string[]> {
  const { violations: found } = await new AxeBuilder({ page }).analyze();
  return found.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${String(target)} ${failureSummary ?? ""}`));
}

const overflow = (page: Page): Promise<number> =>
  page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");

t.test("nobody is kept out: axe finds nothing, and nothing is wider than the screen", { skip: NO_BROWSER }, async (t) => {
  const ways: readonly (readonly [string, BrowserContextOptions])[] = [
    ["light", { colorScheme: "light" }],
    ["dark", { colorScheme: "dark" }],
    ["narrow", { viewport: { width: 360, height: 740 } }],
    ["French, dark and narrow", { locale: "fr-FR", colorScheme: "dark", viewport: { width: 360, height: 740 } }],
  ];
  for (const [name, options] of ways) {
    await t.test(name, async (t) => {
      const { page, faults } = await open(t, await staged(), { options });
      await page.waitForSelector(figure("inforce"));
      t.same(await violations(page), []);
      t.equal(await overflow(page), 0);
      t.equal(await page.getAttribute("html", "lang"), name.startsWith("French") ? "fr" : "en");
      await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))");
      t.same(await violations(page), [], "with everything unfolded");
      t.same(faults, []);
    });
  }
  await t.test("in the dialog of the way back, and while old figures are shown", async (t) => {
    const { page, fake } = await open(t, await staged(), { expected: /ERR_|Failed to load/ });
    await page.click("[data-button=rollback]");
    await page.waitForSelector("dialog[open]");
    t.same(await violations(page), []);
    await page.keyboard.press("Escape");
    await fake.stop();
    await page.waitForSelector(connectionIs("reconnecting"));
    t.same(await violations(page), []);
  });
  await t.test("signing in", async (t) => {
    const { page } = await open(t, await staged(), { token: "secret", expected: /401/ });
    await page.waitForSelector("input[name=token]");
    t.same(await violations(page), []);
  });
});

t.test("the way back is reached and left by keys alone", { skip: NO_BROWSER }, async (t) => {
  const { page } = await open(t, await staged());
  await page.waitForSelector("[data-button=rollback]");
  const focused = (): Promise<string> => page.evaluate<string>("document.activeElement.dataset.button ?? document.activeElement.className");
  await page.keyboard.press("Tab");
  t.equal(await focused(), "skip", "first of all one may skip to the figures");
  for (let presses = 0; presses < 10 && (await focused()) !== "rollback"; presses++) await page.keyboard.press("Tab");
  t.equal(await focused(), "rollback");
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
  t.ok(await page.evaluate<boolean>("document.querySelector('dialog[open]').contains(document.activeElement)"), "the focus is inside");
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog[open]", { state: "hidden" });
  t.equal(await focused(), "rollback", "and goes back to where it was");
});

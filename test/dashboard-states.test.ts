import { AxeBuilder } from "@axe-core/playwright";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import t, { type Test } from "tap";
import type { LiveView } from "../src/admin/live/view.ts";
import { buildDashboard } from "../src/dashboard/build.ts";
import { temporaryDirectory } from "./support/app.ts";
import { NO_BROWSER, openTab, startBrowser, type Tab } from "./support/browser.ts";
import { type FakeLive, startFakeLive } from "./support/fake-live.ts";
import { heldView, rollingBackView, shiftingView, storelessView } from "./support/live-states.ts";
import { liveView } from "./support/live-world.ts";

/** What the panels say in states that a real program is seldom in. */

t.setTimeout(300_000);

const NOW = 1_790_000_000_000;
const PATIENCE_MS = 60_000;

let browser: Browser;
let folder: string;
t.before(async () => {
  if (NO_BROWSER !== false) return;
  folder = join(await temporaryDirectory(t), "dashboard");
  await buildDashboard(folder);
  browser = await startBrowser(t);
});

async function show(t: Test, view: LiveView, locale = "en-GB"): Promise<Tab & { readonly fake: FakeLive }> {
  const fake = await startFakeLive(t, folder, view);
  const tab = await openTab(t, browser, { locale, timezoneId: "UTC" }, (text) => /status of 4\d\d/.test(text));
  tab.page.setDefaultTimeout(PATIENCE_MS);
  await tab.page.goto(fake.url);
  await tab.page.waitForSelector("#audit");
  return { ...tab, fake };
}

/** Its words, with blanks of every kind as one. */
async function wordsOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).innerText()).replace(/\s+/g, " ").trim();
}

async function violations(page: Page): Promise<readonly string[]> {
  const { violations: found } = await new AxeBuilder({ page }).analyze();
  return found.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${String(target)} ${failureSummary ?? ""}`));
}

t.test("a rollback under way: who has confirmed and who has not, and each hook", { skip: NO_BROWSER }, async (t) => {
  const { page, faults } = await show(t, rollingBackView(NOW));
  const state = await wordsOf(page, "#state");
  t.match(state, /from \S+ · decided by crossfade, .* · trigger errors/);
  t.match(state, /confirmed by 1 of 2 after 1 s .*by edge-1 · missing: edge-2/);
  t.match(await wordsOf(page, '[data-row="notify"]'), /^notify .*failed 310 ms exit code 3: mail is down$/);
  t.match(await wordsOf(page, '[data-row="restore"]'), /done 8.42 s 200/);
  t.match(await wordsOf(page, '[data-row="verify"]'), /running –/);
  t.equal(await page.locator('[data-button="rollback"]').getAttribute("title"), "it is being rolled back");
  t.match(await wordsOf(page, '#instances [data-row="edge-2"]'), /alive .*behind 41/);
  t.match(await wordsOf(page, '#instances [data-row="edge-3"]'), /silent 12/);
  t.match(
    await wordsOf(page, "#rejections"),
    /rollout_percentge 30 rollout_percentge: is not a known field; did you mean rollout_percentage\?/,
  );
  t.match(await wordsOf(page, "#sla"), /breached errors v2 all 2.1 % ≤ 1 % -110 %/);
  await page.click("[data-sla-rest] > summary");
  await page.waitForSelector("[data-table=sla-rest]");
  t.match(await wordsOf(page, "#sla"), /no data accuracy v2 all – ≥ 85 % – 1 d/, "what is not known is no number");
  t.match(await wordsOf(page, "#sla"), /P95 96 ms, limit 100 ms|P95 96.4 ms, limit 100 ms/);
  t.same(await violations(page), []);
  t.same(faults, []);
});

t.test("the same in French, with nothing left in English but the API's own words", { skip: NO_BROWSER }, async (t) => {
  const { page, faults } = await show(t, rollingBackView(NOW), "fr-FR");
  const state = await wordsOf(page, "#state");
  t.match(state, /confirmé par 1 sur 2 après 1 s .*par edge-1 · manquent : edge-2/);
  t.match(await wordsOf(page, '[data-row="restore"]'), /faite 8,42 s/);
  t.match(await wordsOf(page, "#incidents"), /Réponses lentes .*dégradé .*en recherche Nous cherchons\./);
  t.match(await wordsOf(page, "#notices"), /P1 retour arrière en cours 3 fois .*technical : niveau 2 appelé/);
  t.equal(
    await page.locator('#incidents [data-table="maintenance"] [lang="en"]').first().innerText(),
    "Move",
    "in the language that there is",
  );
  t.same(await violations(page), []);
  t.same(faults, []);
});

t.test("a notice is acknowledged with a name; a dead channel is shown with its last error", { skip: NO_BROWSER }, async (t) => {
  const { page, fake, faults } = await show(t, rollingBackView(NOW));
  t.match(await wordsOf(page, '[data-row="mail"]'), /mail \(email\) .*failing since .* connect ECONNREFUSED 4 never/);
  t.match(await wordsOf(page, '[data-row="ntc-6"]'), /store lost .*acknowledged by amina/);
  t.equal(await page.locator('[data-button="acknowledge"]').count(), 1, "what is acknowledged has no button");
  fake.answers.set("POST /api/notices/ntc-7/ack", {
    status: 409,
    body: { status: 409, code: "refused", title: "This cannot be done now", detail: "It is over." },
  });
  await page.click('[data-button="acknowledge"]');
  await page.fill("dialog[open] [name=who]", "Zoé");
  await page.click('dialog[open] [data-button="confirm"]');
  t.match(await wordsOf(page, "dialog[open] [data-refusal]"), /Refused \(409\): This cannot be done now It is over\./);
  fake.answers.set("POST /api/notices/ntc-7/ack", { status: 200, body: {} });
  await page.click('dialog[open] [data-button="confirm"]');
  await page.waitForSelector("dialog[open] [data-receipt]");
  const sent = fake.asked.findLast(({ path }) => path.endsWith("/ack"));
  t.equal(Buffer.from(sent?.headers["x-crossfade-user"]?.toString() ?? "", "latin1").toString("utf8"), "Zoé");
  t.equal(sent?.body, '{"reason":""}');
  t.same(faults, []);
});

t.test("an act that got no answer is not said to have failed", { skip: NO_BROWSER }, async (t) => {
  const { page } = await show(t, liveView(NOW, NOW));
  await page.click('[data-button="rollback"]');
  await page.context().setOffline(true);
  await page.click('dialog[open] [data-button="confirm"]');
  t.match(await wordsOf(page, "dialog[open] [data-refusal]"), /The act may have been done all the same/);
});

t.test("a way back in stages, a hand on the settings, and no store", { skip: NO_BROWSER }, async (t) => {
  const { page, fake, faults } = await show(t, shiftingView(NOW));
  t.equal(await page.locator("#state [data-shift] li").count(), 3);
  t.match(await wordsOf(page, "#state [data-shift]"), /^10 % at .* 5 % at .* 0 % at /);
  t.equal(await page.locator('[data-button="rollback"]').getAttribute("aria-disabled"), "false", "it can be hastened");

  fake.show(heldView(NOW + 1_000));
  await page.waitForSelector('#state [data-held="foreign"]');
  t.match(await wordsOf(page, "#state"), /rollout_percentage is 30 % and not 25 % .*only a person lets it go on/);
  t.same(await violations(page), []);

  fake.show(storelessView(NOW + 2_000));
  await page.locator("#plan").getByText("The store cannot be asked").waitFor();
  t.match(await wordsOf(page, "#instances"), /cannot be asked/);
  t.match(await wordsOf(page, "#audit"), /cannot be asked/);
  t.equal(await page.locator('#acts [aria-disabled="true"]').count(), 1, "nothing is ruled out but to revive what lives");
  t.same(await violations(page), []);
  t.same(faults, []);
});

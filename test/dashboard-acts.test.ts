import { AxeBuilder } from "@axe-core/playwright";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import t, { type Test } from "tap";
import { builtDashboard } from "../src/admin/static.ts";
import { flagKeys } from "../src/store/keys.ts";
import { until } from "./support/backend.ts";
import { NO_BROWSER, openTab, startBrowser, type Tab } from "./support/browser.ts";
import { begin, HALF, planText, QUICK, startFleet, type Fleet } from "./support/running-rollout.ts";
import type { App } from "./support/app.ts";

/** People act on a real fleet through the page that the program serves. */

t.setTimeout(300_000);

/** A refused act is an answer that browsers write into their console. */
const REFUSAL = /Failed to load resource: the server responded with a status of 4\d\d/;
/** For a machine that is busy with other things. */
const PATIENCE_MS = 60_000;
const HASH = flagKeys("crossfade:", "move", []).flags;

let browser: Browser;
t.before(async () => {
  if (NO_BROWSER !== false) return;
  if (!existsSync(join(builtDashboard(), "index.html"))) throw new Error("the dashboard is not built: npm run dashboard");
  browser = await startBrowser(t);
});

async function look(t: Test, app: App, options: BrowserContextOptions = {}): Promise<Tab> {
  const tab = await openTab(t, browser, options, (text) => REFUSAL.test(text));
  tab.page.setDefaultTimeout(PATIENCE_MS);
  await tab.page.goto(`http://127.0.0.1:${app.admin.port}/`);
  await tab.page.waitForSelector("#plan");
  return tab;
}

const button = (name: string): string => `[data-button="${name}"]`;
const inDialog = (selector: string): string => `dialog[open] ${selector}`;

/** Opens an act's dialog and gives a reason where it asks for one. */
async function open(page: Page, act: string, reason?: string): Promise<void> {
  await page.click(`${button(act)}:not([aria-disabled="true"])`);
  await page.waitForSelector(`dialog[open][data-dialog="${act}"]`);
  if (reason !== undefined) await page.fill(inDialog("[name=reason]"), reason);
}

async function confirm(page: Page): Promise<void> {
  await page.click(inDialog(button("confirm")));
}

async function receipt(page: Page): Promise<string> {
  return page.locator(inDialog("[data-receipt]")).innerText();
}

async function refusal(page: Page): Promise<string> {
  return page.locator(inDialog("[data-refusal]")).innerText();
}

async function field(t: Test, fleet: Fleet, name: string): Promise<string | null> {
  const redis = new Redis(fleet.redis.url);
  t.teardown(() => redis.disconnect());
  return redis.hget(HASH, name);
}

t.test("two presses take everybody back: in the store, on every instance, and on the page", { skip: NO_BROWSER }, async (t) => {
  const fleet = await startFleet(t);
  await begin(fleet, planText([HALF]));
  const { page, faults } = await look(t, fleet.other);
  await page.waitForSelector('[data-step="half"][data-place="present"]');
  t.equal(await field(t, fleet, "rollout_percentage"), "50");

  await page.click(button("rollback"));
  await page.click(inDialog(button("confirm")));

  const said = await receipt(page);
  t.match(said, /Revision \d+, confirmed by 2 of 2\./);
  t.match(said, /Confirmed by (one, other|other, one)\./);
  t.equal(await field(t, fleet, "rollout_percentage"), "0");
  t.same(
    fleet.apps.map((app) => app.control.status().flags[0]?.percentage),
    [0, 0],
  );
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog[open]", { state: "detached" });
  await page.waitForSelector('#state [data-status="rolled-back"]');
  await page.waitForSelector('[data-step="half"][data-place="left"]');
  t.match(await page.locator("#state [data-rollback]").innerText(), /rolled back from the dashboard/);
  t.match(await page.locator('#state [data-traffic="confirmed"]').innerText(), /confirmed by 2 of 2 after \d+/);
  t.match(await page.locator('[data-table="audit"]').innerText(), /rollout_percentage: 50 → 0[^]*rolled back from the dashboard/);
  const head = page.locator(button("rollback"));
  t.equal(await head.getAttribute("aria-disabled"), "true");
  t.match(await head.getAttribute("title"), /rolled back already/);
  await head.click({ force: true });
  t.equal(await page.locator("dialog[open]").count(), 0, "what makes no sense opens nothing");

  await open(page, "resume", "fixed in 2.0.1");
  t.same(await page.locator(inDialog("select[name=step] option")).allTextContents(), ["the step that was left", "half (50 %)"].map(nbsp));
  await page.selectOption(inDialog("select[name=step]"), "half");
  await confirm(page);
  t.match(await receipt(page), /resumed by admin at half \(50 %\) after the rollback/);
  t.equal(await field(t, fleet, "rollout_percentage"), "50");
  t.same(faults, []);
});

/** A number and its sign stay on one line. */
function nbsp(text: string): string {
  return text.replaceAll(" %", "\u00a0%");
}

t.test("with the keyboard alone: there, taken back, and where one was", { skip: NO_BROWSER }, async (t) => {
  const fleet = await startFleet(t, { instances: 1 });
  await begin(fleet, planText([HALF]));
  const { page, faults } = await look(t, fleet.one);
  const at = (): Promise<string | null> => page.evaluate("document.activeElement?.getAttribute('data-button') ?? null");
  let presses = 0;
  while ((await at()) !== "rollback" && presses++ < 20) await page.keyboard.press("Tab");
  t.equal(await at(), "rollback", "it is among the first things that are reached");
  await page.keyboard.press("Enter");
  await page.waitForSelector('dialog[open][data-dialog="rollback"]');
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog[open]", { state: "detached" });
  t.equal(await at(), "rollback", "Escape gives the focus back");
  await page.keyboard.press("Enter");
  await page.waitForSelector('dialog[open][data-dialog="rollback"]');
  t.equal(await page.evaluate("document.activeElement.name"), "reason");
  await page.keyboard.press("Enter");
  await page.waitForSelector(inDialog("[data-receipt]"));
  t.equal(await at(), "close");
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]", { state: "detached" });
  t.equal(await at(), "rollback");
  t.equal(await field(t, fleet, "rollout_percentage"), "0");
  t.same(faults, []);
});

t.test(
  "a plan that cannot be understood, or cannot work, is refused line by line; force begins it all the same",
  { skip: NO_BROWSER },
  async (t) => {
    const fleet = await startFleet(t, { instances: 1 });
    const { page, faults } = await look(t, fleet.one);
    await page.fill("#acts [name=actor]", "Zoé");
    for (const act of ["approve", "pause", "resume", "advance"])
      t.equal(await page.locator(`#acts ${button(act)}`).getAttribute("title"), "there is no rollout", act);
    await open(page, "start");
    await confirm(page);
    t.equal(await page.locator(inDialog(".field-error")).innerText(), "Say why: it goes into the audit.");
    await page.fill(inDialog("[name=reason]"), "go of the 7th");
    await confirm(page);
    t.match(await page.locator(inDialog("[role=alert]")).innerText(), /Paste the text of a plan/);

    await page.fill(inDialog("[name=plan]"), "name: quick\nflag: move\nsteps: [ { name: half, percentge: 50 } ]");
    await confirm(page);
    t.match(await refusal(page), /Refused \(409\)[^]*plan:3:\d+ [^]*percentge: is not a known key; did you mean percentage\?/);
    const axe = await new AxeBuilder({ page }).include("dialog[open]").analyze();
    t.same(
      axe.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
      [],
    );

    const plan = planText([HALF], "triggers: [ { metric: p95, at_most: 10ms, window: 10s } ]\nexpects: { requests: 100/s, p95: 500ms }");
    await page.setInputFiles(inDialog("[name=file]"), { name: "quick.yaml", mimeType: "text/yaml", buffer: Buffer.from(plan) });
    await until("the file is read", async () => (await page.inputValue(inDialog("[name=plan]"))).includes("expects"));
    await confirm(page);
    t.match(await refusal(page), /cannot work as it is[^]*plan:\d+:\d+ /);
    t.equal(await field(t, fleet, "rollout_percentage"), null, "nothing was begun");
    await page.check(inDialog("[name=force]"));
    await confirm(page);
    t.match(await receipt(page), /quick started at half \(50 %\)/);
    await page.keyboard.press("Escape");
    t.match(await page.locator("#plan").innerText(), /started by Zoé/);
    t.equal(await field(t, fleet, "rollout_percentage"), "50");
    t.same(faults, []);
  },
);

t.test(
  "a share changed by hand is not written over somebody else's change; the rollout is held, and says so",
  { skip: NO_BROWSER },
  async (t) => {
    const fleet = await startFleet(t, { instances: 1 });
    await begin(fleet, planText([HALF]));
    const { page, faults } = await look(t, fleet.one);
    await open(page, "settings", "trade fair");
    await page.fill(inDialog("[name=rollout_percentage]"), "120");
    await confirm(page);
    t.match(await page.locator(inDialog(".field-error")).innerText(), /rollout_percentage: .*120/);
    await page.fill(inDialog("[name=rollout_percentage]"), "30");
    const { revision } = await fleet.one.control.change(
      "move",
      { "fallback.budget": "15" },
      { who: "ops", reason: "meanwhile" },
      { ifRevision: undefined, waitMs: 2_000 },
    );
    await confirm(page);
    t.match(await refusal(page), /Refused \(412\)[^]*The settings have changed meanwhile/);
    t.equal(await field(t, fleet, "rollout_percentage"), "50");
    await page.locator(inDialog(".act-about")).getByText(`revision ${revision}:`).waitFor();
    await confirm(page);
    t.match(await receipt(page), /confirmed by 1 of 1/);
    t.equal(await field(t, fleet, "rollout_percentage"), "30");
    await page.keyboard.press("Escape");
    await page.waitForSelector('#state [data-held="foreign"]');
    t.match(await page.locator("#state").innerText(), /rollout_percentage is 30 % and not 50 %/);
    t.equal(await page.locator(`#acts ${button("advance")}`).getAttribute("title"), "it is held: resume it first");

    await open(page, "kill");
    await confirm(page);
    t.match(await receipt(page), /confirmed by 1 of 1/);
    await page.keyboard.press("Escape");
    await page.waitForSelector(`#acts ${button("kill")}[aria-disabled="true"]`);
    t.equal(fleet.one.control.status().flags[0]?.killed, true);
    await open(page, "unkill", "over");
    await confirm(page);
    await page.waitForSelector(inDialog("[data-receipt]"));
    t.equal(fleet.one.control.status().flags[0]?.killed, false);
    t.same(faults, []);
  },
);

const PEOPLE = `, people: { alice: { token: alice-secret, roles: [ops] }, bruno: { token: bruno-secret, roles: [product, ops] } }`;

t.test("an approval in a role that is another's is refused as the API says; one's own is taken", { skip: NO_BROWSER }, async (t) => {
  const fleet = await startFleet(t, { instances: 1, admin: PEOPLE });
  await begin(
    fleet,
    planText(["{ name: half, percentage: 50, dwell: 1h, approvals: [ops, product] }", "{ name: all, percentage: 100, dwell: 1h }"]),
  );
  const { page, faults } = await look(t, fleet.one);
  await open(page, "approve");
  await confirm(page);
  t.match(await refusal(page), /Refused \(403\)[^]*an approval takes one: send yours/, "without a token nobody is two people");
  await page.keyboard.press("Escape");

  await page.evaluate("sessionStorage.setItem('crossfade.token', 'alice-secret')");
  await page.reload();
  await page.waitForSelector("#plan");
  await open(page, "approve");
  await page.selectOption(inDialog("select[name=role]"), "product");
  await confirm(page);
  t.match(await refusal(page), /Refused \(403\)[^]*You do not have the role "product"[^]*Yours: ops/);
  await page.selectOption(inDialog("select[name=role]"), "ops");
  await confirm(page);
  t.match(await receipt(page), /approved by alice \(ops\); still to approve: product/);
  await page.keyboard.press("Escape");
  const given = page.locator('[data-approval="ops"]').first();
  await given.getByText(/alice/).waitFor();
  t.match(await page.locator('[data-approval="product"]').first().innerText(), /product: missing/);
  t.match(await page.locator(`#acts ${button("advance")}`).getAttribute("title"), /approvals are missing/);
  t.same(faults, []);
});

t.test("explain says of a user what the API says, in the language of the page", { skip: NO_BROWSER }, async (t) => {
  const fleet = await startFleet(t, { instances: 1 });
  await begin(fleet, planText([HALF]));
  const { page, faults } = await look(t, fleet.one, { locale: "fr-FR" });
  for (const user of ["user-17", "Zoé & co", "42"]) {
    const told = fleet.one.control.explain({ flag: "move", user, segment: undefined, atBp: 8_000 });
    await page.fill("#explain [name=user]", user);
    await page.fill("#explain [name=at]", "80");
    await page.click(`#explain ${button("explain")}`);
    await page.locator("#explain .explain-answer").getByText(`${user} est sur la branche`).waitFor();
    t.equal(await page.locator("#explain [data-explanation]").getAttribute("data-explanation"), told.arm);
    t.equal(await page.locator("#explain [data-bucket]").getAttribute("data-bucket"), String(told.bucket));
    t.equal(await page.locator("#explain [data-reason]").innerText(), "la part globale");
    t.equal(await page.locator("#explain [data-at]").getAttribute("data-at"), told.at?.arm);
  }
  await page.fill("#explain [name=at]", "beaucoup");
  await page.click(`#explain ${button("explain")}`);
  t.match(await page.locator("#explain [data-refusal]").innerText(), /Refusé \(400\)[^]*"beaucoup" is not a percentage/);
  t.same(faults, []);
});

t.test("a rehearsal is timed, and stays on the page when its dialog is closed", { skip: NO_BROWSER }, async (t) => {
  const fleet = await startFleet(t);
  await begin(fleet, planText([HALF]));
  const { page, faults } = await look(t, fleet.one);
  await open(page, "drill");
  await confirm(page);
  await page.waitForSelector(inDialog("[data-drill]"));
  t.match(await page.locator(inDialog("table")).innerText(), /traffic[^]*confirmed by all 2 instances/);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#state [data-drill]");
  t.equal(await field(t, fleet, "rollout_percentage"), "50");
  t.same(faults, []);
});

t.test("an incident and a maintenance are told, updated and ended from the page", { skip: NO_BROWSER }, async (t) => {
  const fleet = await startFleet(t, { instances: 1, more: QUICK });
  const { page, faults } = await look(t, fleet.one);
  await page.click(button("open-incident"));
  await confirm(page);
  t.match(await page.locator(inDialog("[role=alert]")).innerText(), /in one language at least/);
  await page.fill(inDialog("[name=title-en]"), "Slow answers");
  await page.fill(inDialog("[name=text-fr]"), "Nous cherchons.");
  await confirm(page);
  await page.waitForSelector(inDialog("[data-receipt]"));
  await page.click(inDialog(button("close")));
  await page.locator('[data-table="incidents"]').getByText("Slow answers").waitFor();
  t.match(await page.locator('[data-table="incidents"]').innerText(), /P1[^]*degraded[^]*investigating[^]*Nous cherchons\./);

  await page.click(button("resolve-incident"));
  await page.fill(inDialog("[name=text-en]"), "All is well.");
  await confirm(page);
  await page.waitForSelector(inDialog("[data-receipt]"));
  await page.click(inDialog(button("close")));
  await page.locator('[data-table="incidents"]').getByText("resolved").waitFor();

  await page.click(button("announce"));
  await page.fill(inDialog("[name=title-fr]"), "Déménagement");
  await page.fill(inDialog("[name=text-fr]"), "De courtes coupures.");
  await page.fill(inDialog("[name=from]"), "2099-01-02T22:00");
  await page.fill(inDialog("[name=to]"), "2099-01-02T21:00");
  await confirm(page);
  t.match(await page.locator(inDialog("[role=alert]")).innerText(), /end must come after/);
  await page.fill(inDialog("[name=to]"), "2099-01-02T23:30");
  await confirm(page);
  await page.waitForSelector(inDialog(`[data-receipt], [data-refusal]`));
  await page.keyboard.press("Escape");
  await page.locator('[data-table="maintenance"]').getByText("Déménagement").waitFor();
  await page.click(button("cancel-maintenance"));
  await confirm(page);
  await page.waitForSelector(inDialog("[data-receipt]"));
  await page.keyboard.press("Escape");
  await page.waitForSelector('[data-table="maintenance"]', { state: "detached" });
  t.same(faults, []);
});

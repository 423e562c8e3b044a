import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import t, { type Test } from "tap";
import { buildDashboard } from "../../src/dashboard/build.ts";
import { temporaryDirectory } from "./app.ts";
import { until } from "./backend.ts";
import { openTab, startBrowser, type Tab } from "./browser.ts";
import { type FakeLive, startFakeLive } from "./fake-live.ts";
import { liveHistory, liveView, NOW } from "./live-world.ts";

/** The dashboard as it is in the sources, built anew, in a real browser, before a feed that the test holds. */

export const PATIENCE_MS = 30_000;

/** A browser and the built page, once for all tests of a file. */
export interface Stage {
  readonly browser: Browser;
  readonly folder: string;
}

/** To be awaited in a test that is not skipped. */
export function stage(): () => Promise<Stage> {
  let held: Promise<Stage> | undefined;
  const set = async (): Promise<Stage> => {
    const folder = join(await temporaryDirectory(t), "dashboard");
    await buildDashboard(folder);
    return { folder, browser: await startBrowser(t) };
  };
  return () => (held ??= set());
}

export interface World extends Tab {
  readonly fake: FakeLive;
}

export interface Setup {
  readonly options?: BrowserContextOptions;
  /** What the browser itself may complain about, since the test brings it about. */
  readonly expected?: RegExp;
  /** Of the API. */
  readonly token?: string;
  readonly refusal?: FakeLive["refusal"];
}

/** A tab at the page of a feed of its own. */
export async function open(t: Test, { browser, folder }: Stage, setup: Setup = {}): Promise<World> {
  const fake = await startFakeLive(t, folder, liveView(NOW, NOW));
  fake.history.push(...liveHistory(NOW));
  fake.token = setup.token;
  fake.refusal = setup.refusal;
  const { expected } = setup;
  const tab = await openTab(t, browser, setup.options, (text) => expected?.test(text) ?? false);
  tab.page.setDefaultTimeout(PATIENCE_MS);
  await tab.page.goto(fake.url);
  return { ...tab, fake };
}

export const figure = (name: string): string => `[data-figure=${name}] .figure-value`;
export const connectionIs = (state: string): string => `[data-connection=${state}]`;

/** Its words, with blanks of every kind as one. */
export async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).first().innerText()).replace(/\s+/g, " ").trim();
}

export async function becomes(page: Page, selector: string, text: string): Promise<void> {
  let last = "";
  await until(`${selector} says ${text}`, async () => (last = await textOf(page, selector)) === text, PATIENCE_MS).catch(
    (error: unknown) => {
      throw new Error(`${selector} says ${JSON.stringify(last)}`, { cause: error });
    },
  );
}

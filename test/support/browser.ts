import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { Scope } from "./backend.ts";

/** A real browser for tests of pages. */

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Else `performance.memory` is rounded, and pages in the background are slowed down.
  "--enable-precise-memory-info",
  "--disable-renderer-backgrounding",
];

/** The browser of this machine: `$CHROMIUM`, or the first of its usual names on the path. */
export function findBrowser(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter(Boolean);
  const candidates = [process.env["CHROMIUM"], ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))];
  return candidates.find((path): path is string => path !== undefined && path !== "" && isProgram(path));
}

/** What a test that needs one says where there is none; false: there is one. */
export const NO_BROWSER: string | false =
  findBrowser() === undefined && "no browser was found: install chromium (apt-get install chromium), or name one by CHROMIUM=/path/to/it";

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export async function startBrowser(scope: Scope): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) throw new Error(String(NO_BROWSER));
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS });
  scope.teardown(() => browser.close());
  return browser;
}

export interface Tab {
  readonly page: Page;
  /** What the page did wrong: errors of its scripts and of the console, violations of the content security policy. */
  readonly faults: string[];
}

/** A fresh tab with nothing kept from others. `isExpected` passes over what a test brings about on purpose. */
export async function openTab(
  scope: Scope,
  browser: Browser,
  options: BrowserContextOptions = {},
  isExpected: (text: string) => boolean = () => false,
): Promise<Tab> {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1_440, height: 1_000 }, ...options });
  scope.teardown(() => context.close());
  const page = await context.newPage();
  const faults: string[] = [];
  const note = (text: string): void => {
    if (!isExpected(text)) faults.push(text);
  };
  page.on("pageerror", (error) => note(`error: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") note(`console: ${message.text()}`);
  });
  return { page, faults };
}

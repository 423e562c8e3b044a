import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type CDPSession, chromium, type Page } from "playwright-core";
import { findBrowser, NO_BROWSER } from "../test/support/browser.ts";
import { startRedis } from "../test/support/redis.ts";
import { crossfade } from "./contenders/crossfade.ts";
import { decimals, median, table } from "./figures.ts";
import { USUAL } from "./load/job.ts";
import { progress } from "./options.ts";
import { wholeNumber } from "./whole-number.ts";
import { inWorld } from "./world.ts";

/** The charts show so many minutes; until then there is more to draw with each. */
const FILL_MINUTES = 15;

const USAGE = `What the dashboard costs while it stays open: a program with Redis, load at a constant rate, the page in a real browser.

  heap, nodes, listeners   of the page, after garbage collection
  page ms/s                CPU time of the browser's process that draws the page, for each second
  control ms/s             CPU time of the program's first thread, which feeds the page, for each second
  memory MB                resident memory of the whole program

One line a minute. At the end the slope of each by the method of Theil and Sen, from when the charts are full (${FILL_MINUTES} minutes, or half of the run), and
whether it is flat: over an hour no more than a tenth of its median, or than the grain named with it.

Usage: node bench/page.ts [--minutes 60] [--rate 500]

Example: node bench/page.ts --minutes 10 --rate 300
`;

const CONNECTIONS = 64;
/** Clock ticks of /proc, milliseconds. */
const TICK_MS = 10;
const FIGURE = "[data-figure=inforce] .figure-value";

const COLUMNS = ["heapMb", "nodes", "listeners", "pageMs", "controlMs", "memoryMb"] as const;
type Column = (typeof COLUMNS)[number];
type Sample = Readonly<Record<Column, number>>;

interface Shape {
  readonly title: string;
  readonly digits: number;
  /** More than this over an hour is growth, however small the median is. */
  readonly grain: number;
}

const SHAPES: Readonly<Record<Column, Shape>> = {
  heapMb: { title: "heap MB", digits: 2, grain: 0.5 },
  nodes: { title: "nodes", digits: 0, grain: 20 },
  listeners: { title: "listeners", digits: 0, grain: 5 },
  pageMs: { title: "page ms/s", digits: 1, grain: 5 },
  controlMs: { title: "control ms/s", digits: 1, grain: 5 },
  memoryMb: { title: "memory MB", digits: 1, grain: 10 },
};

/** CPU time of a process' first thread so far, milliseconds. */
function threadMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/task/${pid}/stat`, "latin1");
  // After the name, which may hold blanks; the 14th and 15th fields of all.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? Number.NaN) / 1024;
}

/** CPU time of everything that draws so far, milliseconds. */
async function rendererMs(browser: CDPSession): Promise<number> {
  const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
  return processInfo.filter(({ type }) => type === "renderer").reduce((sum, { cpuTime }) => sum + cpuTime * 1000, 0);
}

/** Median of the slopes between every two, for each step: a single minute that the machine disturbed does not move it. */
function slopeOf(values: readonly number[]): number {
  const slopes = values.flatMap((from, first) => values.slice(first + 1).map((to, step) => (to - from) / (step + 1)));
  return slopes.length === 0 ? Number.NaN : median(slopes);
}

interface Watched {
  readonly page: Page;
  readonly tab: CDPSession;
  readonly browser: CDPSession;
  readonly pid: number;
}

async function* watch({ page, tab, browser, pid }: Watched, minutes: number): AsyncGenerator<Sample> {
  let at = performance.now();
  let drawn = await rendererMs(browser);
  let fed = threadMs(pid);
  const start = at;
  for (let minute = 1; minute <= minutes; minute++) {
    await delay(Math.max(0, start + minute * 60_000 - performance.now()));
    const now = performance.now();
    // Before the garbage is collected: that is no work of the page's own.
    const [drawnNow, fedNow] = [await rendererMs(browser), threadMs(pid)];
    const seconds = (now - at) / 1000;
    await tab.send("HeapProfiler.collectGarbage");
    const { usedSize } = await tab.send("Runtime.getHeapUsage");
    const { nodes, jsEventListeners } = await tab.send("Memory.getDOMCounters");
    const state = await page.locator("[data-connection]").first().getAttribute("data-connection");
    if (state !== "live") throw new Error(`after ${minute} min the page is not live but ${JSON.stringify(state)}`);
    yield {
      heapMb: usedSize / 1_048_576,
      nodes,
      listeners: jsEventListeners,
      pageMs: (drawnNow - drawn) / seconds,
      controlMs: (fedNow - fed) / seconds,
      memoryMb: residentMb(pid),
    };
    at = performance.now();
    drawn = await rendererMs(browser);
    fed = threadMs(pid);
  }
}

function rowOf(name: string, numberOf: (column: Column) => string): string[] {
  return [name, ...COLUMNS.map(numberOf)];
}

function reportOf(samples: readonly Sample[]): { readonly text: string; readonly isFlat: boolean } {
  const settled = samples.slice(Math.min(FILL_MINUTES, Math.floor(samples.length / 2)));
  const verdicts = new Map<Column, { readonly middle: number; readonly hourly: number; readonly isFlat: boolean }>();
  for (const column of COLUMNS) {
    const values = settled.map((sample) => sample[column]);
    const middle = median(values);
    const hourly = slopeOf(values) * 60;
    verdicts.set(column, { middle, hourly, isFlat: hourly <= Math.max(middle / 10, SHAPES[column].grain) });
  }
  const told = (column: Column, key: "middle" | "hourly"): string =>
    decimals(verdicts.get(column)?.[key] ?? Number.NaN, SHAPES[column].digits);
  const text = table([
    rowOf(`${settled.length} of ${samples.length} minutes`, (column) => SHAPES[column].title),
    rowOf("median", (column) => told(column, "middle")),
    rowOf("slope an hour", (column) => told(column, "hourly")),
    rowOf("verdict", (column) => (verdicts.get(column)?.isFlat === true ? "flat" : "GROWS")),
  ]);
  return { text, isFlat: [...verdicts.values()].every(({ isFlat }) => isFlat) };
}

async function run(minutes: number, rate: number): Promise<boolean> {
  const executablePath = findBrowser();
  if (executablePath === undefined) throw new Error(String(NO_BROWSER));
  const redis = await startRedis();
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-precise-memory-info"],
  });
  try {
    return await inWorld(async (world, generator) => {
      await generator.load(USUAL);
      const contender = crossfade("page", "", { store: redis.url, segments: true, quality: true });
      const lacking = contender.lacks();
      if (lacking !== undefined) throw new Error(lacking);
      const { port, child, adminPort = 0 } = await contender.start({ ...world, cpus: undefined });
      const pid = child?.pid ?? 0;
      const load = generator.run({ port, connections: CONNECTIONS, rate, warmMs: 0, measureMs: minutes * 60_000 + 10_000, pids: [pid] });
      // Whoever waits for it hears of it; until then it is nobody's.
      load.catch(() => {});
      const page = await browser.newPage({ viewport: { width: 1_440, height: 1_000 } });
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") faults.push(message.text());
      });
      await page.goto(`http://127.0.0.1:${adminPort}/`);
      await page.waitForSelector(FIGURE);
      const tab = await page.context().newCDPSession(page);
      const samples: Sample[] = [];
      process.stdout.write(`${rowOf("min", (column) => SHAPES[column].title).join("\t")}\n`);
      for await (const sample of watch({ page, tab, browser: await browser.newBrowserCDPSession(), pid }, minutes)) {
        samples.push(sample);
        process.stdout.write(`${rowOf(String(samples.length), (column) => decimals(sample[column], SHAPES[column].digits)).join("\t")}\n`);
      }
      await page.close();
      const { answered, seconds, errors, p50, p99 } = await load;
      const { text, isFlat } = reportOf(samples);
      process.stdout.write(
        `\n${text}\n\n${decimals(answered / seconds, 0)} req/s, ${errors} errors, p50 ${decimals(p50 / 1000, 2)} ms, p99 ${decimals(p99 / 1000, 2)} ms; ${faults.length} faults of the page${faults.map((fault) => `\n  ${fault}`).join("")}\n`,
      );
      return isFlat && faults.length === 0;
    });
  } finally {
    await browser.close();
    await redis.stop();
  }
}

try {
  const { values } = parseArgs({
    options: { minutes: { type: "string", default: "60" }, rate: { type: "string", default: "500" }, help: { type: "boolean" } },
  });
  if (values.help) process.stdout.write(USAGE);
  else if (!(await run(wholeNumber("minutes", values.minutes), wholeNumber("rate", values.rate)))) process.exitCode = 1;
} catch (error) {
  progress(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}

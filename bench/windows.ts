import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64 } from "hdr-histogram-js";
import { createTickMeter } from "../src/analysis/tick-meter.ts";
import { decodeTick, encodeTick, mergeCells, type Tick } from "../src/analysis/tick.ts";
import type { FiguresTable } from "../src/analysis/figures.ts";
import { FleetWindows } from "../src/analysis/windows.ts";
import type { Config } from "../src/config/config.ts";
import { parseConfig } from "../src/config/parse.ts";
import type { Published } from "../src/store/rollout-store.ts";
import { allocateMeters, createMeters } from "../src/telemetry/worker-meters.ts";
import { decimals, median, table } from "./figures.ts";
import { wholeNumber } from "./whole-number.ts";

const USAGE = `What windows of time cost: counting, publishing, keeping and asking.

Usage: node --expose-gc bench/windows.ts [--workers 4] [--ticks 60] [--fleet 1,5,20] [--minutes 15]

A cell is a route and segment, with both arms. Durations are log-normal, with a median of 60 ms and a P95 of 161 ms. Memory is what the
process has in use after a collection; it needs node --expose-gc, and is left out without.

Example: node --expose-gc bench/windows.ts --fleet 1,5
`;

const CELLS = [1, 5, 20];
const RATES = [100, 1_000];

function configOf(cells: number): Config {
  const routes = Array.from(
    { length: cells },
    (_, at) => `  - { name: match${at}, match: { path: /api/m${at} }, stable: v1, candidate: { upstream: v2 }, flag: f }`,
  );
  const parsed = parseConfig(
    `
listeners: [{ name: public, address: 127.0.0.1:0 }]
store: memory
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062] }
  v2: { endpoints: [http://127.0.0.1:5070] }
routes:
${routes.join("\n")}
flags:
  f: { enabled: true, rollout_percentage: 50 }
`,
    {},
  );
  if ("problems" in parsed) throw new Error(parsed.problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
  return parsed.config;
}

/** Numbers from 0 up to 1 that are the same with each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const DURATIONS = 65_536;

function durations(): Float64Array {
  const random = seeded(7);
  const sigma = Math.log(161 / 60) / 1.644_853_6;
  return Float64Array.from({ length: DURATIONS }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return 60 * Math.exp(sigma * normal);
  });
}

const TOOK = durations();

/** An instance whose workers have all counted a second's traffic, as often as it is asked. */
class Instance {
  readonly config: Config;
  readonly buffers: readonly SharedArrayBuffer[];
  readonly #writers: readonly ReturnType<typeof createMeters>[];
  readonly #cells: number;
  #at = 0;

  constructor(cells: number, workers: number) {
    this.config = configOf(cells);
    this.#cells = cells;
    this.buffers = Array.from({ length: workers }, () => allocateMeters(this.config));
    this.#writers = this.buffers.map((buffer) => createMeters(this.config, buffer));
  }

  count(requests: number): void {
    for (let i = 0; i < requests; i++) {
      const at = this.#at++;
      const arm = at % 2 === 0 ? "stable" : "candidate";
      const route = Math.floor(at / 2) % this.#cells;
      const ms = TOOK[at % DURATIONS] ?? 0;
      const writer = this.#writers[at % this.#writers.length];
      writer?.request(route, arm, arm, -1, "ok", 200, ms + 0.3);
      writer?.armAttempt(route, arm, -1, "ok", ms);
      writer?.quality(route, 1, arm, -1, 0.9);
    }
  }
}

/** Of work that waits for nothing; medians leave out what the machine did besides. CPU clocks are too coarse for a single tick. */
function millisecondsOf(work: () => void): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

/** What one tick costs: CPU by step, bytes on the wire, and the same durations in the words of the library. */
function tickRow(cells: number, rate: number, workers: number, ticks: number): string[] {
  const instance = new Instance(cells, workers);
  const meter = createTickMeter({ config: instance.config, flag: "f", buffers: () => instance.buffers, now: 0 });
  const costs = { take: [] as number[], encode: [] as number[], decode: [] as number[] };
  const taken: Tick[] = [];
  let bytes = 0;
  for (let second = 1; second <= 2 * ticks; second++) {
    instance.count(rate);
    let text = "";
    const take = millisecondsOf(() => {
      const delta = meter.take(second * 1_000);
      taken.push(delta.tick);
      delta.commit();
    });
    const encode = millisecondsOf(() => {
      text = encodeTick(taken.at(-1) ?? NO_TICK);
    });
    const decode = millisecondsOf(() => {
      if (decodeTick(text) === undefined) throw new Error("what was written cannot be read");
    });
    // The first half is for warming up.
    if (second <= ticks) continue;
    costs.take.push(take);
    costs.encode.push(encode);
    costs.decode.push(decode);
    bytes += text.length;
  }
  const lists = taken.slice(ticks).map((tick) => tick.cells);
  const merge = median([0, 1, 2].map(() => millisecondsOf(() => mergeCells(lists)))) / ticks;
  const library = inLibrary(taken.at(-1) ?? NO_TICK);
  return [
    `${cells} cells, ${rate}/s`,
    decimals(bytes / ticks, 0),
    decimals(median(costs.take), 2),
    decimals(median(costs.encode), 2),
    decimals(median(costs.decode), 2),
    decimals(merge, 2),
    decimals(library.bytes, 0),
    decimals(library.encodeMs, 2),
    decimals(library.decodeMs, 2),
  ];
}

const NO_TICK: Tick = { seq: 0, from: 0, to: 0, cells: [] };

/** The sketches of a tick as compressed histograms of the library. */
function inLibrary({ cells }: Tick): { readonly bytes: number; readonly encodeMs: number; readonly decodeMs: number } {
  const sketches = cells.flatMap(({ stable, candidate }) => [stable, candidate]).flatMap(({ waits, latencies }) => [waits, latencies]);
  const histograms = sketches.map(({ slots }) => {
    const histogram = build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: 600_000,
      numberOfSignificantValueDigits: 3,
      autoResize: false,
    });
    // Only how many differ from one another matters here.
    for (let at = 0; at < slots.length; at += 2) histogram.recordValueWithCount(slots[at] ?? 0, slots[at + 1] ?? 0);
    return histogram;
  });
  const times = [0, 1, 2, 3, 4].map(() => {
    let texts: string[] = [];
    const encodeMs = millisecondsOf(() => {
      texts = histograms.map((histogram) => encodeIntoCompressedBase64(histogram));
    });
    const decodeMs = millisecondsOf(() => {
      for (const text of texts) decodeFromCompressedBase64(text, 32);
    });
    return { bytes: texts.reduce((sum, text) => sum + text.length, 0), encodeMs, decodeMs };
  });
  return {
    bytes: times[0]?.bytes ?? 0,
    encodeMs: median(times.map(({ encodeMs }) => encodeMs)),
    decodeMs: median(times.map(({ decodeMs }) => decodeMs)),
  };
}

/** Memory of arrays is given back some time after the collection that found it unused. */
async function collect(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await delay(100);
  }
}

/** What it costs to keep the last minutes of a fleet, and to ask for windows. Each instance counts so many requests a second in 5 cells. */
async function fleetRow(instances: number, rate: number, minutes: number): Promise<string[]> {
  // Texts of a minute of one instance, told by all of them over and over.
  const instance = new Instance(5, 1);
  const meter = createTickMeter({ config: instance.config, flag: "f", buffers: () => instance.buffers, now: 0 });
  const ticks = Array.from({ length: 60 }, () => {
    instance.count(rate);
    const delta = meter.take(0);
    delta.commit();
    return delta.tick;
  });
  let waiting: Published[] = [];
  const windows = new FleetWindows({
    fetch: () => Promise.resolve(waiting.splice(0)),
    recorded: () => Promise.resolve([]),
  });
  await collect();
  const before = process.memoryUsage();
  const refreshes: number[] = [];
  let now = 0;
  for (let second = 0; second < minutes * 60; second++) {
    now = (second + 1) * 1_000;
    waiting = Array.from({ length: instances }, (_, at) => {
      const tick = ticks[(second + at) % ticks.length] ?? NO_TICK;
      return { id: String(now), instance: `instance-${at}`, text: encodeTick({ ...tick, seq: second, from: now - 1_000, to: now }) };
    });
    const begun = performance.now();
    await windows.refresh(now);
    refreshes.push(performance.now() - begun);
  }
  const asked = async (ms: number): Promise<number> => {
    const begun = performance.now();
    const figures: FiguresTable = await windows.between(now - ms, now);
    const took = performance.now() - begun;
    if (figures.cells.length === 0) throw new Error("there are no figures");
    return took;
  };
  const [tenSeconds, fiveMinutes, quarter] = [await asked(10_000), await asked(300_000), await asked(minutes * 60_000)];
  await collect();
  const after = process.memoryUsage();
  const mib =
    globalThis.gc === undefined ? Number.NaN : (after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers) / 2 ** 20;
  return [
    `${instances} instances, ${rate}/s each`,
    decimals(mib, 1),
    decimals(median(refreshes), 2),
    decimals(tenSeconds, 2),
    decimals(fiveMinutes, 2),
    decimals(quarter, 2),
  ];
}

/** Memory of a worker's figures, and what a request costs more by them. */
function countingRows(): string[][] {
  const rows = [["", "reserved MiB", "resident MiB", "ns/request"]];
  for (const cells of CELLS) {
    const instance = new Instance(cells, 1);
    // Compiled before it is looked at.
    new Instance(cells, 1).count(300_000);
    globalThis.gc?.();
    const before = process.memoryUsage.rss();
    instance.count(100_000);
    const resident = (process.memoryUsage.rss() - before) / 2 ** 20;
    const times = [0, 1, 2, 3, 4].map(() => millisecondsOf(() => instance.count(300_000)) / 0.3);
    const reserved = (instance.buffers[0]?.byteLength ?? 0) / 2 ** 20;
    rows.push([`${cells} cells`, decimals(reserved, 1), decimals(resident, 1), decimals(median(times), 0)]);
  }
  return rows;
}

try {
  const { values } = parseArgs({
    options: {
      workers: { type: "string", default: "4" },
      ticks: { type: "string", default: "60" },
      fleet: { type: "string", default: "1,5,20" },
      minutes: { type: "string", default: "15" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) process.stdout.write(USAGE);
  else {
    const workers = wholeNumber("workers", values.workers);
    const ticks = wholeNumber("ticks", values.ticks);
    const minutes = wholeNumber("minutes", values.minutes);
    process.stdout.write(`Counting, all figures of a request together, one worker:\n${table(countingRows())}\n\n`);
    const rows = [["", "bytes/tick", "take ms", "encode ms", "decode ms", "merge ms", "hdr bytes", "hdr encode ms", "hdr decode ms"]];
    for (const cells of CELLS) for (const rate of RATES) rows.push(tickRow(cells, rate, workers, ticks));
    process.stdout.write(`One tick, ${workers} workers (hdr: its sketches alone, by hdr-histogram-js):\n${table(rows)}\n\n`);
    const fleet = [["", "MiB", "refresh ms", "10 s ms", "5 min ms", `${minutes} min ms`]];
    for (const instances of values.fleet.split(",").map((text) => wholeNumber("fleet", text))) {
      for (const rate of RATES) fleet.push(await fleetRow(instances, rate, minutes));
    }
    process.stdout.write(
      `${minutes} minutes of a fleet, 5 cells, with a refresh and with windows asked for the first time:\n${table(fleet)}\n`,
    );
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

import type { FlagStatus } from "../admin/operations.ts";
import type { RouteTraffic } from "../telemetry/reading.ts";
import type { Recent } from "./tally.ts";

/** Everything that the demo shows, at one instant. */
export interface ViewModel {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  /** What is not as usual, such as a port that was taken. */
  readonly notes: readonly string[];
  readonly flag: FlagStatus | undefined;
  /** Since the start, from the proxy itself. */
  readonly traffic: RouteTraffic | undefined;
  /** The last half minute, from the headers of the answers. */
  readonly recent: Recent;
  /** Backends and what is wrong with them on purpose, or `none`. */
  readonly backends: readonly { readonly name: string; readonly url: string; readonly fault: string }[];
  readonly tries: readonly Try[];
}

/** A command to try, and what it does. */
export interface Try {
  readonly about: string;
  /** Its parts, between which a line may be broken. */
  readonly command: readonly string[];
}

const BAR = 20;

/**
 * The whole screen as text, no line but those of commands longer than `width`. Where it would be higher than `height`, it
 * does without its blank lines, and then without the words about the commands.
 */
export function renderView(model: ViewModel, width: number, height = Number.POSITIVE_INFINITY): string {
  const lines = [
    `crossfade demo   proxy ${model.proxyUrl}   dashboard ${model.adminUrl}/`,
    ...model.notes.map((note) => `note: ${note}`),
    "",
    ...flagLines(model.flag),
    "",
    ...splitLines(model),
    "",
    ...latencyLines(model),
    "",
    ...answerLines(model),
    "",
    "Try in another terminal (Ctrl-C ends the demo):",
  ].map((line) => (line.length > width ? `${line.slice(0, Math.max(0, width - 1))}…` : line));
  const all = [...lines, ...tryLines(model.tries, width)];
  const dense = all.filter((line) => line !== "");
  const layouts = [all, dense, [...dense.slice(0, lines.filter((line) => line !== "").length), ...commandLines(model.tries, width)]];
  return (layouts.find((layout) => rowsOf(layout, width) < height) ?? layouts.at(-1) ?? []).join("\n");
}

/** What a terminal needs for them; one row more stays for the cursor. */
function rowsOf(lines: readonly string[], width: number): number {
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / width)), 0);
}

export function tryLines(tries: readonly Try[], width = Number.POSITIVE_INFINITY): string[] {
  return tries.flatMap((one) => [`  ${one.about}:`, ...commandLines([one], width)]);
}

/** Broken by us, as a shell understands it: where the terminal wraps a line, a copy of it would be two commands. */
function commandLines(tries: readonly Try[], width: number): string[] {
  return tries.flatMap(({ command }) => {
    const [first = "", ...others] = command;
    const lines = [`    ${first}`];
    for (const [index, part] of others.entries()) {
      const longer = `${lines.at(-1)} ${part}`;
      // Another break may follow, with its backslash.
      const room = index === others.length - 1 ? width : width - 2;
      if (longer.length <= room) lines[lines.length - 1] = longer;
      else lines.push(`      ${part}`);
    }
    return lines.map((line, index) => (index === lines.length - 1 ? line : `${line} \\`));
  });
}

/** One line for logs, where nothing can be redrawn. */
export function renderLine(model: ViewModel): string {
  const { recent, flag } = model;
  const waits = `p50 ${ms(recent.p50)} p95 ${ms(recent.p95)} p99 ${ms(recent.p99)} ms`;
  const fallbacks = countsText(recent.fallbacks);
  return `last ${Math.round(recent.seconds)} s: ${recent.requests} requests, ${recent.failed} failed, candidate ${shareText(recent.byArm)} (set to ${flag?.percentage ?? "?"} %), clients ${waits}, fallbacks ${fallbacks}, revision ${flag?.revision ?? "?"}`;
}

function flagLines(flag: FlagStatus | undefined): string[] {
  if (flag === undefined) return ["flag          not known yet"];
  const state = flag.killed
    ? "KILLED: everybody on stable"
    : flag.enabled
      ? `${flag.percentage} % of users on candidate`
      : "disabled: everybody on stable";
  return [`flag          ${flag.flag}   ${state}   revision ${flag.revision}`];
}

function splitLines({ recent, flag }: ViewModel): string[] {
  const settings = new Map(flag?.segments.map((segment) => [segment.name, `${segment.override ? "" : "at most "}${segment.percentage} %`]));
  const rows = [...recent.bySegment]
    .sort((a, b) => Number(b.segment === "none") - Number(a.segment === "none") || a.segment.localeCompare(b.segment))
    .map(({ segment, stable, candidate }) =>
      splitLine(
        segment === "none" ? "(no segment)" : segment,
        segment === "none" ? `${flag?.percentage ?? "?"} %` : (settings.get(segment) ?? "global"),
        stable,
        candidate,
      ),
    );
  const total = splitLine("all", "", recent.byArm["stable"] ?? 0, recent.byArm["candidate"] ?? 0);
  const heading = `${"split".padEnd(14)}${"set to".padEnd(14)}${"candidate, last ".concat(`${Math.round(recent.seconds)} s`).padEnd(BAR + 2)}${"share".padStart(8)}${"stable".padStart(9)}${"candidate".padStart(11)}`;
  return [heading, ...rows, total];
}

function splitLine(name: string, setTo: string, stable: number, candidate: number): string {
  const all = stable + candidate;
  const filled = all === 0 ? 0 : Math.round((candidate / all) * BAR);
  const bar = `${"█".repeat(filled)}${"░".repeat(BAR - filled)}`;
  return `${name.padEnd(14)}${setTo.padEnd(14)}${bar}  ${shareText({ stable, candidate }).padStart(8)}${String(stable).padStart(9)}${String(candidate).padStart(11)}`;
}

function latencyLines({ traffic, recent }: ViewModel): string[] {
  const row = (name: string, p50: string, p95: string, p99: string, count: string) =>
    `${name.padEnd(28)}${p50.padStart(8)}${p95.padStart(8)}${p99.padStart(8)}${count.padStart(11)}`;
  return [
    row("latency in ms", "p50", "p95", "p99", "requests"),
    ...(traffic?.attempts ?? []).map(({ upstream, p50, p95, p99, count }) =>
      row(`${upstream}, since the start`, ms(p50), ms(p95), ms(p99), String(count)),
    ),
    row(`clients, last ${Math.round(recent.seconds)} s`, ms(recent.p50), ms(recent.p95), ms(recent.p99), String(recent.requests)),
  ];
}

function answerLines({ traffic, recent, backends }: ViewModel): string[] {
  const fallbacks = Object.values(traffic?.fallbacks ?? {}).reduce((sum, count) => sum + count, 0);
  const broken = backends.filter(({ fault }) => fault !== "none").map(({ name, fault }) => `${name} ${fault.toUpperCase()}`);
  return [
    `fallbacks     last ${Math.round(recent.seconds)} s: ${countsText(recent.fallbacks)}   since the start: ${fallbacks}`,
    `answers       last ${Math.round(recent.seconds)} s: ${countsText(recent.byServed)}; failed ${recent.failed}${broken.length === 0 ? "" : `   broken: ${broken.join(", ")}`}`,
  ];
}

/** In an order that does not change from one look to the next. */
function countsText(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .toSorted(([a], [b]) => a.localeCompare(b));
  return parts.length === 0 ? "none" : parts.map(([name, count]) => `${name} ${count}`).join(", ");
}

function shareText(arms: Readonly<Record<string, number>>): string {
  const candidate = arms["candidate"] ?? 0;
  const all = candidate + (arms["stable"] ?? 0);
  return all === 0 ? "-" : `${((100 * candidate) / all).toFixed(1)} %`;
}

function ms(value: number): string {
  return Number.isNaN(value) ? "-" : value.toFixed(value < 10 ? 1 : 0);
}

import { styleText } from "node:util";

/** Lines on stdout. */
export function print(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** A remark that is not part of the answer: on stderr, so that stdout can be piped. */
export function remark(text: string): void {
  process.stderr.write(`${styleText("yellow", text, { stream: process.stderr })}\n`);
}

// styleText leaves the text as it is when the stream is no terminal, or NO_COLOR is set.
export function bold(text: string): string {
  return styleText("bold", text, { stream: process.stdout });
}

function faint(text: string): string {
  return styleText("dim", text, { stream: process.stdout });
}

export function good(text: string): string {
  return styleText("green", text, { stream: process.stdout });
}

export function bad(text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText("red", text, { stream });
}

/**
 * Text from elsewhere as a terminal may show it: control characters, which could move its cursor or rewrite what
 * stands there, are spelt out.
 */
export function printable(text: string): string {
  // Text of several lines is told in one, as the rows of a table need it.
  return text
    .replace(/\n+$/, "")
    .replace(/\r?\n/g, " ↵ ")
    .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
      return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
    });
}

/** Rows as columns that line up, two spaces apart. The first row is the heading. */
export function table(rows: readonly (readonly string[])[], indent = "  "): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows.map((row, index) => {
    const line =
      indent +
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd();
    return index === 0 ? faint(line) : line;
  });
}

/** 12.345 is `12.35 %`. */
export function percent(figure: number): string {
  return `${Number(figure.toFixed(2))} %`;
}

/** 3725 is `1 h 2 min`: the two largest units. */
export function span(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [Math.floor(seconds) % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

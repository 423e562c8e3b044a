import type uPlot from "uplot";
import { FONT, palette, type Token } from "./palette.ts";

/** A limit as it is drawn. */
export interface LimitLine {
  readonly value: number;
  readonly text: string;
}

/** An axis as all charts have it. */
export function axis(side: 0 | 1 | 2 | 3, values: (value: number) => string, more: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    side,
    stroke: () => palette.peek()["--ink-soft"],
    font: FONT,
    grid: { stroke: () => palette.peek()["--grid"], width: 1 },
    ticks: { show: false },
    gap: 6,
    values: (_, splits) => splits.map((split) => values(split)),
    ...more,
  };
}

/** Colours are asked for at each drawing, since the theme may change. */
export function colour(token: Token): () => string {
  return () => palette.peek()[token];
}

/** Draws limits over the plot: across, or from top to bottom, each with its word where there is room for it. */
export function drawLimits(plot: uPlot, limits: readonly LimitLine[], direction: "across" | "down"): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const row = 14 * ratio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = FONT.replace(/^\d+/, (size) => String(Number(size) * ratio));
  ctx.lineWidth = ratio;
  ctx.strokeStyle = palette.peek()["--limit"];
  ctx.textAlign = "left";
  const taken: Label[] = [];
  const highest = (direction === "across" ? plot.scales["y"] : plot.scales["x"])?.max ?? Number.POSITIVE_INFINITY;
  for (const { value, text: word } of limits) {
    // What lies beyond the picture is told at its edge.
    const isBeyond = value > highest;
    const text = isBeyond ? `${direction === "across" ? "↑" : "→"} ${word}` : word;
    const at = Math.round(plot.valToPos(value, direction === "across" ? "y" : "x", true)) + 0.5;
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(direction === "across" ? bbox.left : at, direction === "across" ? at : bbox.top);
    ctx.lineTo(direction === "across" ? bbox.left + bbox.width : at, direction === "across" ? at : bbox.top + bbox.height);
    if (!isBeyond) ctx.stroke();
    const width = ctx.measureText(text).width + 6 * ratio;
    const box = direction === "across" ? placeAcross(at, width, row, bbox, taken) : placeDown(at, width, row, bbox, taken);
    if (box !== undefined) taken.push({ ...box, text });
  }
  // Over all of the lines.
  for (const box of taken) label(ctx, box, ratio);
  ctx.restore();
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Label extends Box {
  readonly text: string;
}

/** Above its line, from the left; further right where another word stands. */
function placeAcross(at: number, width: number, height: number, bbox: uPlot.BBox, taken: readonly Box[]): Box | undefined {
  const top = Math.max(bbox.top, at - height);
  for (let left = bbox.left + 2; left + width < bbox.left + bbox.width; left += width / 2) {
    const box = { left, top, width, height };
    if (!taken.some((other) => touches(box, other))) return box;
  }
  return undefined;
}

/** Right of its line, or left of it at the edge; lower where another word stands. */
function placeDown(at: number, width: number, height: number, bbox: uPlot.BBox, taken: readonly Box[]): Box | undefined {
  const left = at + 3 + width < bbox.left + bbox.width ? at + 3 : Math.max(bbox.left, Math.min(at - 3, bbox.left + bbox.width) - width);
  for (let top = bbox.top; top + height < bbox.top + bbox.height; top += height) {
    const box = { left, top, width, height };
    if (!taken.some((other) => touches(box, other))) return box;
  }
  return undefined;
}

function touches(one: Box, other: Box): boolean {
  return (
    one.left < other.left + other.width &&
    other.left < one.left + one.width &&
    one.top < other.top + other.height &&
    other.top < one.top + one.height
  );
}

function label(ctx: CanvasRenderingContext2D, { text, left, top, width, height }: Label, ratio: number): void {
  ctx.globalAlpha = 0.85;
  ctx.fillStyle = palette.peek()["--surface"];
  ctx.fillRect(left, top, width, height);
  ctx.globalAlpha = 1;
  ctx.fillStyle = palette.peek()["--ink"];
  ctx.textBaseline = "middle";
  ctx.fillText(text, left + 3 * ratio, top + height / 2);
}

/** The next round number above: 1, 2, 2.5, 5, 10 ... times a power of ten, so an axis seldom moves. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]) if (value <= factor * power * 1.000_001) return factor * power;
  return 10 * power;
}

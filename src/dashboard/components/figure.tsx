import type { ComponentChildren } from "preact";
import type { Tone } from "./badge.tsx";

interface FigureProps {
  readonly label: string;
  /** Written out, with its unit. */
  readonly value: ComponentChildren;
  readonly note?: ComponentChildren;
  readonly tone?: Tone;
  /** For tests and links. */
  readonly name?: string;
}

/** One number with what it is. Stands in a `<dl class="figures">`. */
export function Figure({ label, value, note, tone, name }: FigureProps) {
  return (
    <div class={tone === undefined ? "figure" : `figure tone-${tone}`} data-figure={name}>
      <dt>{label}</dt>
      <dd class="figure-value">{value}</dd>
      {note === undefined ? null : <dd class="figure-note">{note}</dd>}
    </div>
  );
}

interface MeterProps {
  /** What is measured, for those who do not see it. */
  readonly label: string;
  /** 0..1, of the bar's length; more is drawn as 1. NaN: an empty bar. */
  readonly value: number;
  /** Where a limit stands on the bar, 0..1. */
  readonly limit?: number;
  /** What stands there, in words and units. */
  readonly text: string;
  readonly tone?: Tone | "stable" | "candidate";
}

/** A bar, and on it a limit. */
export function Meter({ label, value, limit, text, tone = "info" }: MeterProps) {
  const filled = Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : 0;
  return (
    <span class={`meter meter-${tone}`} role="img" aria-label={`${label}: ${text}`}>
      <span class="meter-fill" style={{ width: `${filled * 100}%` }} />
      {limit === undefined ? null : <span class="meter-limit" style={{ left: `${Math.min(1, Math.max(0, limit)) * 100}%` }} />}
    </span>
  );
}

import type { ComponentChildren } from "preact";

/** good: as it should be · warn: look · bad: act · idle: nothing to say, off, unknown · info: under way. */
export type Tone = "good" | "warn" | "bad" | "idle" | "info";

/** Colour is never the only sign: each tone has a shape of its own. */
const SIGNS: Readonly<Record<Tone, string>> = { good: "✓", warn: "!", bad: "✕", idle: "○", info: "▸" };

/** A word with a tone. */
export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }) {
  return (
    <span class={`badge tone-${tone}`}>
      <span class="badge-sign" aria-hidden="true">
        {SIGNS[tone]}
      </span>
      {children}
    </span>
  );
}

/** The hue of an arm, with its name. */
export function ArmMark({ arm, children }: { readonly arm: "stable" | "candidate"; readonly children: ComponentChildren }) {
  return (
    <span class="arm">
      <span class={`arm-mark arm-${arm}`} aria-hidden="true" />
      {children}
    </span>
  );
}

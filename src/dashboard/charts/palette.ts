import { computed } from "@preact/signals";
import { shade } from "../theme.ts";

/** Colours of the style sheet, for canvases. */
const TOKENS = [
  "--ink",
  "--ink-soft",
  "--grid",
  "--surface",
  "--stable",
  "--candidate",
  "--stable-area",
  "--candidate-area",
  "--stable-veil",
  "--candidate-veil",
  "--limit",
] as const;
export type Token = (typeof TOKENS)[number];

export const palette = computed<Readonly<Record<Token, string>>>(() => {
  // What the style sheet says depends on it.
  document.documentElement.dataset["theme"] = shade.value;
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(TOKENS.map((token) => [token, style.getPropertyValue(token).trim()])) as Record<Token, string>;
});

export const FONT = '11px system-ui, -apple-system, "Segoe UI", sans-serif';

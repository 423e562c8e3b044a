import { computed, signal } from "@preact/signals";
import { recall, remember } from "./keep.ts";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEPT = "crossfade.theme";
const ofSystem = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(ofSystem.matches);
ofSystem.addEventListener("change", ({ matches }) => (systemIsDark.value = matches));

export const theme = signal<Theme>(THEMES.find((known) => known === recall(KEPT)) ?? "system");
/** What is drawn. */
export const shade = computed<"light" | "dark">(() => (theme.value === "system" ? (systemIsDark.value ? "dark" : "light") : theme.value));

export function chooseTheme(wanted: Theme): void {
  theme.value = wanted;
  remember(KEPT, wanted);
}

import { signal } from "@preact/signals";
import type { DrillReport } from "../../controller/drill-report.ts";
import type { Refusal } from "../api.ts";
import type { ActName } from "./possible.ts";

/** Which dialog is open; undefined: none. One at a time. */
export const opened = signal<ActName | undefined>(undefined);

export function openAct(act: ActName): void {
  opened.value = act;
}

export function closeAct(): void {
  opened.value = undefined;
}

/** The last drill that was begun on this page. It may take minutes, so it outlives its dialog. */
export const drill = signal<Drill | undefined>(undefined);

export type Drill = { readonly flag: string } & (
  | { readonly state: "running"; readonly since: number }
  | { readonly state: "refused"; readonly refusal: Refusal }
  | { readonly state: "done"; readonly report: DrillReport }
);

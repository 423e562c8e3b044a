import type { LiveView } from "../../admin/live/view.ts";

/** What every panel gets: the newest view, replaced once a second. JSON writes unknown numbers as null: give them to `number`, `share`, `duration`. */
export interface PanelProps {
  readonly view: LiveView;
}

import { createLogUpdate } from "log-update";
import { renderLine, renderView, tryLines, type ViewModel } from "./view.ts";

/** Where the demo shows itself: {@link NodeJS.WriteStream} in part, so that a test can stand in. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Something that shows a model again and again until it is closed. */
export interface Screen {
  /** How often it wants a model. */
  readonly everyMs: number;
  show(model: ViewModel): void;
  /** Leaves what was shown last. */
  close(): void;
}

/** Redraws on a terminal; elsewhere the whole view once and then a line every five seconds. */
export function openScreen(terminal: NodeJS.WriteStream | Terminal): Screen {
  if (terminal.isTTY && "rows" in terminal) {
    const update = createLogUpdate(terminal);
    return {
      everyMs: 500,
      show: (model) => update(renderView(model, terminal.columns, terminal.rows)),
      close: () => update.done(),
    };
  }
  let first = true;
  return {
    everyMs: 5_000,
    show(model) {
      terminal.write(`${first ? introduction(model) : renderLine(model)}\n`);
      first = false;
    },
    close: () => {},
  };
}

/** What does not change, where only lines can follow. */
function introduction(model: ViewModel): string {
  return [
    `crossfade demo   proxy ${model.proxyUrl}   dashboard ${model.adminUrl}/`,
    ...model.notes.map((note) => `note: ${note}`),
    ...model.backends.map((backend) => `  ${backend.name} ${backend.url}`),
    "Try in another terminal (Ctrl-C ends the demo):",
    ...tryLines(model.tries),
  ].join("\n");
}

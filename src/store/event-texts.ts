interface StoredSignal {
  readonly at: number;
  readonly text: string;
}

/** A signal as it is kept, or nothing where there is something else. */
export function readSignal(json: string): readonly StoredSignal[] {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== "object" || value === null || !("at" in value) || !("text" in value)) return [];
    return typeof value.at === "number" && typeof value.text === "string" ? [{ at: value.at, text: value.text }] : [];
  } catch {
    return [];
  }
}

/** Texts of those since `from`, in order of time: the newest `count`. */
export function newestSignals(signals: readonly StoredSignal[], from: number, count: number): readonly string[] {
  const found = signals.filter(({ at }) => at >= from).toSorted((a, b) => a.at - b.at);
  return found.slice(Math.max(0, found.length - count)).map(({ text }) => text);
}

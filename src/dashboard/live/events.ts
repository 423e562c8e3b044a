/** One event of a stream (text/event-stream). */
export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/**
 * Reads the events of a stream as its pieces come: lines end with LF, CRLF or CR, a blank line ends an event, lines that begin with a colon are signs of
 * life. Ids and `retry` are passed over: whoever reads begins anew after a break.
 */
export class EventReader {
  #rest = "";
  #name = "";
  #data: string[] = [];

  /** The events that this piece ended. */
  read(piece: string): readonly StreamEvent[] {
    const events: StreamEvent[] = [];
    const text = this.#rest + piece;
    let from = 0;
    for (;;) {
      const at = lineEnd(text, from);
      if (at < 0) break;
      // A CR at the very end may be the first half of a CRLF.
      if (text[at] === "\r" && at + 1 === text.length) break;
      this.#line(text.slice(from, at), events);
      from = at + (text.startsWith("\r\n", at) ? 2 : 1);
    }
    this.#rest = text.slice(from);
    return events;
  }

  #line(line: string, events: StreamEvent[]): void {
    if (line === "") {
      if (this.#data.length > 0) events.push({ name: this.#name || "message", data: this.#data.join("\n") });
      this.#name = "";
      this.#data = [];
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
  }
}

function lineEnd(text: string, from: number): number {
  const feed = text.indexOf("\n", from);
  const back = text.indexOf("\r", from);
  if (feed < 0 || back < 0) return Math.max(feed, back);
  return Math.min(feed, back);
}

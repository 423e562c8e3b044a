import { pino, stdTimeFunctions, type Logger } from "pino";
import type { LineWriter } from "./line-writer.ts";

/** The program's own log: what happened, for people and for machines, one JSON object a line. */
export type Log = Logger;

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Which part speaks, for the field `log`. A worker's number goes into the field `worker`. */
interface LogSource {
  readonly log: "control" | "worker";
  readonly worker?: number;
}

/**
 * Makes a log. Its lines are few and matter most when something goes wrong, so each is handed to the system at once;
 * before a thread ends itself it calls `lines.flushSync()`.
 */
export function createLog(level: LogLevel, source: LogSource, lines: Pick<LineWriter, "write" | "flush">): Log {
  const destination = {
    write(line: string): void {
      lines.write(line);
      lines.flush();
    },
  };
  return pino(
    { level, base: { ...source }, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    destination,
  );
}

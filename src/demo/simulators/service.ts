/** What a simulated backend is, apart from sockets, delays and faults: a pure function from request to answer. */
export interface Service {
  readonly kind: SimulatorKind;
  /** Where the real service listens. */
  readonly defaultPort: number;
  /** Median and 95th percentile of the time to answer, as measured on the real service. */
  readonly latency: { readonly p50Ms: number; readonly p95Ms: number };
  /** Undefined: the path is not a matching endpoint, so faults do not strike it. */
  match(method: string, path: string): Matcher | undefined;
  /** Health checks, and the service's own way of saying that there is nothing here. */
  other(method: string, path: string): Reply;
}

export const SIMULATOR_KINDS = ["v1", "nexten", "v2"] as const;
export type SimulatorKind = (typeof SIMULATOR_KINDS)[number];

/** Answers the bytes of one matching request. The same bytes and the same tuning give the same answer. */
export type Matcher = (body: string, tuning: Tuning) => Reply;

/** What a fault changes inside an answer. */
export interface Tuning {
  /** Confidence of every match, 0..1; undefined: as computed. */
  readonly quality: number | undefined;
  /** Says `success: false` with status 200. */
  readonly unsuccessful: boolean;
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export function json(status: number, value: unknown): Reply {
  return { status, contentType: "application/json", body: JSON.stringify(value) };
}

/** The error pages that Flask and Werkzeug make. */
export function htmlError(status: number, title: string, text: string): Reply {
  const body = `<!doctype html>\n<html lang=en>\n<title>${status} ${title}</title>\n<h1>${title}</h1>\n<p>${text}</p>\n`;
  return { status, contentType: "text/html; charset=utf-8", body };
}

export function htmlNotFound(): Reply {
  return htmlError(
    404,
    "Not Found",
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.",
  );
}

export function htmlMethodNotAllowed(): Reply {
  return htmlError(405, "Method Not Allowed", "The method is not allowed for the requested URL.");
}

/** The parsed text, or undefined where it is not JSON. */
export function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** A figure in [0, 1) made of a text: stands in for the durations that the real bodies make up. */
export function fractionOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0) / 2 ** 32;
}

export function round(value: number, decimals: number): number {
  const scale = 10 ** decimals;
  return Math.round(value * scale) / scale;
}

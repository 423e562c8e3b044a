import { forwardedFields, type HeadEdits } from "../http/head.ts";

/** Trailers may not frame a message, nor set what is read before it (RFC 9110, 6.5.1), nor speak in our name. */
const TRAILER_EDITS: HeadEdits = {
  drop: new Set(["content-length", "host", "set-cookie", "x-request-id", "x-service-version"]),
  dropPrefix: "x-crossfade-",
  set: "",
};

/** Those of an answer's trailers that are passed on. */
export function forwardedTrailers(trailers: readonly string[]): readonly string[] {
  return trailers.length === 0 ? trailers : forwardedFields(trailers, TRAILER_EDITS);
}

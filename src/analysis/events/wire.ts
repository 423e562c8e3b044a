import type { BusinessEvent } from "./event.ts";

/** An event as it would be sent, complete but for its id. */
export function wireOf(event: BusinessEvent): Readonly<Record<string, unknown>> {
  const at = { at: event.at };
  if (event.kind === "signal") {
    const { type, value, note } = event.reported;
    switch (type) {
      case "data_integrity":
        return { type, ...at, ratio: value, note };
      case "sync_lag":
        return { type, ...at, seconds: value, note };
      case "sessions_lost":
        return { type, ...at, count: value, note };
      case "security":
        return { type, ...at, severity: `P${value}`, note };
    }
  }
  const { user, requestId, segment, served, said } = event;
  const whose = { ...at, user, request_id: requestId, segment, served };
  switch (said.type) {
    case "match":
      return { type: said.type, ...whose, confirmed: said.confirmed };
    case "rating":
      return { type: said.type, ...whose, rating: said.ratio, of: 1 };
    case "conversion":
      return { type: said.type, ...whose };
    case "revenue":
      return { type: said.type, ...whose, amount: said.amount };
  }
}

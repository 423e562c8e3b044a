import type { Translated, Translation } from "../dialects/translation.ts";
import type { RequestBody } from "../transport/transport.ts";
import type { Exchange } from "./exchange.ts";
import type { Destination } from "./routes.ts";

/** A request's body as a destination is sent it. */
export interface Said {
  readonly body: RequestBody;
  /** What its answer needs to be translated back; undefined where nothing was translated. */
  readonly translated: Translated | undefined;
}

/** Why a request cannot be sent to a destination. */
export interface Unsayable {
  readonly unsayable: string;
}

/** The body in the words of the destination, put so once. Nothing is read where client and destination speak the same, or there is no body. */
export function say(exchange: Exchange, to: Destination): Said | Unsayable {
  const { body } = exchange.downstream;
  if (to.translation === undefined || body.kind === "none") return { body, translated: undefined };
  const known = exchange.said.get(to);
  if (known !== undefined) return known;
  const said = translate(exchange, to, to.translation);
  exchange.said.set(to, said);
  return said;
}

function translate(exchange: Exchange, to: Destination, translation: Translation): Said | Unsayable {
  const { body } = exchange.downstream;
  if (body.kind === "none") return { body, translated: undefined };
  if (body.kind === "stream") return { unsayable: "a body that is too long to be kept cannot be translated" };
  const { meters } = exchange.context;
  const { index } = to.backend;
  const route = exchange.route?.index ?? -1;
  const translated = translation.request(body.bytes);
  if ("inexpressible" in translated) {
    meters.inexpressible(route, index);
    return { unsayable: translated.inexpressible };
  }
  if (translated.dropped.length > 0) meters.dropped(route, index, translated.dropped.length);
  return { body: { kind: "kept", bytes: translated.body }, translated: translated.exchange };
}

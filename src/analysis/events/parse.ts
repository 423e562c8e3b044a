import { hash, randomUUID } from "node:crypto";
import { nearest } from "../../config/problem.ts";
import { SIGNAL_KINDS } from "../business.ts";
import type { BusinessEvent, Refusal, Reported, Said } from "./event.ts";
import { type Fields, type Fault, FieldReader, isRecord, shown } from "./fields.ts";

/** Most events of one batch. */
const MOST_EVENTS = 1_000;

export interface ParseOptions {
  /** Stands for an event's time where it says none; epoch milliseconds. */
  readonly now: number;
  /** Names of the flag's segments. */
  readonly segments: readonly string[];
  /** Values of a user key that mean nobody in particular, in lower case. */
  readonly ignoredUsers: readonly string[];
}

export interface ParsedBatch {
  /** The right ones, with their place in the batch. */
  readonly events: readonly { readonly index: number; readonly event: BusinessEvent }[];
  readonly refused: readonly Refusal[];
}

const USER_TYPES = ["match", "rating", "conversion", "revenue"] as const;
const TYPES = [...USER_TYPES, ...SIGNAL_KINDS] as const;
type Type = (typeof TYPES)[number];

/** Fields that an event of its type has beside `id`, `type` and `at`. Those of a user's have {@link WHOSE} too, signals a `note`. */
const OWN: Readonly<Record<Type, readonly string[]>> = {
  match: ["confirmed"],
  rating: ["rating", "of"],
  conversion: [],
  revenue: ["amount"],
  data_integrity: ["ratio"],
  sync_lag: ["seconds"],
  sessions_lost: ["count"],
  security: ["severity"],
};
const WHOSE = ["user", "request_id", "segment", "served"];

/** `{"events": [...]}`. Whatever is given: what is right is taken, what is wrong is named. Never throws. */
export function parseEvents(body: unknown, options: ParseOptions): ParsedBatch {
  const wrong = (value: unknown, message: string): ParsedBatch => ({
    events: [],
    refused: [{ index: undefined, kind: "invalid", field: "events", value: shown(value), message: `events: ${message}` }],
  });
  const given = guarded(() => (isRecord(body) ? body["events"] : body));
  if (!Array.isArray(given)) {
    return wrong(given, `${shown(given)} is not a list; send {"events": [{"type": "match", "user": "u1", "confirmed": true}]}`);
  }
  if (given.length > MOST_EVENTS)
    return wrong(given, `${given.length} are more than a batch may hold; send at most ${MOST_EVENTS} at a time`);
  const events: { index: number; event: BusinessEvent }[] = [];
  const refused: Refusal[] = [];
  for (let index = 0; index < given.length; index++) {
    const result = parseEvent(given[index], options);
    if ("event" in result) events.push({ index, event: result.event });
    else for (const fault of result.faults.slice(0, 1)) refused.push({ index, kind: "invalid", ...describe(index, fault, result.faults) });
  }
  return { events, refused };
}

/** Whether a batch holds nothing but signals, as far as one can tell without reading it. Never throws. */
export function isOfSystems(body: unknown): boolean {
  const types: readonly string[] = SIGNAL_KINDS;
  const read = (): boolean => {
    const given = isRecord(body) ? body["events"] : body;
    if (!Array.isArray(given) || given.length === 0 || given.length > MOST_EVENTS) return false;
    return given.every((event: unknown) => isRecord(event) && types.includes(String(event["type"])));
  };
  return guarded(read) ?? false;
}

/** One event. `as`: what it is known by where it has no id of its own. */
export function parseEvent(
  given: unknown,
  options: ParseOptions,
  as?: string,
): { readonly event: BusinessEvent } | { readonly faults: readonly Fault[] } {
  return guarded(() => readEvent(given, options, as)) ?? { faults: [{ field: "", value: "", message: "this cannot be read as an event" }] };
}

/** The first fault names the field; all of them are told. */
function describe(index: number, first: Fault, all: readonly Fault[]): Omit<Refusal, "index" | "kind"> {
  return { field: first.field, value: first.value, message: `events[${index}]: ${all.map(({ message }) => message).join("; ")}` };
}

function readEvent(given: unknown, options: ParseOptions, as: string | undefined): { event: BusinessEvent } | { faults: readonly Fault[] } {
  if (!isRecord(given)) {
    return {
      faults: [
        {
          field: "",
          value: shown(given),
          message: `${shown(given)} is not an event; send an object such as {"type": "conversion", "user": "u1"}`,
        },
      ],
    };
  }
  const fields = new FieldReader(given);
  const type = fields.word("type", TYPES);
  if (type === undefined) return { faults: fields.faults };
  const timed = fields.time("at");
  const at = timed ?? options.now;
  const id = fields.optionalText("id", 200);
  const event = isSignal(type)
    ? ({ kind: "signal", at, reported: readReported(type, fields) } as const)
    : ({ kind: "user", at, ...readWhose(fields, options), said: readSaid(type, fields) } as const);
  // A signal is not refused for what it says besides: a rollback may hang on it.
  if (!isSignal(type)) refuseUnknown(given, type, fields);
  if (fields.faults.length > 0) return { faults: fields.faults };
  const tellsApart = timed !== undefined || (event.kind === "user" && event.requestId !== undefined);
  return { event: { ...event, id: id === undefined ? (as ?? nameOf(event, timed, tellsApart)) : `id:${id}` } };
}

function isSignal(type: Type): type is Reported["type"] {
  return SIGNAL_KINDS.some((kind) => kind === type);
}

/**
 * An event without an id is known by what it says, if that tells it from the next one of its kind: it has a time or a request. Else every one
 * counts, for a second conversion of a user looks like the first one sent again.
 */
function nameOf(event: object, timed: number | undefined, tellsApart: boolean): string {
  if (!tellsApart) return `random:${randomUUID()}`;
  return `content:${hash("sha256", JSON.stringify({ ...event, at: timed ?? null }), "base64url")}`;
}

function readWhose(fields: FieldReader, { segments, ignoredUsers }: ParseOptions) {
  const user = fields.optionalText("user", 1_024)?.trim();
  const requestId = fields.optionalText("request_id", 128);
  if (user !== undefined && (user === "" || ignoredUsers.includes(user.toLowerCase()))) {
    fields.fault("user", "stands for nobody; send the user's key, or the X-Request-ID of the answer as request_id");
  }
  if (user === undefined && requestId === undefined && !fields.has("user") && !fields.has("request_id")) {
    fields.fault("user", "is missing; send user, or the X-Request-ID of the answer as request_id");
  }
  return {
    user,
    requestId,
    segment: fields.optionalWord("segment", segments),
    served: fields.optionalWord("served", ["stable", "candidate"] as const),
  };
}

function readSaid(type: (typeof USER_TYPES)[number], fields: FieldReader): Said {
  switch (type) {
    case "match":
      return { type, confirmed: fields.truth("confirmed") };
    case "rating": {
      const of = fields.number("of", Number.MIN_VALUE, 1e6, "the best rating there is, a number above 0 such as 5");
      const best = fields.has("of") ? of : 1e6;
      const rating = fields.number("rating", 0, best, `a number from 0 to ${best}`);
      return { type, ratio: Math.min(1, rating / of) };
    }
    case "conversion":
      return { type };
    case "revenue":
      return {
        type,
        amount: fields.number("amount", -1e9, 1e9, "an amount of money as a number, such as 12.5; below 0 for one that is paid back"),
      };
  }
}

function readReported(type: Reported["type"], fields: FieldReader): Reported {
  const note = fields.note("note");
  switch (type) {
    case "data_integrity":
      return { type, note, value: fields.number("ratio", 0, 1, "a share from 0 to 1, such as 0.99") };
    case "sync_lag":
      return { type, note, value: fields.seconds("seconds") };
    case "sessions_lost":
      return { type, note, value: fields.whole("count", "how many were lost since the last report, 0 or more") };
    case "security":
      return { type, note, value: fields.severity("severity") };
  }
}

function refuseUnknown(given: Fields, type: Type, fields: FieldReader): void {
  const known = ["id", "type", "at", ...WHOSE, ...OWN[type]];
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    fields.fault(
      name,
      `is not understood in an event of type ${type}; ${near === undefined ? `known: ${known.join(", ")}` : `did you mean ${near}?`}`,
    );
  }
}

/** Objects of others may throw when they are looked at. */
function guarded<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

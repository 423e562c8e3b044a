import { NOTICE_KINDS } from "../core/words.ts";
import { show } from "./problem.ts";
import { type Reading, type Scalar, choice, defaulted, duration, nameOf, optional, required, secret, text, whole } from "./scalars.ts";
import { fieldValue, webAddress } from "./schema-rollout.ts";
import { labelled, list, mapping, named } from "./shapes.ts";

/** Who is told of what, over which channels, and who is called when nobody answers. */

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** What an unset variable leaves empty is switched off. */
function orOff<T>(scalar: Scalar<T>): Scalar<T | undefined> {
  return { ...scalar, read: (given): Reading<T | undefined> => (given.trim() === "" ? { value: undefined } : scalar.read(given)) };
}

/** Never repeated in a message. */
const password: Scalar<string | undefined> = {
  kind: "secret",
  expected: "at most 256 characters without control characters",
  read(given) {
    if (given === "") return { value: undefined };
    return given.length <= 256 && !/\p{Cc}/u.test(given)
      ? { value: given }
      : { wrong: `holds a control character, or is too long; expected ${password.expected}` };
  },
  json: { type: ["string", "number"] },
};

const ADDRESS = /^[^\s@<>()[\]\\,;:"]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/** `ops@example.com`, or `On call <ops@example.com>`. */
const mailbox: Scalar<string> = {
  kind: "e-mail address",
  expected: "an e-mail address, such as ops@example.com or On call <ops@example.com>",
  read(given) {
    const [, name, inside] = /^([^<>"\p{Cc}]*)<([^<>]*)>$/u.exec(given.trim()) ?? [];
    const address = (inside ?? given).trim();
    if (given.length > 320 || !ADDRESS.test(address) || address.includes("..") || address.includes("@."))
      return { wrong: `${JSON.stringify(given.slice(0, 80))} is not an e-mail address; expected ${mailbox.expected}` };
    return { value: inside === undefined || name?.trim() === "" ? address : `${name?.trim() ?? ""} <${address}>` };
  },
  json: { type: "string" },
};

const host = text({ expected: "the name or address of a mail server, such as smtp.example.com", pattern: /^[A-Za-z0-9.:_-]+$/, max: 255 });

const email = mapping(
  {
    from: required(orOff(mailbox), "Sender."),
    to: list(required(orOff(mailbox), "A recipient; empty: left out."), "oncall@example.com", 1)
      .max(50, { error: "has more than 50 recipients; use an address that stands for all of them" })
      .meta({ description: "Recipients. All get the same message." }),
    host: required(orOff(host), "The mail server."),
    port: optional(whole({ min: 1, max: 65_535 }), "Left out: 587, with `tls: implicit` 465.", "Its port."),
    tls: defaulted(
      choice(["implicit", "required", "opportunistic"]),
      "required",
      "`implicit`: TLS from the first byte. `required`: STARTTLS, or nothing is sent. `opportunistic`: STARTTLS where it is offered, with whatever certificate; without it messages and password go as they are, so only in a network of your own.",
    ),
    user: optional(
      orOff(text({ expected: "the name to log in with", pattern: /^\P{Cc}+$/u })),
      "Left out or empty: there is no login.",
      "Name for the login.",
    ),
    password: optional(password, "Left out or empty: an empty one.", "Password for the login."),
  },
  "from: crossfade@example.com, to: [oncall@example.com], host: smtp.example.com",
);

const adminAddress = webAddress("the address of the admin API as people reach it");
/** Paths are put after it. */
const base: Scalar<string> = {
  ...adminAddress,
  read: (given) =>
    given.includes("?")
      ? { wrong: `has a query, behind which no path can stand; expected ${adminAddress.expected}` }
      : adminAddress.read(given),
};

const channel = mapping(
  {
    slack: optional(
      orOff(webAddress("the address of an incoming webhook")),
      "Empty: the channel is off.",
      "Address of an incoming webhook of Slack, or of what understands the same; the address is the secret. One of `slack`, `email` and `webhook` is needed.",
    ),
    email: email
      .optional()
      .meta({ description: "A mail server and whom it writes to. Where `host`, `from` or every `to` is empty, the channel is off." }),
    webhook: optional(
      orOff(webAddress("an address")),
      "Empty: the channel is off.",
      "Where the notice is sent as JSON by POST; a status from 200 to 299 is success. Redirects are not followed.",
    ),
    headers: labelled(
      "the name of a header",
      required(fieldValue, "Value of the header; empty: it is not sent."),
      "Authorization: Bearer ${TOKEN}",
    )
      .prefault({})
      .meta({ description: "Further header fields of a webhook's request." }),
    secret: optional(
      secret(8),
      "Left out or empty: not signed.",
      "Key with which a webhook's body is signed: `X-Crossfade-Signature: sha256=` and the HMAC-SHA256 of its bytes in hexadecimal digits.",
    ),
    language: defaulted(choice(["en", "fr"]), "en", "In which language it is told."),
    timeout: defaulted(duration({ min: 100, max: MINUTE }), "10s", "Longest time for one try."),
  },
  "slack: ${SLACK_URL}, language: fr",
);

const channelNames = (description: string) =>
  list(required(nameOf("a channel"), "Name of a channel."), "ops-slack", 1).meta({ description });

const SEVERITIES = ["P0", "P1", "P2", "P3", "info"] as const;
const PRIORITIES = ["P0", "P1", "P2", "P3"] as const;

/** As {@link choice}, of words that are not all in lower case. */
function oneOf<const T extends string>(values: readonly T[]): Scalar<T> {
  const known = choice(values.map((value) => value.toLowerCase()));
  const expected = `${values.slice(0, -1).join(", ")} or ${values.at(-1) ?? ""}`;
  return {
    kind: expected,
    expected,
    read(given) {
      const value = values.find((word) => word.toLowerCase() === given.trim().toLowerCase());
      return value === undefined ? { wrong: `${show(given)} is not known here; expected ${expected}` } : { value };
    },
    json: { ...known.json, pattern: `^(${values.join("|")})$` },
  };
}

const kind = choice(NOTICE_KINDS, "kind of notice");

const route = mapping(
  {
    severities: list(required(oneOf(SEVERITIES), "A severity."), "P0, P1")
      .prefault([])
      .meta({ description: "Of these only. Empty: all." }),
    kinds: list(required(kind, "A kind of notice."), "rollout-rolling-back, sla-breached")
      .prefault([])
      .meta({ description: `Of these only, among ${NOTICE_KINDS.join(", ")}. Empty: all.` }),
    channels: channelNames("Who is told. Channels that are off are left out."),
  },
  "severities: [P0, P1], channels: [ops-slack]",
);

const level = mapping(
  {
    after: required(duration({ min: 0, max: 7 * DAY }), "Time since the notice, without an acknowledgement."),
    channels: channelNames("Who is called then."),
  },
  "after: 15m, channels: [oncall]",
);

const escalation = mapping(
  {
    severities: list(required(oneOf(PRIORITIES), "A severity."), "P0, P1", 1)
      .prefault(["P0", "P1"])
      .meta({ description: "Of which notices." }),
    levels: list(level, "{ after: 15m, channels: [oncall] }", 1)
      .max(10, { error: "has more than 10 levels; leave some out" })
      .meta({ description: "Who is called when, each level later than the one before." }),
  },
  "severities: [P0, P1], levels: [{ after: 15m, channels: [oncall] }]",
);

const reminder = (severity: string, preset: string) =>
  defaulted(duration({ min: 0, max: 7 * DAY }), preset, `Of ${severity}: time between two reminders; 0: none.`);

export const notifications = mapping(
  {
    channels: named("a channel", channel, "ops-slack: { slack: ${SLACK_URL} }").prefault({}).meta({
      description:
        "Where messages can go. Routes, escalations and the rollback flow name them. None: notices are kept and shown, and nothing is sent.",
    }),
    routes: list(route, "{ severities: [P0, P1], channels: [ops-slack] }")
      .prefault([])
      .meta({ description: "Who is told of what at once. Every route that fits is used; a channel hears of a thing once." }),
    escalations: named("an escalation", escalation, "technical: { levels: [{ after: 15m, channels: [oncall] }] }").prefault({}).meta({
      description: "Who is called when nobody acknowledges. It ends with an acknowledgement, or when the trouble is over.",
    }),
    reminders: mapping(
      { P0: reminder("P0", "15m"), P1: reminder("P1", "30m"), P2: reminder("P2", "1h"), P3: reminder("P3", "0s") },
      "P0: 15m, P1: 30m",
    )
      .prefault({})
      .meta({ description: "How often those who were told are told again, until somebody acknowledges." }),
    rollback_flow: list(level, "{ after: 5m, channels: [ops-slack] }")
      .max(20, { error: "has more than 20 moments; leave some out" })
      .prefault([])
      .meta({ description: "Messages at these times after a rollback, whatever is acknowledged; a newer rollback takes their place." }),
    group_for: defaulted(
      duration({ min: 0, max: DAY }),
      "10m",
      "What repeats itself within so long is told once, with how often. 0: each is told.",
    ),
    url: optional(
      orOff(base),
      "Left out or empty: messages say which command to use.",
      "Where people reach the admin address, for links in messages.",
    ),
    secret: optional(
      secret(16),
      "Left out or empty: made from the sticky cookies' secret; where each instance has one of its own, a link works on the instance that sent it.",
      "Key of the signatures of links by which a notice is acknowledged. The same on all instances.",
    ),
  },
  "channels: { ops-slack: { slack: ${SLACK_URL} } }, routes: [{ channels: [ops-slack] }]",
)
  .prefault({})
  .meta({ description: "Who is told of rollouts, troubles and incidents. The same on all instances." });

import { show } from "./problem.ts";
import { defaulted, duration, optional, type Reading, required, type Scalar, secret, text, toggle, whole } from "./scalars.ts";
import { admin as adminAccess } from "./schema-server.ts";
import { labelled, list, mapping, named } from "./shapes.ts";

/** What rollouts need besides a plan: who may approve, what is run, how often one looks, what is known of events. */

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const role = text({ expected: "a role in one word, such as ops", pattern: /^[^\s,]+$/, max: 64 });

const token = secret(8);
/** A person without a token could never say anything, so here an empty one is a mistake. */
const ownToken: Scalar<string> = {
  ...token,
  read(given) {
    const reading = token.read(given);
    if ("wrong" in reading) return reading;
    return reading.value === undefined ? { wrong: `is empty; expected ${token.expected}` } : { value: reading.value };
  },
};

const person = mapping(
  {
    token: required(
      ownToken,
      "Bearer token of this person alone, at least 8 characters. Whoever has it is this person, whatever `X-Crossfade-User` says.",
    ),
    roles: list(required(role, "A role."), "ops, product")
      .prefault([])
      .meta({ description: "Roles in which this person approves, in words of your own. Empty: none." }),
  },
  "token: ${ALICE_TOKEN}, roles: [ops]",
);

const people = named("a person", person, "alice: { token: ${ALICE_TOKEN}, roles: [ops] }").prefault({}).meta({
  description:
    "People with tokens of their own, so that approvals prove who gave them. Where there are any, the name that another call gives itself stands in the audit as `NAME (unproved)`. Left out: every call is whom it says, in every role that it says.",
});

/** The admin side, with those who are known there by name. */
export const admin = adminAccess
  .unwrap()
  .extend({ people })
  .prefault({})
  .meta({ description: adminAccess.meta()?.description ?? "" });

/** Never repeated in a message: with some services the whole address is the secret. */
export function webAddress(what: string): Scalar<string> {
  const expected = `${what} beginning with http:// or https://, without credentials and fragment`;
  return {
    kind: "URL",
    expected,
    read(given): Reading<string> {
      const url = URL.parse(given.trim());
      if (url === null || !/^https?:\/\//i.test(given.trim())) return { wrong: `is not a usable URL; expected ${expected}` };
      if (url.username !== "" || url.password !== "")
        return { wrong: "holds credentials, which would end up in logs; put them into a header instead" };
      if (given.includes("#")) return { wrong: `has a fragment, which is never sent; expected ${expected}` };
      return { value: url.href };
    },
    json: { type: "string" },
  };
}

const argument = text({ expected: "an argument, such as --fast", pattern: /^[^\0]*$/, min: 0, max: 4_096 });

/** Empty where a placeholder is: then the field is not sent. May be a secret, so no message repeats it. */
export const fieldValue: Scalar<string> = {
  kind: "text",
  expected: "visible ASCII characters and spaces between them, at most 4096",
  read(given) {
    if (given === "" || (given.length <= 4_096 && /^[!-~]([ -~]*[!-~])?$/.test(given))) return { value: given };
    return { wrong: `holds what a header cannot carry; expected ${fieldValue.expected}` };
  },
  json: { type: ["string", "number", "boolean"] },
};

const hook = mapping(
  {
    command: list(required(argument, "The program, then its arguments."), "./restore.sh, --fast", 1).optional().meta({
      description:
        "The program and its arguments, run in the folder of this file and read by no shell. A program without a slash is looked for in PATH. It is told what happens in `CROSSFADE_*` variables and as JSON on its standard input; exit code 0 is success. One of `command` and `webhook` is needed.",
    }),
    webhook: required(
      webAddress("an address"),
      "Where the same JSON is sent by POST; a status from 200 to 299 is success. Redirects are not followed.",
    ).optional(),
    timeout: defaulted(
      duration({ min: 100, max: HOUR }),
      "30s",
      "Longest time for all of it. A program is then ended, with everything that it started: SIGTERM, a second later SIGKILL.",
    ),
    drill: defaulted(
      toggle,
      false,
      "Whether drills that decide nothing run it too, with `CROSSFADE_DRILL=1` and `drill: true`. Only for what does no harm, or heeds that. Live drills run every hook.",
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
  },
  "command: [./restore.sh, --fast], timeout: 90s",
);

export const hooks = named("a hook", hook, "restore-data: { command: [./restore.sh], timeout: 90s }").prefault({}).meta({
  description:
    "What plans may have run or asked: after the traffic has gone back, in drills, before a step is left. Plans and the admin API can only name what stands here.",
});

/** Empty where a placeholder is: then there is none. */
const prometheusAddress: Scalar<string | undefined> = {
  ...webAddress("the base URL of a Prometheus"),
  read(given): Reading<string | undefined> {
    if (given.trim() === "") return { value: undefined };
    if (given.includes("?")) return { wrong: `${show("?")} cannot stand in it; expected ${prometheusAddress.expected}` };
    const reading = webAddress("the base URL of a Prometheus").read(given);
    return "value" in reading ? { value: reading.value.replace(/\/+$/, "") } : reading;
  },
};

export const rollout = mapping(
  {
    lease: defaulted(
      duration({ min: 300, max: MINUTE }),
      "3s",
      "How long the instance that leads a rollout is taken to be alive without a sign of it. Then another one takes over. Short: a busy machine loses the lead for nothing.",
    ),
    evaluate: defaulted(
      duration({ min: 100, max: MINUTE }),
      "1s",
      "Time between two looks at triggers and gates. What a rollback takes begins with it.",
    ),
    record: defaulted(
      duration({ min: 100, max: HOUR }),
      "1m",
      "Time between two entries in the record of a rollout, by which other plans can be tried on it afterwards.",
    ),
    publish: defaulted(
      duration({ min: 100, max: MINUTE }),
      "1s",
      "How often every instance tells the others what it counted. Longer makes figures older and the store's work less.",
    ),
    prometheus: optional(
      prometheusAddress,
      "Left out or empty: the figures that the instances tell each other.",
      "Base URL of a Prometheus that scrapes every instance, to take the figures from it.",
    ),
  },
  "evaluate: 1s",
)
  .prefault({})
  .meta({ description: "How rollouts are watched. The same on all instances." });

export const events = mapping(
  {
    late: defaulted(
      duration({ min: 0, max: 30 * DAY }),
      "7d",
      "How long after its time an event of the business (feedback, conversion, revenue) is still counted. 0 takes none from the past.",
    ),
    remembered_requests: defaulted(
      whole({ min: 1_024, max: 16_777_216 }),
      65_536,
      "Requests of one worker whose arm is still known when an event names them by id; rounded up to a power of two. Newer ones take the place of the oldest.",
    ),
  },
  "late: 7d",
)
  .prefault({})
  .meta({ description: "Events that other systems report, by which the two arms are compared." });

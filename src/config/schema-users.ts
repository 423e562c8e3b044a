import { BREAKER_MODES } from "../core/words.ts";
import type { IdentitySource } from "./config.ts";
import { network } from "./addresses.ts";
import { nearest } from "./problem.ts";
import {
  choice,
  defaulted,
  duration,
  nameOf,
  optional,
  required,
  secret,
  share,
  text,
  TOKEN,
  toggle,
  whole,
  type Reading,
  type Scalar,
} from "./scalars.ts";
import { labelled, list, mapping, named } from "./shapes.ts";

/** Who a request belongs to, and the flags that decide by it. */

/** What browsers grant a cookie at most: 400 days. */
const LONGEST_COOKIE_MS = 34_560_000_000;

const headerName = text({ kind: "header", expected: "the name of a header, such as x-user-id", pattern: TOKEN, max: 64 });
const queryName = text({
  kind: "query parameter",
  expected: "the name of a query parameter, such as user_id",
  pattern: /^[^\s&=#?]+$/,
  max: 64,
});

export const trustedHops = list(required(network, "An address or a network."), "10.0.0.0/8").prefault([]).meta({
  description:
    "Addresses and networks of the proxies in front of this one. Only requests from there may choose an arm (`overrides`), name a segment (`segment_header`), carry a `trusted-header:` identity or say on whose behalf they come (`X-Forwarded-For`). Never list a network from which clients connect directly.",
});

const FORMS = ["header", "trusted-header", "query", "cookie", "address"] as const;
type Form = (typeof FORMS)[number];

/** A claim of a verified token: understood, so that files that name one are valid, but passed over, with a warning. */
interface Claim {
  readonly kind: "claim";
  readonly name: string;
}

/** One place where a user key may stand. */
const identitySource: Scalar<IdentitySource | Claim> = {
  kind: "identity source",
  expected: "header:NAME, trusted-header:NAME, query:NAME, cookie or address",
  read(given): Reading<IdentitySource | Claim> {
    const [word = "", ...rest] = given.trim().split(":");
    if (word === "claim" && rest.join(":") !== "") return { value: { kind: "claim", name: rest.join(":") } };
    const form = FORMS.find((known) => known === word);
    if (form === undefined) {
      const near = nearest(word, FORMS);
      return {
        wrong: `${JSON.stringify(given)} is no source of a user key; expected ${identitySource.expected}${near === undefined ? "" : ` (did you mean ${near}?)`}`,
      };
    }
    return readSource(form, rest.join(":"), given);
  },
  json: { type: "string", pattern: "^((trusted-)?header:.+|query:.+|claim:.+|cookie|address)$" },
};

function readSource(form: Form, name: string, given: string): Reading<IdentitySource> {
  if (form === "cookie" || form === "address") {
    return given.trim() === form ? { value: { kind: form } } : { wrong: `${JSON.stringify(given)}: ${form} takes no name; write ${form}` };
  }
  const reading = (form === "query" ? queryName : headerName).read(name);
  if ("wrong" in reading)
    return {
      wrong: `${JSON.stringify(given)} names no usable ${form}; write it like ${form}:${form === "query" ? "user_id" : "x-user-id"}`,
    };
  if (form === "query") return { value: { kind: "query", name } };
  return { value: { kind: "header", name: name.toLowerCase(), trustedOnly: form === "trusted-header" } };
}

export const identity = list(required(identitySource, "A place where the user key may stand."), "header:x-user-id, cookie, address", 1)
  .prefault(["header:x-user-id", "cookie", "address"])
  .meta({
    description:
      "Where the user key is looked for, in this order: `header:NAME`, `trusted-header:NAME` (from trusted hops only), `query:NAME`, `cookie` (the signed sticky cookie, set where there is none), `address` (of the client; users behind one address share an arm). `claim:NAME` is understood and passed over, with a warning: tokens are not verified in this version. The first that gives a key decides; a key given twice with different values is answered 400. A plain `header:` or `query:` can be written by any client, which thereby chooses its arm.",
  });

export const identityIgnore = list(
  required({ ...text({ expected: "a word", min: 0 }), null: "null" }, "A value that names nobody."),
  "anonymous, guest",
)
  .prefault(["anonymous", "none", "null", "undefined", "guest", "unknown"])
  .meta({
    description:
      "Values of a user key that mean nobody in particular, compared without case. They are passed over, so that all anonymous users do not share one bucket. An empty value is always passed over.",
  });

export const sticky = mapping(
  {
    cookie: defaulted(
      text({ kind: "cookie", expected: "the name of a cookie, such as crossfade_id", pattern: TOKEN, max: 64 }),
      "crossfade_id",
      "Name of the cookie.",
    ),
    secret: optional(
      secret(16),
      "Left out or empty: one is made at the first start and kept in the state directory.",
      "Signs the cookie, and hashes user keys in logs; at least 16 characters. Several instances need the same one, or a user without a key may change arms with the instance. Changing it gives every such user a new cookie.",
    ),
    max_age: defaulted(
      duration({ min: 60_000, max: LONGEST_COOKIE_MS }),
      "90d",
      "How long a browser keeps the cookie; longer than the migration, or users come back as strangers.",
    ),
  },
  "cookie: crossfade_id",
)
  .prefault({})
  .meta({ description: "The signed cookie that keeps users without a key on their arm." });

export const segmentHeader = mapping(
  {
    name: required(headerName, "Name of the header."),
    values: labelled(
      "a header value",
      required(nameOf("the name of a segment"), "The segment that a header value means."),
      "beta: beta_users",
    ).meta({
      description: "Header value (compared without case) to segment. Other values mean no segment.",
    }),
  },
  "name: x-user-segment, values: { beta: beta_users }",
)
  .optional()
  .meta({ description: "A header by which trusted hops name a user's segment. Left out: segments come from the store's sets only." });

const override = mapping(
  {
    header: optional(headerName, "", "Name of the header. An override has either `header` or `query`."),
    query: optional(queryName, "", "Name of the query parameter."),
    value: required(text({ expected: "the value that chooses the arm" }), "The value that chooses the arm, compared exactly."),
    arm: required(choice(["stable", "candidate"]), "The arm of a request that carries it."),
  },
  "header: x-feature-flag, value: v2_enabled, arm: candidate",
);

export const overrides = list(override, "{ query: version, value: v2, arm: candidate }").prefault([]).meta({
  description: "What a trusted hop may send to choose the arm of one request. From anyone else it has no effect. The first that fits wins.",
});

const conditions = mapping(
  {
    response_time: defaulted(
      duration({ min: 1, max: 60_000 }),
      "100ms",
      "The candidate's time for a complete answer. When it has passed, the stable arm is asked. Live: `fallback.response_time`.",
    ),
    error_rate: defaulted(
      share,
      "1%",
      "Share of failed candidate answers above which the candidate gets no requests for a while; no single answer is judged by it. 0 switches it off. Live: `fallback.error_rate`.",
    ),
    accuracy: defaulted(
      share,
      "85%",
      "Least quality of a candidate answer, where its upstream has `quality`: 85 and 85% are the same, and 0.85 means 0.85 %. 0 accepts any figure. Live: `fallback.accuracy`.",
    ),
  },
  "response_time: 100ms, accuracy: 85%",
)
  .prefault({})
  .meta({ description: "When an answer of the candidate is not good enough." });

export const flag = mapping(
  {
    enabled: defaulted(toggle, true, "`false` sends everybody to the stable arm. Live: `enabled`."),
    salt: optional(
      text({ expected: "a short text", max: 128 }),
      "Left out: the flag's name.",
      "Mixed with the user key before hashing. Flags with one salt split users alike. Changing it deals all users anew: many then change arms.",
    ),
    rollout_percentage: defaulted(share, 0, "Share of users on the candidate. 0 is nobody, 100 everybody. Live: `rollout_percentage`."),
    kill_switch: defaulted(toggle, false, "`true` sends everybody to the stable arm, whatever else is set. Live: `kill_switch`."),
    user_segments: named(
      "a segment",
      mapping(
        {
          percentage: required(share, "Share of the segment's users on the candidate. Live: `segment.<name>`."),
          override_global: defaulted(
            toggle,
            false,
            "`true`: this figure counts instead of the global one. `false`: it caps the global one.",
          ),
        },
        "percentage: 50, override_global: true",
      ),
      "beta_users: { percentage: 100, override_global: true }",
    )
      .prefault({})
      .meta({
        description:
          "Groups of users with a figure of their own, by name. For a user in several the first of the file counts. `none` is reserved.",
      }),
    fallback_system: mapping(
      {
        enabled: defaulted(
          toggle,
          true,
          "`false`: the candidate's answers are served as they are, however slow or bad. Live: `fallback.enabled`.",
        ),
        conditions,
        hedge: defaulted(
          toggle,
          false,
          "`true`: the stable arm is started beside the candidate once that takes longer than nine in ten of its answers lately (20 to 100 ms); the first good answer is served. Live: `fallback.hedge`.",
        ),
        budget: defaulted(
          share,
          "20%",
          "Extra requests to the stable arm, by fallback and hedge, as a share of the candidate's requests of the last ten seconds; three at a time are always allowed. When it is spent the breaker opens. Live: `fallback.budget`.",
        ),
        breaker: defaulted(
          choice(BREAKER_MODES),
          "auto",
          "`auto`: the candidate gets no requests for a while when the budget is surely exceeded, when `error_rate` or `accuracy` are surely missed, or when it cannot be reached. `open` and `closed` set it by hand; `off`: neither breaker nor budget. Live: `fallback.breaker`.",
        ),
      },
      "enabled: true",
    )
      .prefault({})
      .meta({ description: "Taking back single requests from the candidate, on routes that are `idempotent`." }),
    monitoring_enhanced: mapping(
      {
        enabled: defaulted(toggle, true, "`false` is the same as a sampling rate of 0."),
        sampling_rate: defaulted(
          share,
          "100%",
          "Share of requests on the flag's routes that are logged. Live: `monitoring.sampling_rate`.",
        ),
        retention_days: defaulted(whole({ min: 1, max: 3_650 }), 90, "Days for which those who store figures keep them."),
      },
      "sampling_rate: 100%",
    )
      .prefault({})
      .meta({ description: "How closely the flag's routes are watched." }),
  },
  "rollout_percentage: 10",
);

export const flags = named("a flag", flag, "my_migration: { rollout_percentage: 10 }").prefault({}).meta({
  description:
    "The switches of split routes, by name. These are first values: the store may replace those marked live while the program runs.",
});

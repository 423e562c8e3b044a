import { socketAddress, type SocketAddress } from "./addresses.ts";
import { choice, defaulted, duration, optional, type Reading, type Scalar, text, toggle } from "./scalars.ts";
import { webAddress } from "./schema-rollout.ts";
import { mapping } from "./shapes.ts";

/** What customers are told, and where. */

const DAY = 86_400_000;

/** Empty where a placeholder is: then there is none. */
const pageAddress: Scalar<string | undefined> = {
  ...webAddress("the address of the page"),
  read(given): Reading<string | undefined> {
    return given.trim() === "" ? { value: undefined } : webAddress("the address of the page").read(given);
  },
};

/** Likewise. */
const listenerAddress: Scalar<SocketAddress | undefined> = {
  ...socketAddress(true),
  read(given): Reading<SocketAddress | undefined> {
    return given.trim() === "" ? { value: undefined } : socketAddress(true).read(given);
  },
};

export const incidents = mapping(
  {
    from_rollbacks: defaulted(
      toggle,
      true,
      "Whether a rollback that a trigger causes opens an incident by itself: impact `degraded`, priority P1, texts in English and French that name no internals. One that a person makes opens none.",
    ),
    resolve_after: defaulted(
      duration({ min: 0, max: DAY }),
      "30m",
      "How long after such a rollback all must have been well for its incident to be resolved by itself, if nobody has written to it meanwhile. 0: a person resolves it.",
    ),
  },
  "resolve_after: 1h",
)
  .prefault({})
  .meta({ description: "Incidents that customers are told of (docs/status-page.md)." });

export const statusPage = mapping(
  {
    address: optional(
      listenerAddress,
      "Left out or empty: the page is on the admin address alone.",
      "A listener for customers, with the status page and nothing else on it: `/status`, `/status.json`, `/status.rss`.",
    ),
    title: defaulted(
      text({ expected: "a title of at most 100 characters, such as Matching service", max: 100 }),
      "Service status",
      "What the page is called.",
    ),
    language: defaulted(choice(["en", "fr"]), "en", "The language for whoever asks for neither English nor French."),
    url: optional(
      pageAddress,
      "Left out or empty: the address under which each reader asked, by http.",
      "Where customers find the page, such as https://example.com/status, for the links of the feed. The feed stands beside it, with `.rss` after its path.",
    ),
  },
  "address: 0.0.0.0:8090, title: Matching service",
)
  .prefault({})
  .meta({ description: "The status page: what a customer may know." });

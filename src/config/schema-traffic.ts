import { METHODS } from "node:http";
import { SIGNS } from "../core/words.ts";
import { endpoint } from "./addresses.ts";
import {
  choice,
  defaulted,
  duration,
  nameOf,
  optional,
  pemFile,
  positive,
  required,
  share,
  TOKEN,
  text,
  toggle,
  unknownWord,
  whole,
  type Scalar,
} from "./scalars.ts";
import { either, list, mapping, named } from "./shapes.ts";

/** Where requests go: upstreams and routes. */

const HOUR = 3_600_000;
const DAY = 86_400_000;

/** Visible ASCII without `#`: what may stand in a request line. */
const REQUEST_TARGET = /^\/[!"$-~]*$/;

export interface PathPattern {
  /** Without the trailing `**`. */
  readonly path: string;
  readonly prefix: boolean;
}

/** A path, with or without a `/**` at its end that stands for everything below. */
const pathPattern: Scalar<PathPattern> = {
  kind: "path",
  expected: "a path that starts with /, such as /api/match, or /api/** for everything below /api/",
  read(given) {
    const prefix = given.endsWith("/**");
    const path = prefix ? given.slice(0, -2) : given;
    if (REQUEST_TARGET.test(path) && !/[*?]/.test(path)) return { value: { path, prefix } };
    return { wrong: wrongPath(given, pathPattern.expected) };
  },
  json: { type: "string", pattern: "^/[^\\s*?#]*(/\\*\\*)?$" },
};

const plainPath: Scalar<string> = {
  kind: "path",
  expected: "a path that starts with /, such as /health",
  read: (given) => (REQUEST_TARGET.test(given) ? { value: given } : { wrong: wrongPath(given, plainPath.expected) }),
  json: { type: "string", pattern: "^/[^\\s#]*$" },
};

function wrongPath(given: string, expected: string): string {
  const found = JSON.stringify(given.slice(0, 100));
  if (!given.startsWith("/")) return `${found} does not start with /; expected ${expected}`;
  if (given.includes("*")) return `${found} has a * in it; the only wildcard is /** at the end of a path`;
  return `${found} is not a plain path (no blanks, query or fragment, other characters as % and their code); expected ${expected}`;
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS.filter((method) => method !== "CONNECT"));

const method: Scalar<string> = {
  kind: "method",
  expected: "an HTTP method such as GET or POST",
  read(given) {
    const upper = given.trim().toUpperCase();
    if (KNOWN_METHODS.has(upper)) return { value: upper };
    return { wrong: unknownWord("method", given, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], "") };
  },
  json: { type: "string" },
};

const headerField = text({ expected: "the name of a header", pattern: TOKEN, max: 64 });

const jsonPointer: Scalar<string> = {
  kind: "JSON pointer",
  expected: "a JSON pointer (RFC 6901), * standing for every element, such as /matches/*/confidence",
  read(given) {
    if (/^(\/([^~/]|~[01])*)+$/.test(given) && given.length <= 256) return { value: given };
    return { wrong: `${JSON.stringify(given.slice(0, 100))} is not a pointer; expected ${jsonPointer.expected}` };
  },
  json: { type: "string", pattern: "^/" },
};

/** Whether there is such a dialect is seen with the whole file. */
const dialectName = {
  ...nameOf("the name of a dialect"),
  kind: "dialect",
  expected: "v1, v1-offers, nexten, v2, v2-jobs or one of dialects",
};
const DIALECTS_OWN = "Left out: where the upstream's dialect has it.";

const ownDialects = required(
  text({ kind: "path", expected: "the path of a module, such as dialects/ours.mjs", max: 1_024 }),
  "Path of an ES module, relative to the folder of this file.",
);

export const dialects = named("a dialect", ownDialects, "ours: dialects/ours.mjs").prefault({}).meta({
  description: "Dialects of your own, by name: modules that translate to and from the format between all dialects (docs/dialects.md).",
});

const upstream = mapping(
  {
    endpoints: list(required(endpoint, "Address of one backend."), "http://127.0.0.1:5062", 1).meta({
      description: "Addresses of the backends that answer for this upstream. All of them must be equals: a request may go to any.",
    }),
    dialect: optional(
      dialectName,
      "Left out: bodies pass as they are.",
      "The format of requests and answers that the backend speaks: `v1`, `v1-offers`, `nexten`, `v2`, `v2-jobs`, or one of `dialects`. Where the clients of a route speak another, bodies are translated.",
    ),
    health: mapping(
      {
        path: required(plainPath, "Path that is asked."),
        interval: defaulted(duration({ min: 100, max: HOUR }), "5s", "Time between two checks of an endpoint."),
        timeout: defaulted(duration({ min: 10, max: HOUR }), "1s", "Longest time to wait for the answer of a check."),
        status: list(required(whole({ min: 200, max: 599 }), "A status."), "200")
          .prefault([])
          .meta({
            description: "Statuses of a healthy endpoint. Empty: any from 200 to 299.",
          }),
        field: mapping(
          {
            pointer: required(jsonPointer, "Where in the JSON of the answer it stands."),
            equals: required(
              text({ expected: "a text, a number, true or false" }),
              "What must stand there. `true`, `false` and numbers mean themselves, and their texts.",
            ),
          },
          "pointer: /status, equals: healthy",
        )
          .optional()
          .meta({ description: "What must stand in the answer's JSON. Left out: its body is not read." }),
      },
      "path: /health",
    )
      .optional()
      .meta({
        description:
          "How endpoints are checked. Left out: whether they take connections is looked at, every five seconds. Requests go to healthy endpoints while there are any.",
      }),
    outliers: mapping(
      {
        consecutive: defaulted(
          whole({ min: 0, max: 1_000 }),
          5,
          "Failures in a row (no connection, broken off, too late, status 500 and above) after which an endpoint is left alone. 0 leaves none alone.",
        ),
        ejected_for: defaulted(
          duration({ min: 100, max: HOUR }),
          "10s",
          "For how long, the first time; each further time in a row by as much longer, up to ten times.",
        ),
        most: defaulted(
          share,
          "50%",
          "Share of the endpoints that may be left alone at a time, rounded down: 10% of three is none. If none can be used, all are.",
        ),
      },
      "consecutive: 5",
    )
      .prefault({})
      .meta({ description: "When an endpoint that goes on failing is left alone, while there are others." }),
    signs: mapping(
      {
        enabled: list(required(choice(SIGNS), "A sign."), "success-false, empty-matches", 1).meta({
          description:
            "Which are looked for: `not-json`, `success-false`, `fallback-flag`, `fallback-algorithm`, `empty-matches`, `missing-ids`, `foreign-ids`, `equal-scores`.",
        }),
        paths: mapping(
          {
            success: optional(jsonPointer, DIALECTS_OWN, "A boolean; `false` is `success-false`."),
            algorithm: optional(jsonPointer, DIALECTS_OWN, "A name; one of `algorithms` is `fallback-algorithm`."),
            fallback_flags: list(required(jsonPointer, "A boolean; `true` is `fallback-flag`."), "/metadata/fallback")
              .optional()
              .meta({ description: "Booleans of which any that is `true` is `fallback-flag`. Left out: those of the upstream's dialect." }),
            matches: optional(jsonPointer, DIALECTS_OWN, "The list of matches."),
            answer_ids: optional(jsonPointer, DIALECTS_OWN, "The id in each match."),
            request_ids: optional(jsonPointer, DIALECTS_OWN, "The id of each thing that a request asks about."),
            scores: optional(jsonPointer, DIALECTS_OWN, "The score of each match."),
            confidences: optional(jsonPointer, DIALECTS_OWN, "The confidence of each match."),
          },
          "matches: /results",
        )
          .prefault({})
          .meta({ description: "Where the things that signs look at stand, as JSON pointers." }),
        algorithms: list(required(text({ expected: "the name of an algorithm" }), "A name."), "fallback_basic")
          .optional()
          .meta({
            description: "Names of algorithms that say that the backend has fallen back. Left out: those that are known of V1 and V2.",
          }),
        confidence: defaulted(share, "60%", "Equal scores are a sign only if no confidence is above this."),
      },
      "enabled: [success-false, empty-matches]",
    )
      .optional()
      .meta({
        description:
          "Failures that arrive as HTTP 200. On the candidate arm an answer that shows one is replaced by the stable arm's. Left out: none is looked for.",
      }),
    quality: mapping(
      {
        pointer: required(jsonPointer, "Where in the JSON of an answer the figure stands; `*` stands for every element."),
        reduce: defaulted(choice(["mean", "max", "min", "first"]), "mean", "What is made of several figures."),
        scale: defaulted(positive, 1, "The figure that means perfect: 1 for 0..1, 100 for 0..100."),
      },
      "pointer: /matches/*/confidence",
    )
      .optional()
      .meta({
        description:
          "Where an answer says how good it is. On the candidate arm an answer below the flag's `accuracy`, or without a readable figure, is replaced by the stable arm's. Left out: quality is not judged.",
      }),
    tls: mapping(
      {
        ca: required(
          pemFile,
          "File with the certificates, in PEM, of those who may sign the backends' ones. Nobody else is then trusted for this upstream. Its path is relative to the folder of this file.",
        ),
      },
      "ca: tls/internal-ca.pem",
    )
      .optional()
      .meta({
        description:
          "How `https://` endpoints are known. The certificate must be made for the host in the endpoint's address. Left out: whom Node.js trusts.",
      }),
    connect_timeout: defaulted(
      duration({ min: 1, max: HOUR }),
      "1s",
      "Longest time that making a connection may take, its TLS handshake included.",
    ),
    keep_alive: defaulted(
      duration({ min: 1, max: HOUR }),
      "30s",
      "How long an idle connection is kept for reuse. Stay below the backend's own keep-alive, or it may close a connection just as it is reused. 1ms keeps hardly any.",
    ),
    max_connections: defaulted(
      whole({ min: 1, max: 100_000 }),
      1_024,
      "Most connections to one endpoint from one worker. Further requests wait their turn, within the time they have.",
    ),
  },
  "endpoints: [http://127.0.0.1:5062]",
);

export const upstreams = named("an upstream", upstream, "v1: { endpoints: [http://127.0.0.1:5062] }")
  .prefault({})
  .meta({ description: "Groups of backends, by name." });

const upstreamName = nameOf("the name of an upstream");
const targetPath =
  "Path to send in place of the matched one. Where the match ends in `/**`, so must this, and what follows is carried over. The query always passes.";

function target(description: string) {
  const short = {
    ...upstreamName,
    kind: "upstream or mapping",
    expected: "the name of an upstream, or a mapping such as { upstream: v2, path: /api/v2/match }",
  };
  return either(
    required(short, "Name of the upstream."),
    mapping(
      {
        upstream: required(upstreamName, "Name of the upstream."),
        path: optional(pathPattern, "Left out: the path as it came.", targetPath),
      },
      "upstream: v2, path: /api/v2/match",
    ),
  )
    .optional()
    .meta({ description });
}

export const route = mapping(
  {
    name: required(nameOf("the name of a route"), "Name in metrics, logs and `explain`. Each route needs its own."),
    match: mapping(
      {
        methods: list(required(method, "An HTTP method."), "GET, POST")
          .prefault([])
          .meta({ description: "Methods that match; others on the same path are answered 405. Empty: every method." }),
        path: required(
          pathPattern,
          "Path that matches exactly. With `/**` at its end it takes everything below it, and itself: `/api/**` takes `/api`, `/api/` and `/api/x`, not `/apis`.",
        ),
      },
      "methods: [POST], path: /api/match",
    ).meta({ description: "Which requests the route takes. Routes are tried in the order of the file; the first that matches wins." }),
    stable: target("A split route: the upstream that is trusted. It answers for the candidate too when that fails."),
    candidate: target("A split route: the upstream that traffic moves to."),
    stable_for: list(
      mapping(
        {
          body: optional(jsonPointer, "", "JSON pointer to something in the body that must be there and not be empty, `false`, 0 or null."),
          header: optional(headerField, "", "Name of a header that must be there."),
          query: optional(text({ expected: "the name of a query parameter" }), "", "Name of a query parameter that must be there."),
          upstream: required(upstreamName, "The upstream that is then the stable one."),
          path: optional(pathPattern, "Left out: the path as it came.", targetPath),
        },
        "body: /candidate_questionnaire, upstream: nexten",
      ),
      "{ body: /candidate_questionnaire, upstream: nexten }",
    )
      .prefault([])
      .meta({
        description:
          "A split route: other stable upstreams for some requests. Each has one of `body`, `header` and `query`; the first that fits wins. A body longer than `limits.replay_bytes` fits none.",
      }),
    dialect: optional(
      dialectName,
      "Left out: bodies pass as they are.",
      "The format that the clients of this route speak. Where an upstream speaks another, requests are translated for it and its answers back (docs/dialects.md).",
    ),
    flag: optional(nameOf("the name of a flag"), "A split route must have it.", "The flag that says who goes to the candidate."),
    upstream: optional(upstreamName, "", "A forwarding route: the upstream that gets every request."),
    path: optional(pathPattern, "Left out: the path as it came.", `For a forwarding route. ${targetPath}`),
    respond: mapping(
      {
        status: defaulted(whole({ min: 200, max: 599 }), 200, "Status of the answer."),
        content_type: defaulted(
          text({ expected: "a media type such as application/json", pattern: /^[\x20-\x7e]+$/ }),
          "text/plain; charset=utf-8",
          "`Content-Type` of the answer.",
        ),
        body: defaulted(text({ expected: "text", min: 0, max: 65_536 }), "", "Body of the answer."),
      },
      "status: 200, body: ok",
    )
      .optional()
      .meta({ description: "A route that the proxy answers itself." }),
    idempotent: defaulted(
      toggle,
      false,
      "Whether a request may be sent twice without harm. `true`: what the candidate answers late, with an error or not well enough is answered by the stable arm. `false`: only what provably did not reach the candidate is. Do not set it where a request orders, pays or queues something.",
    ),
    timeout: defaulted(
      duration({ min: 1, max: DAY }),
      "30s",
      "Longest wait for an answer, fallback included, from when the request has come in. Then the answer is 504. Once an answer is being streamed, the longest silence within it; then it is cut.",
    ),
  },
  "name: match, match: { path: /api/match }, stable: v1, candidate: v2, flag: my_migration",
);

export const routes = list(route, "{ name: all, match: { path: /** }, upstream: v1 }", 1).meta({
  description:
    "What is done with which request. A route either splits (`stable`, `candidate`, `flag`), forwards (`upstream`), or answers itself (`respond`). A request that no route takes is answered 404.",
});

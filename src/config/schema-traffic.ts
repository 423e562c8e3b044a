import { METHODS } from "node:http";
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

const jsonPointer: Scalar<string> = {
  kind: "JSON pointer",
  expected: "a JSON pointer (RFC 6901), * standing for every element, such as /matches/*/confidence",
  read(given) {
    if (/^(\/([^~/]|~[01])*)+$/.test(given) && given.length <= 256) return { value: given };
    return { wrong: `${JSON.stringify(given.slice(0, 100))} is not a pointer; expected ${jsonPointer.expected}` };
  },
  json: { type: "string", pattern: "^/" },
};

const upstream = mapping(
  {
    endpoints: list(required(endpoint, "Address of one backend."), "http://127.0.0.1:5062", 1).meta({
      description: "Addresses of the backends that answer for this upstream. All of them must be equals: a request may go to any.",
    }),
    dialect: optional(
      text({ expected: "a short label", max: 64 }),
      "Left out: none.",
      "A label for people that says which request and answer format the backend speaks. Bodies pass untouched, whatever it says.",
    ),
    health: mapping(
      {
        path: required(plainPath, "Path that is asked."),
        interval: defaulted(duration({ min: 100, max: HOUR }), "5s", "Time between two checks of an endpoint."),
        timeout: defaulted(duration({ min: 10, max: HOUR }), "1s", "Longest time to wait for the answer of a check."),
      },
      "path: /health",
    )
      .optional()
      .meta({ description: "How endpoints are checked. Left out: they are not, and count as healthy." }),
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
    dialect: optional(
      text({ expected: "a short label", max: 64 }),
      "Left out: none.",
      "A label for people that says which format the clients of this route speak. Bodies pass untouched, whatever it says; where an upstream of the route is labelled otherwise, there is a warning.",
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

import { socketAddress, storeAddress } from "./addresses.ts";
import {
  choice,
  defaulted,
  duration,
  nameOf,
  optional,
  pemFile,
  required,
  secret,
  share,
  size,
  text,
  TOKEN,
  toggle,
  whole,
} from "./scalars.ts";
import { either, list, mapping } from "./shapes.ts";

/** What the program itself needs: addresses, the store, limits, logs. */

const HOUR = 3_600_000;
const KIB = 1_024;
const MIB = 1_048_576;
const GIB = 1_073_741_824;

export const name = defaulted(
  text({ expected: "letters, digits and -._~ without spaces", pattern: TOKEN, max: 64 }),
  "crossfade",
  "Our name in the `Via` header. A request that already carries it has come in a circle and is answered 508, so two proxies in one chain need two names.",
);

const listener = mapping(
  {
    name: defaulted(nameOf("the name of a listener"), "public", "Name in logs. With several listeners each needs its own."),
    address: required(
      socketAddress(true),
      "Where clients connect. 0.0.0.0 means every network of the machine; port 0 lets the system choose.",
    ),
    tls: mapping(
      {
        cert: required(pemFile, "File with the certificate in PEM, the server's own first, then those between it and the root."),
        key: required(pemFile, "File with its private key in PEM, not encrypted."),
      },
      "cert: tls/site.pem, key: tls/site.key",
    )
      .optional()
      .meta({
        description:
          "Serves HTTPS, by TLS 1.2 or 1.3. Paths are relative to the folder of this file; what they name is read at the start, so a renewed certificate needs a restart. Left out: plain HTTP.",
      }),
  },
  "name: public, address: 0.0.0.0:8080",
);

export const listeners = list(listener, "{ name: public, address: 0.0.0.0:8080 }", 1)
  .prefault([{ name: "public", address: "127.0.0.1:8080" }])
  .meta({ description: "Addresses on which clients are served. The default is reachable from this machine only." });

export const admin = mapping(
  {
    address: defaulted(
      socketAddress(true),
      "127.0.0.1:9090",
      "Where the admin API, metrics and health checks are served. Whoever reaches it can move the traffic, so an address that other machines reach needs a token.",
    ),
    token: optional(
      secret(8),
      "Left out or empty: no token is asked for, which only a loopback address allows.",
      "Bearer token of the admin API, at least 8 characters.",
    ),
  },
  "address: 127.0.0.1:9090",
)
  .prefault({})
  .meta({ description: "The admin side. It is never served on a public listener." });

const sentinel = mapping(
  {
    sentinels: list(required(socketAddress(false), "Address of one Sentinel."), "10.0.0.1:26379, 10.0.0.2:26379", 1).meta({
      description: "Addresses of the Sentinels; any one that answers is enough.",
    }),
    master: required(
      text({ expected: "the name under which the Sentinels watch the master, such as mymaster" }),
      "Name under which the Sentinels watch the master.",
    ),
    username: optional(text({ expected: "a user name", min: 0 }), "Left out or empty: the default user.", "User of the master."),
    password: optional(secret(1), "Left out or empty: none.", "Password of the master."),
    sentinel_password: optional(secret(1), "Left out or empty: none.", "Password of the Sentinels themselves."),
    db: defaulted(whole({ min: 0, max: 9_999 }), 0, "Number of the database."),
  },
  "sentinels: [10.0.0.1:26379], master: mymaster",
);

export const store = either(required(storeAddress, "`memory`, or the URL of one Redis."), sentinel).prefault("memory").meta({
  description:
    "Where the live settings are kept. `memory` needs no server: each instance has its own settings, from this file and the admin API. `redis://[user:password@]host:port[/db]` (`rediss://` for TLS) shares them among all instances; a mapping with `sentinels` follows a master through failovers. Redis Cluster is not supported in this version.",
});

export const stateDirectory = optional(
  text({ kind: "path", expected: "the path of a directory", max: 1_024 }),
  "Left out: `$XDG_STATE_HOME/crossfade`, else `~/.local/state/crossfade`.",
  "Directory for the last good settings, the secret of the sticky cookie and a kill given without the store. Two instances on one machine need two. A restart without it and without the store begins with this file's settings.",
);

export const workers = defaulted(
  {
    ...whole({ min: 1, max: 64 }),
    kind: "auto or whole number",
    expected: "auto, or a whole number from 1 to 64",
    read: (given: string) => {
      if (given.trim().toLowerCase() === "auto" || given.trim() === "0") return { value: 0 };
      const reading = whole({ min: 1, max: 64 }).read(given);
      return "value" in reading ? reading : { wrong: `${reading.wrong}, or auto` };
    },
    json: { type: ["string", "number"] as const, pattern: "^\\s*(auto|\\d+)\\s*$" },
  },
  "auto",
  "Number of threads that carry traffic. `auto` (or 0) is one per available core.",
);

export const workerHeap = defaulted(
  size({ min: 64 * MIB, max: 64 * GIB }),
  "512MiB",
  "Heap limit of one worker, in steps of 1MiB. A worker that exceeds it is replaced and loses its open requests, so leave room for `limits.connections` bodies of `limits.replay_bytes`.",
);

export const limits = mapping(
  {
    header_bytes: defaulted(
      size({ min: KIB, max: MIB }),
      "16KiB",
      "Largest head of a request or an answer. A larger request is answered 431.",
    ),
    body_bytes: defaulted(
      size({ min: 0, max: 1_024 * GIB }),
      "100MiB",
      "Largest request body; a larger one is answered 413. 0 means no limit.",
    ),
    replay_bytes: defaulted(
      size({ min: 0, max: GIB }),
      "1MiB",
      "A request body up to this size is kept in memory, so that it can be sent a second time. A larger one is streamed, and falls back only where no connection to the candidate comes about. 0 keeps none.",
    ),
    answer_bytes: defaulted(
      size({ min: 0, max: GIB }),
      "4MiB",
      "An answer up to this size is held in memory until it has been judged. A larger one, unless its status is an error, is streamed to the client and cannot be taken back. 0 holds none: then only the status and the time to the first byte of the body are judged.",
    ),
    connections: defaulted(
      whole({ min: 1, max: 1_000_000 }),
      10_000,
      "Most client connections to one listener of one worker. Further ones are closed at once, without an answer.",
    ),
    header_timeout: defaulted(
      duration({ min: 100, max: HOUR }),
      "10s",
      "Longest time a client may take to send the head of a request; then it is answered 408.",
    ),
    body_timeout: defaulted(
      duration({ min: 100, max: HOUR }),
      "30s",
      "Longest silence inside a request body; then it is answered 408. Also the longest time that a client may take nothing of its answer; then it is given up.",
    ),
    keep_alive: defaulted(
      duration({ min: 1_000, max: HOUR }),
      "75s",
      "How long an idle client connection is kept. It must be longer than the keep-alive of a load balancer in front, or requests get lost between the two.",
    ),
    observed_attempts: defaulted(
      whole({ min: 0, max: 100_000 }),
      256,
      "Most candidate attempts of one worker that lost on latency and are left to finish so that their true duration is known. 0 leaves none: a candidate that is too slow is then only known as slower than the fallback time.",
    ),
    observed_for: defaulted(duration({ min: 1, max: HOUR }), "5s", "How long after the start of its request such an attempt is cut off."),
    idempotency_ttl: defaulted(
      duration({ min: 0, max: 30 * 24 * HOUR }),
      "24h",
      "How long the answer to a request with an `Idempotency-Key` is remembered on split routes that are not `idempotent`, so that a retry gets the same. 0 remembers none, and such requests then fall back only where no connection comes about.",
    ),
  },
  "body_bytes: 100MiB",
)
  .prefault({})
  .meta({ description: "Bounds on what one client, connection or request may use." });

export const drain = mapping(
  {
    timeout: defaulted(
      duration({ min: 0, max: HOUR }),
      "30s",
      "Longest time that open requests get to finish after SIGTERM. 0 cuts them off at once. Stay below the grace period of the supervisor.",
    ),
    delay: defaulted(
      duration({ min: 0, max: HOUR }),
      "0",
      "How long new connections are still taken after SIGTERM, while the readiness check already fails, so that a load balancer can notice. 0 stops accepting at once.",
    ),
  },
  "timeout: 30s",
)
  .prefault({})
  .meta({ description: "How the program stops." });

export const responseHeaders = defaulted(
  choice(["all", "none"]),
  "all",
  "Whether answers carry `X-Crossfade-*`, `X-Service-Version` and `Server-Timing`. `none` hides from the public which arm answered; `X-Request-ID` stays.",
);

export const accessLog = mapping(
  {
    enabled: defaulted(toggle, true, "Whether requests are logged."),
    sampling_rate: defaulted(
      share,
      "1%",
      "Share of requests logged on routes that are not split. Split routes use the `monitoring_enhanced.sampling_rate` of their flag. 0 logs none of them.",
    ),
    user: defaulted(
      choice(["hash", "plain", "none"]),
      "hash",
      "How the user key appears: as a keyed hash, as it is (personal data then stands in the log), or not at all.",
    ),
  },
  "sampling_rate: 1%",
)
  .prefault({})
  .meta({ description: "The access log, one JSON line a request." });

export const metrics = mapping(
  {
    prefix: optional(
      text({
        kind: "metric prefix",
        expected: "letters, digits and _, not beginning with a digit, and not crossfade",
        pattern: /^(?!crossfade$)[A-Za-z_][A-Za-z0-9_]*$/,
        max: 64,
      }),
      "Left out: only the `crossfade_*` names.",
      "Prefix of an additional set of compatible metric names, such as `shop_response_time_seconds`, for dashboards that expect them.",
    ),
  },
  "prefix: shop",
)
  .prefault({})
  .meta({ description: "Metrics in the Prometheus format, served on the admin address." });

export const transport = defaulted(
  choice(["wire", "node"]),
  "wire",
  "The engine that moves bytes: `wire`, our own HTTP/1.1 on the sockets, or `node`, the HTTP stack of Node.js, which is slower and to fall back on. docs/transports.md says where they differ.",
);

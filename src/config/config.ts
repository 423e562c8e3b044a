import type { IncidentSettings, Notifications, SlaSettings, StatusPageSettings } from "./config-told.ts";
import type { AssignedArm, BreakerMode, Sign } from "../core/words.ts";

/**
 * The configuration as the program uses it: complete, validated, with the unit in each name. `parse.ts` makes it from
 * the file of `schema.ts`. It is plain data, so that it can be handed to a worker.
 */
export interface Config {
  /** Our name in `Via`, by which a loop is known. */
  readonly name: string;
  readonly listeners: readonly Listener[];
  readonly admin: Admin;
  readonly store: Store;
  /** Where the last good settings, the sticky-cookie secret and a local kill are kept. */
  readonly stateDirectory: string;
  /** 0 means one per available core. */
  readonly workers: number;
  /** Heap limit of a worker in MiB. */
  readonly workerHeapMb: number;
  /** The engine that moves bytes. */
  readonly transport: "wire" | "node";
  readonly trustedHops: readonly string[];
  /** Dialects of the user's own: the absolute path of the module by name. */
  readonly dialects: Readonly<Record<string, string>>;
  readonly upstreams: readonly Upstream[];
  readonly routes: readonly Route[];
  readonly identity: readonly IdentitySource[];
  /** Values of a user key that mean "nobody in particular", in lower case. */
  readonly identityIgnore: readonly string[];
  readonly sticky: Sticky;
  readonly segmentHeader: SegmentHeader | undefined;
  readonly overrides: readonly Override[];
  readonly limits: Limits;
  readonly drainTimeoutMs: number;
  readonly drainDelayMs: number;
  readonly responseHeaders: "all" | "none";
  readonly accessLog: AccessLog;
  readonly metricsPrefix: string | undefined;
  readonly flags: readonly Flag[];
  readonly hooks: readonly Hook[];
  readonly rollout: RolloutSettings;
  readonly events: EventSettings;
  readonly sla: SlaSettings;
  readonly incidents: IncidentSettings;
  readonly statusPage: StatusPageSettings;
  readonly notifications: Notifications;
}

export interface Listener {
  readonly name: string;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly tls: ListenerTls | undefined;
}

/** Texts in PEM. The key is a secret: it is shown and logged nowhere. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
}

export interface Admin {
  readonly host: string;
  readonly port: number;
  /** Bearer token; set, unless there are people, when the address is not loopback. */
  readonly token: string | undefined;
  readonly people: readonly Person[];
}

/** Somebody with a token of his own, who can therefore prove who he is. */
export interface Person {
  readonly name: string;
  /** No other person's, and not that of the admin side. */
  readonly token: string;
  /** Free words, which steps of a plan ask for. */
  readonly roles: readonly string[];
}

export type Store =
  | { readonly kind: "memory" }
  | { readonly kind: "redis"; readonly url: string }
  | {
      readonly kind: "sentinel";
      readonly sentinels: readonly { readonly host: string; readonly port: number }[];
      readonly master: string;
      readonly username: string | undefined;
      readonly password: string | undefined;
      readonly sentinelPassword: string | undefined;
      readonly db: number;
    };

export interface Endpoint {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:5062` */
  readonly origin: string;
  /** Certificates, in PEM, of those who alone may sign the endpoint's; undefined: whom Node.js trusts. */
  readonly ca: string | undefined;
}

export interface Upstream {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly dialect: string | undefined;
  readonly health: Health | undefined;
  readonly outliers: Outliers;
  readonly quality: Quality | undefined;
  readonly signs: Signs | undefined;
  /** TLS handshake included. */
  readonly connectTimeoutMs: number;
  /** How long an idle connection is kept for reuse. */
  readonly keepAliveMs: number;
  /** Most connections to one endpoint from one worker. */
  readonly maxConnections: number;
}

/** What a healthy endpoint answers. */
export interface Health {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Empty: any 2xx. */
  readonly statuses: readonly number[];
  /** What must stand in the JSON of the answer, if anything. */
  readonly field: { readonly pointer: string; readonly equals: string | number | boolean } | undefined;
}

/** When an endpoint that goes on failing is left alone. */
export interface Outliers {
  /** Failures in a row; 0 ejects none. */
  readonly consecutive: number;
  /** The first time; each further time in a row by as much longer. */
  readonly ejectedForMs: number;
  /** Share of the upstream's endpoints that may be ejected at a time, in basis points. */
  readonly mostEjectedBp: number;
}

/** Failures that arrive as HTTP 200. */
export interface Signs {
  readonly enabled: readonly Sign[];
  /** Where the things that they look at stand; those of the upstream's dialect where nothing is said. */
  readonly paths: SignPaths;
  /** What the upstream calls its algorithm where it has fallen back; undefined: the names that are known. */
  readonly algorithms: readonly string[] | undefined;
  /** Equal scores are a sign only if every confidence is at or below this, 0..1. */
  readonly confidenceAtMost: number;
}

/** JSON pointers in which `*` stands for every element. */
export interface SignPaths {
  readonly success?: string | undefined;
  readonly algorithm?: string | undefined;
  readonly fallbackFlags?: readonly string[] | undefined;
  readonly matches?: string | undefined;
  readonly answerIds?: string | undefined;
  readonly requestIds?: string | undefined;
  readonly scores?: string | undefined;
  readonly confidences?: string | undefined;
}

/** Where an answer says how good it is. */
export interface Quality {
  /** JSON pointer (RFC 6901) in which `*` stands for every element. */
  readonly pointer: string;
  readonly reduce: "mean" | "max" | "min" | "first";
  /** The figure that means 1: 1 or 100, usually. */
  readonly scale: number;
}

export interface Route {
  readonly name: string;
  readonly match: {
    /** Upper-case; empty means every method. */
    readonly methods: readonly string[];
    /** Path without a trailing `**`. */
    readonly path: string;
    /** True where the file says `/**`: everything below `path` matches. */
    readonly prefix: boolean;
  };
  readonly action: RouteAction;
  /** What its clients speak; undefined: bodies pass as they are. */
  readonly dialect: string | undefined;
  readonly idempotent: boolean;
  readonly timeoutMs: number;
}

export type RouteAction =
  | {
      readonly kind: "split";
      readonly flag: string;
      readonly stable: Target;
      /** Other stable upstreams for some requests; the first that fits wins. */
      readonly stableFor: readonly { readonly when: Condition; readonly target: Target }[];
      readonly candidate: Target;
    }
  | { readonly kind: "forward"; readonly target: Target }
  | { readonly kind: "respond"; readonly status: number; readonly contentType: string; readonly body: string };

/** What a request must have: a field, a query parameter, or something that is not empty in its JSON. */
export type Condition =
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "query"; readonly name: string }
  | { readonly kind: "body"; readonly pointer: string };

export interface Target {
  readonly upstream: string;
  /** Replaces the route's matched path; undefined leaves the path as it came. */
  readonly path: string | undefined;
}

export type IdentitySource =
  | { readonly kind: "header"; readonly name: string; readonly trustedOnly: boolean }
  | { readonly kind: "query"; readonly name: string }
  | { readonly kind: "cookie" }
  | { readonly kind: "address" };

export interface Sticky {
  readonly cookie: string;
  /** Undefined: the secret is made once and kept in the state directory. */
  readonly secret: string | undefined;
  readonly maxAgeMs: number;
}

/** A header that trusted hops use to name a user's segment, and what its values mean. */
export interface SegmentHeader {
  readonly name: string;
  /** Header value in lower case -> segment. */
  readonly values: Readonly<Record<string, string>>;
}

/** What a trusted hop may send to choose the arm of one request. */
export interface Override {
  readonly source: "header" | "query";
  readonly name: string;
  readonly value: string;
  readonly arm: AssignedArm;
}

/** Bounds on what one client, connection or request may use. */
export interface Limits {
  readonly headerBytes: number;
  /** 0: no limit. */
  readonly bodyBytes: number;
  /** A request body up to this size is kept, so that it can be sent a second time. */
  readonly replayBytes: number;
  /** An answer up to this size is held back until it has been judged. */
  readonly answerBytes: number;
  /** Client connections of one worker. */
  readonly connections: number;
  readonly headerTimeoutMs: number;
  /** Longest silence inside a request body. */
  readonly bodyTimeoutMs: number;
  readonly keepAliveMs: number;
  /** Lost candidate attempts left running at a time in one worker. */
  readonly observedAttempts: number;
  /** How long such an attempt may go on after its request began. */
  readonly observedForMs: number;
  /** How long the answer to a request with an idempotency key is remembered; 0: not at all. */
  readonly idempotencyTtlMs: number;
}

export interface AccessLog {
  readonly enabled: boolean;
  /** Share of requests on routes that are not split; split routes use their flag's sampling rate. Basis points. */
  readonly samplingBp: number;
  readonly user: "hash" | "plain" | "none";
}

export interface Flag {
  readonly name: string;
  readonly salt: string;
  readonly settings: FlagSettings;
  /** How long figures are kept by those who store them. */
  readonly retentionDays: number;
}

/** What ops change live. The file gives the first value of each; the store may replace any. */
export interface FlagSettings {
  readonly enabled: boolean;
  readonly killSwitch: boolean;
  readonly weightBp: number;
  readonly segments: readonly SegmentRule[];
  readonly fallback: FallbackSettings;
  readonly samplingBp: number;
  /** Decides nothing; a change of it makes a revision that goes the way of every other, so that a rollback can be rehearsed. Absent or empty: none. */
  readonly drill?: string;
}

export interface SegmentRule {
  readonly name: string;
  readonly weightBp: number;
  /** True: this figure counts instead of the global one. False: it caps the global one. */
  readonly override: boolean;
}

export interface FallbackSettings {
  readonly enabled: boolean;
  readonly responseTimeMs: number;
  /** Above it the arm's breaker opens; no single answer is judged by it. Basis points. */
  readonly errorRateBp: number;
  /** Floor of an answer's quality; and of the share of answers that are good enough, below which the arm's breaker opens. Basis points. */
  readonly accuracyBp: number;
  /** Whether the stable arm is started beside a candidate that takes long. */
  readonly hedge: boolean;
  /** Extra requests to the stable arm, as a share of the candidate's, in basis points. */
  readonly budgetBp: number;
  readonly breaker: BreakerMode;
}

/** Something that is run or asked beside a rollout: after a rollback, in a drill, before a step is left. Plans name hooks and hold none. */
export type Hook = CommandHook | WebhookHook;

interface HookBase {
  readonly name: string;
  /** For all of it. */
  readonly timeoutMs: number;
  /** It is harmless, or knows a drill when it sees one, so drills that decide nothing run it too. */
  readonly drill: boolean;
}

export interface CommandHook extends HookBase {
  readonly kind: "command";
  /** The program and its arguments, as they are: no shell reads them. */
  readonly command: readonly [string, ...string[]];
  /** Absolute: the folder of the configuration file. */
  readonly folder: string;
}

export interface WebhookHook extends HookBase {
  readonly kind: "webhook";
  readonly url: string;
  /** Names in lower case. Values may be secrets: they are shown and logged nowhere. */
  readonly headers: Readonly<Record<string, string>>;
  /** Key of the signature; undefined: not signed. */
  readonly secret: string | undefined;
}

/** How the control side watches its rollouts. */
export interface RolloutSettings {
  /** How long whoever leads a rollout is taken to be alive without a sign. */
  readonly leaseMs: number;
  /** Time between two looks at triggers and gates. */
  readonly evaluateMs: number;
  /** Time between two entries of the record of a rollout. */
  readonly recordMs: number;
  /** Time between two tellings of an instance what it counted. */
  readonly publishMs: number;
  /** Base URL of a Prometheus whose figures are taken instead of the fleet's own, without a closing slash. */
  readonly prometheus: string | undefined;
}

export interface EventSettings {
  /** How long after its time an event is still taken. */
  readonly lateMs: number;
  /** Requests of one worker whose arm is still known when an event names them. A power of two. */
  readonly rememberedRequests: number;
}

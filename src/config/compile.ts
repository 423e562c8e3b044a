import type {
  Condition,
  Config,
  Flag,
  FlagSettings,
  Hook,
  IdentitySource,
  Override,
  Route,
  RouteAction,
  Store,
  Target,
  Upstream,
} from "./config.ts";
import type { SlaSettings } from "./config-told.ts";
import type { Environment } from "./environment.ts";
import { compileNotifications } from "./compile-notify.ts";
import { freeze } from "./freeze.ts";
import type { ConfigFile } from "./schema.ts";
import type { PathPattern } from "./schema-traffic.ts";
import type { Surroundings } from "./surroundings.ts";

const BYTES_A_MIB = 1_048_576;
const WHOLE_BP = 10_000;

/** The file, which has passed every check, as the program uses it. The result is frozen to its depths. */
export function compile(file: ConfigFile, environment: Environment, { readFile, pathOf = (name) => name }: Surroundings): Config {
  const textOf = (name: string): string => {
    const reading = readFile(name);
    if ("value" in reading) return reading.value;
    throw new Error("a file that cannot be read passed the checks");
  };
  return freeze({
    name: file.name,
    listeners: file.listeners.map(({ name, address, tls }) => ({
      name,
      host: address.host,
      port: address.port,
      tls: tls && { cert: textOf(tls.cert), key: textOf(tls.key) },
    })),
    admin: {
      host: file.admin.address.host,
      port: file.admin.address.port,
      token: file.admin.token,
      people: Object.entries(file.admin.people).map(([name, { token, roles }]) => ({ name, token, roles: [...new Set(roles)] })),
    },
    store: compileStore(file.store),
    stateDirectory: stateDirectory(file.state_directory, environment),
    workers: file.workers,
    workerHeapMb: Math.floor(file.worker_heap / BYTES_A_MIB),
    transport: file.transport,
    trustedHops: file.trusted_hops,
    dialects: Object.fromEntries(Object.entries(file.dialects).map(([name, module]) => [name, pathOf(module)])),
    upstreams: Object.entries(file.upstreams).map(([name, upstream]) => compileUpstream(name, upstream, textOf)),
    routes: file.routes.map(compileRoute),
    identity: file.identity.filter((source): source is IdentitySource => source.kind !== "claim"),
    identityIgnore: file.identity_ignore.map((value) => value.toLowerCase()).filter((value) => value !== ""),
    sticky: { cookie: file.sticky.cookie, secret: file.sticky.secret, maxAgeMs: file.sticky.max_age },
    segmentHeader: file.segment_header && {
      name: file.segment_header.name.toLowerCase(),
      values: Object.fromEntries(Object.entries(file.segment_header.values).map(([value, segment]) => [value.toLowerCase(), segment])),
    },
    overrides: file.overrides.map(compileOverride),
    limits: {
      headerBytes: file.limits.header_bytes,
      bodyBytes: file.limits.body_bytes,
      replayBytes: file.limits.replay_bytes,
      answerBytes: file.limits.answer_bytes,
      connections: file.limits.connections,
      headerTimeoutMs: file.limits.header_timeout,
      bodyTimeoutMs: file.limits.body_timeout,
      keepAliveMs: file.limits.keep_alive,
      observedAttempts: file.limits.observed_attempts,
      observedForMs: file.limits.observed_for,
      idempotencyTtlMs: file.limits.idempotency_ttl,
    },
    drainTimeoutMs: file.drain.timeout,
    drainDelayMs: file.drain.delay,
    responseHeaders: file.response_headers,
    accessLog: { enabled: file.access_log.enabled, samplingBp: file.access_log.sampling_rate, user: file.access_log.user },
    metricsPrefix: file.metrics.prefix,
    flags: Object.entries(file.flags).map(([name, flag]) => compileFlag(name, flag)),
    hooks: Object.entries(file.hooks).map(([name, hook]) => compileHook(name, hook, pathOf("."))),
    rollout: {
      leaseMs: file.rollout.lease,
      evaluateMs: file.rollout.evaluate,
      recordMs: file.rollout.record,
      publishMs: file.rollout.publish,
      prometheus: file.rollout.prometheus,
    },
    notifications: compileNotifications(file.notifications),
    incidents: { fromRollbacks: file.incidents.from_rollbacks, resolveAfterMs: file.incidents.resolve_after },
    statusPage: {
      address: file.status_page.address,
      title: file.status_page.title,
      language: file.status_page.language,
      url: file.status_page.url,
    },
    events: { lateMs: file.events.late, rememberedRequests: 2 ** Math.ceil(Math.log2(file.events.remembered_requests)) },
    sla: compileSla(file.sla),
  });
}

function compileSla({ availability, response_time, errors, accuracy, warn_at, recovered_after }: ConfigFile["sla"]): SlaSettings {
  const promises = [
    { promise: "availability", ...availability },
    { promise: "response_time", ...response_time },
    { promise: "errors", ...errors },
    { promise: "accuracy", ...accuracy },
  ] as const;
  return {
    promises: promises
      .filter(({ enabled }) => enabled)
      .map((given) => ({
        promise: given.promise,
        targetBp: given.target,
        withinMs: "within" in given ? given.within : undefined,
        windowMs: given.window,
      })),
    warnAtBp: warn_at,
    recoveredAfterMs: recovered_after,
  };
}

function compileStore(store: ConfigFile["store"]): Store {
  if ("kind" in store) return store;
  return {
    kind: "sentinel",
    sentinels: store.sentinels,
    master: store.master,
    username: store.username === "" ? undefined : store.username,
    password: store.password,
    sentinelPassword: store.sentinel_password,
    db: store.db,
  };
}

function stateDirectory(given: string | undefined, environment: Environment): string {
  const home = environment["HOME"] ?? "";
  if (given !== undefined) return home !== "" && (given === "~" || given.startsWith("~/")) ? home + given.slice(1) : given;
  const state = environment["XDG_STATE_HOME"] ?? "";
  // The XDG specification has relative paths ignored.
  if (state.startsWith("/")) return `${state}/crossfade`;
  return home === "" ? "/var/lib/crossfade" : `${home}/.local/state/crossfade`;
}

type UpstreamFile = ConfigFile["upstreams"][string];

function compileUpstream(name: string, upstream: UpstreamFile, textOf: (name: string) => string): Upstream {
  const { health, tls, outliers, signs } = upstream;
  return {
    name,
    endpoints: upstream.endpoints.map((endpoint) => ({ ...endpoint, ca: tls && textOf(tls.ca) })),
    dialect: upstream.dialect,
    health: health && {
      path: health.path,
      intervalMs: health.interval,
      timeoutMs: health.timeout,
      statuses: health.status,
      field: health.field && { pointer: health.field.pointer, equals: plainValue(health.field.equals) },
    },
    outliers: { consecutive: outliers.consecutive, ejectedForMs: outliers.ejected_for, mostEjectedBp: outliers.most },
    quality: upstream.quality,
    signs: signs && {
      enabled: [...new Set(signs.enabled)],
      paths: {
        success: signs.paths.success,
        algorithm: signs.paths.algorithm,
        fallbackFlags: signs.paths.fallback_flags,
        matches: signs.paths.matches,
        answerIds: signs.paths.answer_ids,
        requestIds: signs.paths.request_ids,
        scores: signs.paths.scores,
        confidences: signs.paths.confidences,
      },
      algorithms: signs.algorithms,
      confidenceAtMost: signs.confidence / WHOLE_BP,
    },
    connectTimeoutMs: upstream.connect_timeout,
    keepAliveMs: upstream.keep_alive,
    maxConnections: upstream.max_connections,
  };
}

/** A scalar of the file as JSON has it. */
function plainValue(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

type RouteFile = ConfigFile["routes"][number];

function compileRoute(route: RouteFile): Route {
  const { methods, path } = route.match;
  return {
    name: route.name,
    match: { methods: [...new Set(methods)], path: path.path, prefix: path.prefix },
    action: compileAction(route),
    dialect: route.dialect,
    idempotent: route.idempotent,
    timeoutMs: route.timeout,
  };
}

function compileCondition({ body, header, query }: RouteFile["stable_for"][number]): Condition {
  if (body !== undefined) return { kind: "body", pointer: body };
  if (header !== undefined) return { kind: "header", name: header.toLowerCase() };
  if (query !== undefined) return { kind: "query", name: query };
  throw new Error("a condition of nothing passed the checks");
}

function compileAction({ stable, stable_for, candidate, flag, upstream, path, respond }: RouteFile): RouteAction {
  if (respond !== undefined) return { kind: "respond", status: respond.status, contentType: respond.content_type, body: respond.body };
  if (upstream !== undefined) return { kind: "forward", target: compileTarget({ upstream, path }) };
  if (stable !== undefined && candidate !== undefined && flag !== undefined) {
    const stableFor = stable_for.map((given) => ({ when: compileCondition(given), target: compileTarget(given) }));
    return { kind: "split", flag, stable: compileTarget(stable), stableFor, candidate: compileTarget(candidate) };
  }
  throw new Error("a route without an action passed the checks");
}

function compileTarget(target: string | { readonly upstream: string; readonly path?: PathPattern | undefined }): Target {
  return typeof target === "string" ? { upstream: target, path: undefined } : { upstream: target.upstream, path: target.path?.path };
}

function compileOverride({ header, query, value, arm }: ConfigFile["overrides"][number]): Override {
  return header === undefined
    ? { source: "query", name: query ?? "", value, arm }
    : { source: "header", name: header.toLowerCase(), value, arm };
}

type FlagFile = ConfigFile["flags"][string];

function compileFlag(name: string, flag: FlagFile): Flag {
  return { name, salt: flag.salt ?? name, settings: compileSettings(flag), retentionDays: flag.monitoring_enhanced.retention_days };
}

function compileSettings({
  enabled,
  kill_switch,
  rollout_percentage,
  user_segments,
  fallback_system,
  monitoring_enhanced,
}: FlagFile): FlagSettings {
  const { response_time, error_rate, accuracy } = fallback_system.conditions;
  return {
    enabled,
    killSwitch: kill_switch,
    weightBp: rollout_percentage,
    segments: Object.entries(user_segments).map(([name, { percentage, override_global }]) => ({
      name,
      weightBp: percentage,
      override: override_global,
    })),
    fallback: {
      enabled: fallback_system.enabled,
      responseTimeMs: response_time,
      errorRateBp: error_rate,
      accuracyBp: accuracy,
      hedge: fallback_system.hedge,
      budgetBp: fallback_system.budget,
      breaker: fallback_system.breaker,
    },
    samplingBp: monitoring_enhanced.enabled ? monitoring_enhanced.sampling_rate : 0,
  };
}

type HookFile = ConfigFile["hooks"][string];

function compileHook(name: string, { command, webhook, timeout, drill, headers, secret }: HookFile, folder: string): Hook {
  const base = { name, timeoutMs: timeout, drill };
  if (webhook !== undefined) {
    const sent = Object.entries(headers).filter(([, value]) => value !== "");
    const fields = Object.fromEntries(sent.map(([field, value]) => [field.toLowerCase(), value]));
    return { ...base, kind: "webhook", url: webhook, headers: fields, secret };
  }
  const [program, ...rest] = command ?? [];
  if (program === undefined) throw new Error("a hook of nothing passed the checks");
  return { ...base, kind: "command", command: [program, ...rest], folder };
}

/** A metric as Prometheus sees it. Labels come from closed sets; none ever holds a user's id. */
export interface MetricName {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
}

/** Every metric of our own. */
export const METRICS = {
  requests: {
    name: "crossfade_requests_total",
    type: "counter",
    labels: ["route", "assigned", "served", "segment", "outcome", "code"],
    help: "Requests as their clients saw them.",
  },
  durations: {
    name: "crossfade_request_duration_seconds",
    type: "histogram",
    labels: ["route", "assigned", "served", "segment"],
    help: "Time from a request's head to the end of its answer, as the client saw it.",
  },
  attempts: {
    name: "crossfade_attempt_duration_seconds",
    type: "histogram",
    labels: ["route", "upstream", "kind", "outcome"],
    help: "Time that one send to an upstream truly took, whether or not its answer was used.",
  },
  failures: {
    name: "crossfade_attempt_failures_total",
    type: "counter",
    labels: ["route", "upstream"],
    help: "Sends to an upstream that it did not answer, or answered with an error.",
  },
  quality: {
    name: "crossfade_quality_ratio",
    type: "histogram",
    labels: ["route", "upstream", "segment"],
    help: "What answers said of their own quality, 0 to 1.",
  },
  fallbacks: {
    name: "crossfade_fallbacks_total",
    type: "counter",
    labels: ["route", "reason"],
    help: "Requests of the candidate arm that the stable arm had to answer.",
  },
  cuts: {
    name: "crossfade_observation_cut_total",
    type: "counter",
    labels: ["route"],
    help: "Lost attempts that were still open when their observation ended, so that their duration is known only as a minimum.",
  },
  defects: {
    name: "crossfade_answer_defects_total",
    type: "counter",
    labels: ["route", "upstream", "defect"],
    help: "Answers with a status of success that were none: the failure sign they showed, or quality below the floor.",
  },
  unjudged: {
    name: "crossfade_attempts_unjudged_total",
    type: "counter",
    labels: ["route", "upstream"],
    help: "Attempts that are held against no upstream, because the proxy's own event loop was late while they were under way.",
  },
  dropped: {
    name: "crossfade_dialect_dropped_total",
    type: "counter",
    labels: ["route", "upstream"],
    help: "Kinds of fields dropped from requests and answers because the other dialect has no counterpart for them.",
  },
  inexpressible: {
    name: "crossfade_dialect_inexpressible_total",
    type: "counter",
    labels: ["route", "upstream"],
    help: "Requests and answers that could not be said in the other dialect.",
  },
  breaker: {
    name: "crossfade_breaker_state",
    type: "gauge",
    labels: ["route", "upstream"],
    help: "Breaker of the candidate arm: 0 closed, 1 returning in steps, 2 half-open, 3 open.",
  },
  budget: {
    name: "crossfade_fallback_budget_ratio",
    type: "gauge",
    labels: ["route"],
    help: "Extra requests to the stable arm in the last ten seconds, as a share of those the budget allows.",
  },
  malformed: {
    name: "crossfade_malformed_requests_total",
    type: "counter",
    labels: ["code"],
    help: "Requests refused before any route saw them.",
  },
  lost: {
    name: "crossfade_records_lost_total",
    type: "counter",
    labels: ["table"],
    help: "Records not counted because their table of series was full or their labels unknown.",
  },
  percentage: {
    name: "crossfade_flag_percentage",
    type: "gauge",
    labels: ["flag", "segment"],
    help: "Configured share of users on the candidate arm, 0 to 100; an empty segment is the global figure.",
  },
  enabled: { name: "crossfade_flag_enabled", type: "gauge", labels: ["flag"], help: "1 while the flag is enabled." },
  killed: {
    name: "crossfade_kill_switch",
    type: "gauge",
    labels: ["flag"],
    help: "1 while the kill switch holds everybody on the stable arm.",
  },
  revision: {
    name: "crossfade_config_revision",
    type: "gauge",
    labels: ["flag"],
    help: "Revision of the flag's settings in force here; 0 is the configuration file's own.",
  },
  rejected: {
    name: "crossfade_config_rejected_total",
    type: "counter",
    labels: ["reason"],
    help: "Live settings that were refused; the revision before them stays in force.",
  },
  storeUp: { name: "crossfade_store_up", type: "gauge", labels: [], help: "1 while the store of the live settings can be reached." },
  lag: {
    name: "crossfade_event_loop_lag_seconds",
    type: "gauge",
    labels: ["worker"],
    help: "How late the worker's last heartbeat ran.",
  },
  lagPeak: {
    name: "crossfade_event_loop_lag_peak_seconds",
    type: "gauge",
    labels: ["worker"],
    help: "How late the worker's latest heartbeat ran within the last 30 to 60 seconds.",
  },
  restarts: { name: "crossfade_worker_restarts_total", type: "counter", labels: ["worker"], help: "Times the worker was replaced." },
  upstreamUp: {
    name: "crossfade_upstream_up",
    type: "gauge",
    labels: ["upstream", "endpoint"],
    help: "1 while the endpoint's health check succeeds; absent where there is none.",
  },
  ejections: {
    name: "crossfade_endpoint_ejections_total",
    type: "counter",
    labels: ["upstream", "endpoint"],
    help: "Times a worker left the endpoint alone because it went on failing.",
  },
  connections: { name: "crossfade_open_connections", type: "gauge", labels: ["worker"], help: "Client connections open now." },
  exchanges: { name: "crossfade_open_exchanges", type: "gauge", labels: ["worker"], help: "Requests being read or answered now." },
  observing: {
    name: "crossfade_open_observations",
    type: "gauge",
    labels: ["worker"],
    help: "Lost attempts left open now to learn how long they truly take.",
  },
  rolloutStatus: {
    name: "crossfade_rollout_status",
    type: "gauge",
    labels: ["flag", "status"],
    help: "1 for the status that the flag's rollout is in, 0 for the others.",
  },
  rolloutStep: {
    name: "crossfade_rollout_step",
    type: "gauge",
    labels: ["flag"],
    help: "Step of the plan that the rollout is at, from 1; 0 while there is none.",
  },
  rolloutLeader: {
    name: "crossfade_rollout_leader",
    type: "gauge",
    labels: ["flag"],
    help: "1 while this instance leads the flag's rollout.",
  },
  split: {
    name: "crossfade_split_info",
    type: "gauge",
    labels: ["route", "flag", "stable", "candidate"],
    help: "Always 1; which flag splits the route between which upstreams.",
  },
  channelUp: {
    name: "crossfade_notification_channel_up",
    type: "gauge",
    labels: ["channel"],
    help: "0 while every try to reach the channel of notifications fails.",
  },
  adminRefused: {
    name: "crossfade_admin_refused_total",
    type: "counter",
    labels: ["code"],
    help: "Requests to the admin API that were refused for want of a right.",
  },
  events: {
    name: "crossfade_events_total",
    type: "counter",
    labels: ["flag", "result"],
    help: "Events of users and systems that this instance took in, by what became of them.",
  },
  syncLag: {
    name: "crossfade_sync_lag_seconds",
    type: "gauge",
    labels: ["flag"],
    help: "Lag of the data synchronisation as it was last reported; absent ten minutes after the last report.",
  },
  dataIntegrity: {
    name: "crossfade_data_integrity_ratio",
    type: "gauge",
    labels: ["flag"],
    help: "Share of the data found intact, 0 to 1, as it was last reported; absent ten minutes after the last report.",
  },
  sessionsLost: {
    name: "crossfade_sessions_lost_total",
    type: "counter",
    labels: ["flag"],
    help: "Sessions reported lost to any instance since this one started.",
  },
  security: {
    name: "crossfade_security_incidents_total",
    type: "counter",
    labels: ["flag", "priority"],
    help: "Security incidents reported to any instance since this one started.",
  },
  numerator: {
    name: "crossfade_business_numerator",
    type: "gauge",
    labels: ["flag", "arm", "segment", "metric"],
    help: "What users said in the last hour, of the whole fleet: what is divided, such as matches confirmed.",
  },
  denominator: {
    name: "crossfade_business_denominator",
    type: "gauge",
    labels: ["flag", "arm", "segment", "metric"],
    help: "What users said in the last hour, of the whole fleet: by what it is divided, such as matches judged.",
  },
  slaRatio: {
    name: "crossfade_sla_ratio",
    type: "gauge",
    labels: ["flag", "promise", "version", "segment"],
    help: "What was kept of a promise over its window, of all instances, 0 to 1; for errors the share of failures. Absent without a request.",
  },
  slaTarget: {
    name: "crossfade_sla_target_ratio",
    type: "gauge",
    labels: ["flag", "promise"],
    help: "What was promised: for errors the greatest share, else the least.",
  },
  slaBudget: {
    name: "crossfade_sla_budget_left_ratio",
    type: "gauge",
    labels: ["flag", "promise", "version", "segment"],
    help: "What is left of a promise's error budget: 1 all of it, 0 none, below it is overdrawn. Absent while there are too few requests for a verdict.",
  },
  build: { name: "crossfade_build_info", type: "gauge", labels: ["version", "node"], help: "Always 1; the labels say what runs." },
} as const satisfies Record<string, MetricName>;

/**
 * Names that dashboards made for other proxies expect, exported besides our own when the configuration gives a prefix.
 * `version` is the name of an upstream, `endpoint` the name of a route.
 */
export function compatibleMetrics(prefix: string) {
  return {
    responseTime: {
      name: `${prefix}_response_time_seconds`,
      type: "histogram",
      labels: ["version", "endpoint"],
      help: "Time to the end of the answer as the client saw it, by the upstream that served.",
    },
    accuracy: {
      name: `${prefix}_accuracy_score`,
      type: "histogram",
      labels: ["version", "user_segment"],
      help: "What answers said of their own quality, 0 to 1.",
    },
    split: {
      name: `${prefix}_traffic_split_ratio`,
      type: "gauge",
      labels: ["version"],
      help: "Share of the last minute's requests on split routes that the split assigned to the upstream.",
    },
    requests: {
      name: "http_requests_total",
      type: "counter",
      labels: ["version", "status"],
      help: "Requests by the upstream that served.",
    },
    durations: {
      name: "http_request_duration_seconds",
      type: "histogram",
      labels: ["version"],
      help: "Time to the end of the answer as the client saw it, by the upstream that served.",
    },
    malformed: {
      name: "malformed_requests_total",
      type: "counter",
      labels: [],
      help: "Requests refused because they were malformed, ambiguous or too large.",
    },
    authFailures: {
      name: "auth_failures_total",
      type: "counter",
      labels: [],
      help: "Requests to the admin API without the right token.",
    },
    unauthorized: {
      name: "unauthorized_access_attempts_total",
      type: "counter",
      labels: [],
      help: "Requests to the admin API for something that the caller may not do.",
    },
  } as const satisfies Record<string, MetricName>;
}

import type { z } from "zod";
import * as notify from "./schema-notify.ts";
import * as rollout from "./schema-rollout.ts";
import * as server from "./schema-server.ts";
import { sla } from "./schema-sla.ts";
import * as status from "./schema-status.ts";
import * as traffic from "./schema-traffic.ts";
import * as users from "./schema-users.ts";
import { mapping } from "./shapes.ts";

/** The configuration file. Its keys are in the order in which people should meet them. */
export const configSchema = mapping(
  {
    listeners: server.listeners,
    admin: rollout.admin,
    store: server.store,
    dialects: traffic.dialects,
    upstreams: traffic.upstreams,
    routes: traffic.routes,
    flags: users.flags,
    hooks: rollout.hooks,
    rollout: rollout.rollout,
    events: rollout.events,
    incidents: status.incidents,
    status_page: status.statusPage,
    notifications: notify.notifications,
    sla,
    identity: users.identity,
    identity_ignore: users.identityIgnore,
    sticky: users.sticky,
    trusted_hops: users.trustedHops,
    segment_header: users.segmentHeader,
    overrides: users.overrides,
    limits: server.limits,
    drain: server.drain,
    response_headers: server.responseHeaders,
    access_log: server.accessLog,
    metrics: server.metrics,
    name: server.name,
    state_directory: server.stateDirectory,
    workers: server.workers,
    worker_heap: server.workerHeap,
    transport: server.transport,
  },
  "routes: [...]",
);

/** The file after its scalars have been read and its defaults filled in. */
export type ConfigFile = z.output<typeof configSchema>;

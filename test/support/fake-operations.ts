import type { ExplainQuery, Operations, Receipt } from "../../src/admin/operations.ts";
import type { Config, Flag, FlagSettings } from "../../src/config/config.ts";
import { readFields } from "../../src/config/settings.ts";
import { buildStringSet } from "../../src/core/string-set.ts";
import { explainArm } from "../../src/rollout/explain.ts";
import { Refused } from "../../src/controller/desk.ts";
import type { FlagState } from "../../src/rollout/flag-state.ts";
import { compileRules } from "../../src/rollout/rules.ts";
import { createMemoryCounts } from "../../src/store/counts-memory.ts";
import { IncidentDesk } from "../../src/incidents/desk.ts";
import { StatusSite } from "../../src/status-page/site.ts";
import { viewFor } from "../../src/status-page/status.ts";
import { createKeptDocuments } from "../../src/store/documents-kept.ts";
import { MemoryDocuments } from "../../src/store/documents-memory.ts";
import { createMemoryEvents } from "../../src/store/event-store-memory.ts";
import { MemoryRollouts } from "../../src/store/rollout-store-memory.ts";
import { type AuditEntry, type Author, InvalidSettings, RevisionConflict, StoreUnavailable } from "../../src/store/store.ts";

/** What a test changes about the program that the admin API speaks for. */
interface Faults {
  /** Instances that never confirm. */
  missing: string[];
  storeDown: boolean;
  /** Makes every question about the status throw. */
  broken: boolean;
  reasons: string[];
  degraded: string[];
}

export interface FakeOperations extends Operations {
  readonly faults: Faults;
  readonly writes: readonly AuditEntry[];
}

const SETTINGS: FlagSettings = {
  enabled: true,
  killSwitch: false,
  weightBp: 1_000,
  segments: [
    { name: "beta_users", weightBp: 10_000, override: true },
    { name: "enterprise", weightBp: 0, override: true },
  ],
  fallback: {
    enabled: true,
    responseTimeMs: 100,
    errorRateBp: 100,
    accuracyBp: 8_500,
    hedge: false,
    budgetBp: 2_000,
    breaker: "auto" as const,
  },
  samplingBp: 10_000,
};

/** The operations of a program that holds its settings in memory and serves no traffic. */
export function createFakeOperations(flagNames: readonly string[] = ["v2_migration"]): FakeOperations {
  const faults: Faults = { missing: [], storeDown: false, broken: false, reasons: [], degraded: [] };
  const flags = flagNames.map((name): Flag => ({ name, salt: name, settings: SETTINGS, retentionDays: 90 }));
  const states = new Map<string, FlagState>(
    flagNames.map((flag) => [
      flag,
      { flag, revision: 0, settings: SETTINGS, allow: undefined, deny: undefined, members: { beta_users: buildStringSet(["bea", "ben"]) } },
    ]),
  );
  const fields = new Map<string, Record<string, string>>(flagNames.map((flag) => [flag, {}]));
  const writes: AuditEntry[] = [];
  const kept = createKeptDocuments({ directory: undefined, prefix: "", log: { info() {}, warn() {} } });
  const documents = new MemoryDocuments({ instance: "host-a", kept, now: Date.now });
  const incidents = new IncidentDesk({ documents, now: Date.now });
  const listeners = new Set<(flag: string) => void>();
  const stateOf = (flag: string): FlagState => {
    const state = states.get(flag);
    if (state === undefined) throw new Error(`no state of ${flag}`);
    return state;
  };
  const receipt = (flag: string, waitMs: number): Receipt => {
    const missing = waitMs > 0 ? faults.missing : ["host-a", ...faults.missing];
    return { flag, revision: stateOf(flag).revision, acknowledged: waitMs > 0 ? ["host-a"] : [], missing, shared: !faults.storeDown };
  };
  const ifStore = <T>(answer: () => T): Promise<T> =>
    faults.storeDown ? Promise.reject(new StoreUnavailable("redis is down")) : Promise.resolve(answer());
  const noRollout = (flag: string): Promise<never> =>
    ifStore(() => {
      throw new Refused(`There is no rollout of ${flag}.`);
    });
  const accept = (flag: string, settings: FlagSettings, changes: Readonly<Record<string, string | null>>, by: Author): void => {
    const before = stateOf(flag);
    const held = fields.get(flag) ?? {};
    const revision = before.revision + 1;
    states.set(flag, { ...before, settings, revision });
    for (const [field, value] of Object.entries(changes)) {
      if (value === null) delete held[field];
      else held[field] = value;
    }
    for (const listener of listeners) listener(flag);
    const list = Object.entries(changes).map(([field, to]) => ({ field, from: null, to }));
    writes.push({ id: `${revision}-0`, at: "2026-11-22T13:00:00.000Z", ...by, revision, status: "accepted", changes: list });
  };

  return {
    faults,
    writes,
    // Only what the admin API asks of a configuration; the rest has no meaning without traffic.
    config: { flags, routes: [] } as unknown as Config,
    instance: "host-a",
    version: "1.2.3",
    store: {
      states: [...states.values()],
      rejections: [],
      health: { kind: "memory", up: true, message: "", origin: "file" },
      start: () => Promise.reject(new Error("the admin API does not start a store")),
      change: () => Promise.reject(new Error("the admin API changes settings through the operations")),
      kill: () => Promise.reject(new Error("the admin API kills through the operations")),
      fields: (flag) => fields.get(flag) ?? {},
      acknowledge: () => undefined,
      instances: (flag) =>
        faults.storeDown
          ? Promise.reject(new StoreUnavailable("redis is down"))
          : Promise.resolve([{ instance: "host-a", revision: stateOf(flag).revision, at: "2026-11-22T13:00:00.000Z", alive: true }]),
      audit: (flag, count) => Promise.resolve(flagNames.includes(flag) ? writes.slice(-count).toReversed() : []),
      rollouts: new MemoryRollouts({
        instance: "host-a",
        directory: undefined,
        log: { info() {}, warn() {} },
        now: Date.now,
        document: () => undefined,
        write: () => Promise.reject(new Error("the admin API acts on rollouts through the operations")),
      }),
      events: createMemoryEvents(),
      documents,
      counts: createMemoryCounts(),
      close: () => Promise.resolve(),
    },
    flag: (name) => states.get(name),
    readiness: () => ({ ready: faults.reasons.length === 0, degraded: faults.degraded, reasons: faults.reasons }),
    metrics: () => Promise.resolve({ text: "crossfade_store_up 1\n", contentType: "text/plain; version=0.0.4" }),
    status: () => {
      if (faults.broken) throw new Error("the secret inside");
      return {
        instance: "host-a",
        version: "1.2.3",
        startedAt: "2026-11-22T13:00:00.000Z",
        uptimeSeconds: 3_725,
        draining: false,
        listeners: [{ name: "public", address: "127.0.0.1:8080" }],
        store: { kind: "redis", up: !faults.storeDown, message: faults.storeDown ? "redis is down" : "", origin: "store" },
        workers: [{ index: 0, state: "running", restarts: 1, lastFailure: "heap limit", eventLoopLagMs: 1.25 }],
        upstreams: [{ name: "v2", endpoint: "http://127.0.0.1:5070", healthy: false, detail: "connection refused" }],
        flags: [...states.values()].map(({ flag, revision, settings }) => ({
          flag,
          revision,
          enabled: settings.enabled,
          killed: settings.killSwitch,
          percentage: settings.weightBp / 100,
          segments: settings.segments.map(({ name, weightBp, override }) => ({ name, percentage: weightBp / 100, override, members: 2 })),
        })),
        breakers: [
          {
            route: "match",
            flag: "v2_migration",
            upstream: "v2",
            mode: "auto",
            state: "open",
            why: "budget",
            since: "2026-11-22T13:00:00.000Z",
            openings: 2,
            window: { requests: 120, extra: 24, extraOpen: 3, budgetUsed: 1, judged: 100, errors: 7, badQuality: 0 },
          },
        ],
        rejections: [
          {
            flag: "v2_migration",
            field: "rollout_percentage",
            value: "\u001b[31m101",
            kind: "invalid-value",
            message: 'rollout_percentage: "\u001b[31m101" is not a percentage',
          },
        ],
        traffic: [
          {
            route: "match",
            requests: 1_234,
            byAssigned: { stable: 1_000, candidate: 234 },
            byServed: { stable: 1_010, candidate: 224 },
            bySegment: [{ segment: "none", stable: 1_000, candidate: 234 }],
            byOutcome: { ok: 1_234 },
            fallbacks: { latency: 10 },
            attempts: [
              { upstream: "v1", count: 1_010, p50: 12.34, p95: 40, p99: 80 },
              { upstream: "v2", count: 0, p50: Number.NaN, p95: Number.NaN, p99: Number.NaN },
            ],
          },
          ...["auth", "health"].map((route) => ({
            route,
            requests: 0,
            byAssigned: {},
            byServed: {},
            bySegment: [],
            byOutcome: {},
            fallbacks: {},
            attempts: [],
          })),
        ],
      };
    },
    explain: ({ flag: name, ...query }: ExplainQuery) => {
      const flag = flags.find((candidate) => candidate.name === name);
      if (flag === undefined) throw new Error(`no flag ${name}`);
      return explainArm(compileRules(flag, stateOf(name)), false, query);
    },
    change: (flag, changes, by, { ifRevision, waitMs }) => {
      if (faults.storeDown) return Promise.reject(new StoreUnavailable("redis is down"));
      const state = stateOf(flag);
      if (ifRevision !== undefined && ifRevision !== state.revision) return Promise.reject(new RevisionConflict(state.revision));
      const kept = Object.entries(fields.get(flag) ?? {}).filter(([field]) => !(field in changes));
      const set = Object.entries(changes).filter((entry): entry is [string, string] => entry[1] !== null);
      const { settings, rejections } = readFields(SETTINGS, Object.fromEntries([...kept, ...set]));
      if (rejections.length > 0) return Promise.reject(new InvalidSettings(rejections.map((rejection) => ({ flag, ...rejection }))));
      accept(flag, settings, changes, by);
      return Promise.resolve(receipt(flag, waitMs));
    },
    kill: (flag, killed, by, waitMs) => {
      // Without a store the kill holds here, and no field says so.
      accept(flag, { ...stateOf(flag).settings, killSwitch: killed }, faults.storeDown ? {} : { kill_switch: String(killed) }, by);
      return Promise.resolve(receipt(flag, waitMs));
    },
    recent: () => ({
      refresh: () => ifStore(() => undefined),
      between: (from, to) => ifStore(() => ({ from, to, coveredMs: 0, instances: [], cells: [] })),
    }),
    onSettings: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    // A program in which no rollout was ever begun.
    rollouts: {
      status: (flag) => ifStore(() => ({ flag, rollout: undefined, leader: undefined, view: undefined })),
      start: noRollout,
      act: noRollout,
      drill: noRollout,
      figures: noRollout,
      experiment: noRollout,
      recorded: () => ifStore(() => []),
    },
    // Nothing was counted yet.
    sla: {
      view: (flag) => ({ flag, at: 0, rows: [] }),
      report: (flag) => ({ flag, at: 0, rows: [], warnAt: 0.9, recoveredAfterMs: 900_000, breaches: [], countedFrom: undefined }),
    },
    // A program that tells nobody anything.
    notices: {
      view: () => ({ sender: undefined, notices: [], channels: [], deliveries: [] }),
      refresh: () => Promise.resolve(),
      acknowledge: (id) =>
        ifStore(() => {
          throw new Refused(`There is no notice ${id}.`);
        }),
      test: (channel) => Promise.reject(new Refused(`There is no channel ${channel}.`)),
      checkLink: () => Promise.resolve({ kind: "wrong" }),
    },
    incidents,
    statusPage: new StatusSite({
      settings: { title: "Service status", language: "en", url: undefined },
      look: () => {
        const observed = { reachable: true, impaired: false, requests: 0, failed: 0, p95Ms: Number.NaN, availability: undefined };
        return Promise.resolve(viewFor(observed, incidents.board(), Date.now()));
      },
      now: () => performance.now(),
    }),
    takeEvents: () => ifStore(() => ({ accepted: 0, duplicates: 0, passedOn: 0, late: 0, unattributed: 0, refused: [] })),
  };
}

import { setTimeout as delay } from "node:timers/promises";
import type { Receipt } from "../admin/operations.ts";
import { type InstanceState, type SettingsStore, StoreUnavailable } from "../store/store.ts";

const FIRST_LOOK_MS = 5;
const LONGEST_LOOK_MS = 50;

export interface ReceiptQuery {
  readonly flag: string;
  readonly revision: number;
  /** Whether other instances can have been told. */
  readonly shared: boolean;
  /** How long to wait for those who have not confirmed; 0 takes the list as it is. */
  readonly waitMs: number;
  /** Whether this instance's own workers run the revision, for when there is no store to ask. */
  readonly appliedHere: () => boolean;
  readonly instance: string;
}

/** Who runs a revision. Waits until every live instance does, or until the time is over. */
export async function collectReceipt(store: Pick<SettingsStore, "instances">, query: ReceiptQuery): Promise<Receipt> {
  const until = performance.now() + query.waitMs;
  for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(lookMs * 1.5, LONGEST_LOOK_MS)) {
    const receipt = await look(store, query);
    const leftMs = until - performance.now();
    if (receipt.missing.length === 0 || leftMs <= 0) return receipt;
    await delay(Math.min(lookMs, leftMs));
  }
}

async function look(
  store: Pick<SettingsStore, "instances">,
  { flag, revision, shared, appliedHere, instance }: ReceiptQuery,
): Promise<Receipt> {
  let instances: readonly InstanceState[];
  try {
    instances = await store.instances(flag);
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    const here = appliedHere();
    return { flag, revision, acknowledged: here ? [instance] : [], missing: here ? [] : [instance], shared: false };
  }
  const acknowledged: string[] = [];
  const missing: string[] = [];
  for (const state of instances) {
    if (state.revision >= revision) acknowledged.push(state.instance);
    else if (state.alive) missing.push(state.instance);
  }
  return { flag, revision, acknowledged, missing, shared };
}

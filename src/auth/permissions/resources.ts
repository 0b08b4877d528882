import { AuthError } from "../errors.ts";
import type { LogEvent } from "../model.ts";
import type { RevokeReceipt } from "../revocation/receipt.ts";
import type { Revocation } from "../revocation/revocation.ts";
import {
  type Checks,
  mergeSteps,
  type RecordKey,
  retryConflicts,
  type Step,
  type Store,
  unlessConflict,
} from "../store.ts";
import { loadedOnce } from "./loaded-once.ts";
import {
  ofThisCommit,
  readShards,
  type Shard,
  shardKeyOf,
  shardKeys,
  shardValue,
} from "./resource-shards.ts";
import type { ResourceKind, ResourceState, ResourceTable } from "./resource-table.ts";

/** What becomes of an entity or a device. `parent` undefined: it is not registered any more. */
export type ResourceChange = Pick<ResourceState, "kind" | "id" | "parent">;

/**
 * Which device an entity belongs to, and which area a device is in, as Home Assistant's registries say it. Policies grant by
 * them. A change may take rights away, so it goes through the log as a revocation does.
 */
export interface Resources {
  page(kind: ResourceKind, after: string | undefined, limit: number): Promise<readonly ResourceState[]>;
  /** At most `resourceLimits.atOnce`, in one commit. To remove what is not there is no error. Throws `too_many_resources`. */
  /** `permit`: rejects unless the sender may make the change. The commit makes the checks that it returns. */
  change(changes: readonly ResourceChange[], permit?: () => Promise<Checks>): Promise<RevokeReceipt>;
}

/** Of each kind. Changes that are made at the same time on several nodes may exceed it by what they add. */
export const resourceLimits = { total: 10_000, atOnce: 200 } as const;

export interface ResourcesOptions {
  readonly store: Pick<Store, "get">;
  readonly table: ResourceTable;
  readonly revocation: Pick<Revocation, "track" | "onSecurityEvent" | "onRecovery">;
}

export function createResources({ store, table, revocation }: ResourcesOptions): Resources {
  const load = async () => {
    for (const { key, version, states } of await readShards(store))
      table.settle(states, version, (state) => shardKeyOf(state) === key);
  };
  revocation.onSecurityEvent((event) => {
    if (event.kind === "resources_changed") table.apply(event.states);
    return 0;
  });
  const ready = loadedOnce(load, revocation);
  return {
    async page(kind, after, limit) {
      await ready();
      return table.page(kind, after, limit);
    },
    async change(changes, permit) {
      await ready();
      requireRoom(table, changes);
      return await retryConflicts(async () => {
        const shards = await readShards(store, [...new Set(changes.map(shardKeyOf))]);
        const check = (await permit?.()) ?? [];
        const step = mergeSteps({ check }, ...shards.map((shard) => changeShardStep(shard, changes)));
        return await unlessConflict(
          revocation.track((revocationId) => mergeSteps(step, changedStep(changes, revocationId))),
        );
      });
    },
  };
}

/** What a node that remembers more than the store writes again. One for each record. */
export function resourceRepairs({ store, table }: Pick<ResourcesOptions, "store" | "table">) {
  return () => {
    const byShard = new Map<RecordKey, ResourceState[]>(shardKeys.map((key) => [key, []]));
    for (const state of table.states()) byShard.get(shardKeyOf(state))?.push(state);
    return [...byShard]
      .filter(([, states]) => states.length > 0)
      .map(([key, states]) => async () => {
        const [shard] = await readShards(store, [key]);
        const step = shard && repeatStep(shard, states);
        return step && { step, revokes: null };
      });
  };
}

function requireRoom(table: ResourceTable, changes: readonly ResourceChange[]): void {
  for (const kind of ["entity", "device"] as const) {
    const added = changes.filter(
      (change) =>
        change.kind === kind && change.parent !== undefined && table.get(kind, change.id) === undefined,
    );
    if (added.length > 0 && table.count(kind) + added.length > resourceLimits.total)
      throw new AuthError("too_many_resources");
  }
}

function changeShardStep(shard: Shard, changes: readonly ResourceChange[]): Step {
  const own = changes.filter((change) => shardKeyOf(change) === shard.key);
  const kept = shard.states.filter(
    ({ kind, id }) => !own.some((each) => each.kind === kind && each.id === id),
  );
  const states = [...kept, ...own.map((change) => ({ ...change, version: ofThisCommit }))];
  return writeShardStep(shard, states);
}

function repeatStep(shard: Shard, remembered: readonly ResourceState[]): Step | undefined {
  const stored = (state: ResourceState) =>
    shard.states.find(({ kind, id }) => kind === state.kind && id === state.id);
  // What the store does not have was removed later, unless the record is older than it.
  const lost = remembered.filter((state) => {
    const present = stored(state);
    if (present !== undefined) return present.version < state.version;
    return state.parent !== undefined && shard.version < state.version;
  });
  if (lost.length === 0) return undefined;
  const kept = shard.states.filter(
    ({ kind, id }) => !lost.some((state) => state.kind === kind && state.id === id),
  );
  const event: LogEvent = { type: "resources_changed", states: lost.map(stateOnLog) };
  return mergeSteps(writeShardStep(shard, [...kept, ...lost]), { log: [{ ...event }], durable: true });
}

function writeShardStep({ key, version }: Shard, states: readonly ResourceState[]): Step {
  return { check: [{ key, version }], put: [{ key, value: shardValue(states) }] };
}

function changedStep(changes: readonly ResourceChange[], revocationId: string): Step {
  const states = changes.map((change) => stateOnLog({ ...change, version: ofThisCommit }));
  const event: LogEvent = { type: "resources_changed", states, revocationId };
  return { log: [{ ...event }], durable: true };
}

function stateOnLog({ kind, id, parent, version }: ResourceState) {
  return { kind, id, version, ...(parent === undefined ? {} : { parent }) };
}

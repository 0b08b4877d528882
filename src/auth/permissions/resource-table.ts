import type { ResourceLookup } from "./entity-rules.ts";
import { SortedIds } from "./sorted-ids.ts";

export type ResourceKind = "entity" | "device";

/** What is registered of one entity or device. */
export interface ResourceState {
  readonly kind: ResourceKind;
  readonly id: string;
  /** An entity's device, a device's area, or null for none. Undefined: it is not registered any more. */
  readonly parent: string | null | undefined;
  /** The number of the commit that said so. */
  readonly version: number;
}

/** What this node knows of entities and devices. Whatever comes in which order, the latest version counts. */
export interface ResourceTable extends ResourceLookup {
  /** Another number after each change. */
  readonly revision: number;
  count(kind: ResourceKind): number;
  get(kind: ResourceKind, id: string): ResourceState | undefined;
  /** Ids in the order of their UTF-16 units, those after `after`. */
  page(kind: ResourceKind, after: string | undefined, limit: number): readonly ResourceState[];
  apply(states: readonly ResourceState[]): void;
  /** The store has exactly these of those that `isOf` names, as of this version. */
  settle(states: readonly ResourceState[], version: number, isOf: (state: ResourceState) => boolean): void;
  /** Also what was removed. */
  states(): Iterable<ResourceState>;
}

/** What was removed is remembered for as long as this many more are removed. */
const mostRemoved = 10_000;

export function createResourceTable(): ResourceTable {
  const known = { entity: new Map<string, ResourceState>(), device: new Map<string, ResourceState>() };
  const order = { entity: new SortedIds(), device: new SortedIds() };
  const removed = new Map<string, ResourceState>();
  let revision = 0;

  const applyOne = (state: ResourceState) => {
    const { kind, id, parent, version } = state;
    const key = `${kind} ${id}`;
    const before = known[kind].get(id) ?? removed.get(key);
    if (before !== undefined && before.version >= version) return;
    removed.delete(key);
    if (parent === undefined) {
      if (known[kind].delete(id)) order[kind].delete(id);
      removed.set(key, state);
      const [oldest] = removed.keys();
      if (removed.size > mostRemoved && oldest !== undefined) removed.delete(oldest);
    } else {
      if (!known[kind].has(id)) order[kind].add(id);
      known[kind].set(id, state);
    }
    if (before?.parent !== parent) revision += 1;
  };

  return {
    get revision() {
      return revision;
    },
    deviceOf: (entityId) => known.entity.get(entityId)?.parent ?? undefined,
    areaOf: (deviceId) => known.device.get(deviceId)?.parent ?? undefined,
    count: (kind) => known[kind].size,
    get: (kind, id) => known[kind].get(id),
    page: (kind, after, limit) =>
      order[kind]
        .page(after, limit)
        .map((id) => known[kind].get(id))
        .filter((state) => state !== undefined),
    apply(states) {
      for (const state of states) applyOne(state);
    },
    settle(states, version, isOf) {
      const present = new Set(states.map(({ kind, id }) => `${kind} ${id}`));
      for (const state of [...known.entity.values(), ...known.device.values()])
        if (state.version < version && !present.has(`${state.kind} ${state.id}`) && isOf(state))
          applyOne({ ...state, parent: undefined, version });
      for (const state of states) applyOne(state);
    },
    *states() {
      yield* known.entity.values();
      yield* known.device.values();
      yield* removed.values();
    },
  };
}

import type { Policy } from "../../../protocol/policy.ts";
import { allSystemGroups } from "./system-groups.ts";

/** A group as this node knows it. */
export interface KnownGroup {
  readonly id: string;
  readonly name: string;
  readonly policy: Policy;
  readonly systemGenerated: boolean;
  /** The number of the commit that wrote the group; 0 for a group of the system. */
  readonly version: number;
  /** Another number for each policy that the group had on this node. */
  readonly revision: number;
}

/** A group from the store or from the log. `content` null: it was deleted. */
export interface GroupState {
  readonly id: string;
  readonly version: number;
  readonly content: Pick<KnownGroup, "name" | "policy"> | null;
}

/** The groups in this node's memory. Whatever comes in which order, the latest version counts. */
export interface GroupTable {
  get(id: string): KnownGroup | undefined;
  /** Those of the system, then the others by name. */
  list(): readonly KnownGroup[];
  /** False if the same version, or a later one, is known. */
  apply(state: GroupState): boolean;
  /** The latest version of a group that is known, also of a deleted one. */
  latest(id: string): GroupState | undefined;
  /** Every group that was ever heard of, without those of the system, also the deleted ones. */
  states(): readonly GroupState[];
}

/** Deleted groups that are remembered. Their ids are never used again. */
const mostDeleted = 1_000;

export function createGroupTable(): GroupTable {
  const groups = new Map<string, KnownGroup>();
  const deleted = new Map<string, number>();
  let revisions = 0;
  for (const group of allSystemGroups)
    groups.set(group.id, { ...group, systemGenerated: true, version: 0, revision: 0 });

  const remove = (id: string, version: number) => {
    groups.delete(id);
    deleted.delete(id);
    deleted.set(id, version);
    const [oldest] = deleted.keys();
    if (deleted.size > mostDeleted && oldest !== undefined) deleted.delete(oldest);
  };
  const put = ({ id, version }: GroupState, content: NonNullable<GroupState["content"]>) => {
    const before = groups.get(id);
    const keeps = before !== undefined && JSON.stringify(before.policy) === JSON.stringify(content.policy);
    if (!keeps) revisions += 1;
    const revision = keeps ? before.revision : revisions;
    // The same object, so that it is not compiled again.
    const { name, policy } = keeps ? { ...content, policy: before.policy } : content;
    groups.set(id, { id, name, policy, version, revision, systemGenerated: false });
  };

  return {
    get: (id) => groups.get(id),
    list: () =>
      [...groups.values()].sort(
        (a, b) =>
          Number(b.systemGenerated) - Number(a.systemGenerated) ||
          (a.systemGenerated ? 0 : compare(a.name, b.name) || compare(a.id, b.id)),
      ),
    apply(state) {
      const { id, version, content } = state;
      const known = groups.get(id);
      if (known?.systemGenerated === true || deleted.has(id)) return false;
      if (known !== undefined && known.version >= version) return false;
      if (content === null) remove(id, version);
      else put(state, content);
      return true;
    },
    latest(id) {
      const version = deleted.get(id);
      if (version !== undefined) return { id, version, content: null };
      const known = groups.get(id);
      return known && stateOf(known);
    },
    states: () => [
      ...[...groups.values()].filter(({ systemGenerated }) => !systemGenerated).map(stateOf),
      ...[...deleted].map(([id, version]) => ({ id, version, content: null })),
    ],
  };
}

function stateOf({ id, version, name, policy }: KnownGroup): GroupState {
  return { id, version, content: { name, policy } };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

import { Type } from "typebox";
import { Compile } from "typebox/compile";

import {
  CommandPolicy,
  EntityPolicy,
  type Policy,
  policyLimits,
  TopicPolicy,
} from "../../../protocol/policy.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { JsonObject, Step, Store, StoredRecord } from "../store.ts";
import type { GroupState } from "./group-table.ts";

/** Unknown fields are allowed: a newer node may have written them. */
const GroupRecord = Compile(
  Type.Object({
    id: Type.String(),
    name: Type.String(),
    policy: Type.Object({}),
    /** The number of the commit that decided on the group, if a node has written it again since. */
    version: Type.Optional(Type.Number()),
  }),
);

const categories = {
  entities: Compile(EntityPolicy),
  topics: Compile(TopicPolicy),
  commands: Compile(CommandPolicy),
} as const;

/**
 * What this version understands of a policy that is stored or logged. A category that a newer node wrote in another
 * form grants nothing here.
 */
export function readablePolicy(policy: JsonObject): Policy {
  const { entities, topics, commands } = policy;
  return {
    ...(categories.entities.Check(entities) ? { entities } : {}),
    ...(categories.topics.Check(topics) ? { topics } : {}),
    ...(categories.commands.Check(commands) ? { commands } : {}),
  };
}

/** A group as it is stored. */
export interface StoredGroup {
  readonly state: GroupState & { readonly content: NonNullable<GroupState["content"]> };
  /** The version of the record, for checks. */
  readonly recordVersion: number;
}

/** Undefined for a damaged record: the group gives nobody anything. */
export function parseGroup({ value, version }: StoredRecord): StoredGroup | undefined {
  if (!GroupRecord.Check(value)) return undefined;
  const { id, name, policy } = value;
  const content = { name, policy: readablePolicy(policy as JsonObject) };
  return { state: { id, version: value.version ?? version, content }, recordVersion: version };
}

/** `version`: of a group that is written again. */
export function groupPut(
  id: string,
  { name, policy }: NonNullable<GroupState["content"]>,
  version?: number,
): NonNullable<Step["put"]>[number] {
  const value = { id, name, policy: { ...policy }, ...(version === undefined ? {} : { version }) };
  return { key: recordKeys.group(id), value: value as JsonObject };
}

/** Every group in the store. */
export async function readGroups(store: Pick<Store, "list" | "get">): Promise<readonly StoredGroup[]> {
  const ids = await store.list(indexKeys.groups, { limit: 2 * policyLimits.groups });
  if (ids.length === 0) return [];
  const records = await store.get(ids.map(recordKeys.group));
  return records.map((record) => record && parseGroup(record)).filter((group) => group !== undefined);
}

export async function readGroup(store: Pick<Store, "get">, id: string): Promise<StoredGroup | undefined> {
  const [record] = await store.get([recordKeys.group(id)]);
  return record && parseGroup(record);
}

import type { LogEvent } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { JsonObject, Step } from "../store.ts";
import { groupPut } from "./group-record.ts";
import type { GroupState } from "./group-table.ts";

/** A group before a change. `recordVersion` 0: there was none. */
interface Before {
  readonly id: string;
  readonly recordVersion: number;
}

/** The part of a commit that creates or changes a group, if it has not changed since it was read. */
export function putGroupStep(
  { id, recordVersion }: Before,
  content: NonNullable<GroupState["content"]>,
  revocationId: string,
): Step {
  return {
    check: [{ key: recordKeys.group(id), version: recordVersion }],
    put: [groupPut(id, content)],
    link: [{ index: indexKeys.groups, member: id }],
    log: [changed(id, content, { revocationId })],
    durable: true,
  };
}

export function deleteGroupStep({ id, recordVersion }: Before, revocationId: string): Step {
  return {
    check: [{ key: recordKeys.group(id), version: recordVersion }],
    remove: [recordKeys.group(id)],
    unlink: [{ index: indexKeys.groups, member: id }],
    log: [changed(id, null, { revocationId })],
    durable: true,
  };
}

/** The same for what an earlier commit decided, in a store that lost it. It keeps its number. */
export function repeatGroupStep({ id, recordVersion }: Before, { content, version }: GroupState): Step {
  const check = [{ key: recordKeys.group(id), version: recordVersion }];
  const entry = { index: indexKeys.groups, member: id };
  const log = [changed(id, content, { version })];
  if (content === null) return { check, remove: [recordKeys.group(id)], unlink: [entry], log, durable: true };
  return { check, put: [groupPut(id, content, version)], link: [entry], log, durable: true };
}

function changed(
  groupId: string,
  content: GroupState["content"],
  more: Pick<Extract<LogEvent, { type: "group_changed" }>, "version" | "revocationId">,
): JsonObject {
  const event: LogEvent = {
    type: "group_changed",
    groupId,
    name: content?.name ?? null,
    policy: content === null ? null : { ...content.policy },
    ...more,
  };
  return { ...event };
}

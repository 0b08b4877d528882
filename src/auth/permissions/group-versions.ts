import { AuthError } from "../errors.ts";
import type { Store } from "../store.ts";
import { readGroup, type StoredGroup } from "./group-record.ts";
import { isSystemGroup } from "./system-groups.ts";

/**
 * A group that may be changed, as the store has it now. `version`: what the sender has seen; undefined: anything. Throws
 * `not_allowed` for a group of the system, `not_found`, `conflict`.
 */
export async function requireGroup(
  store: Pick<Store, "get">,
  id: string,
  version: number | undefined,
): Promise<StoredGroup> {
  if (isSystemGroup(id))
    throw new AuthError("not_allowed", { publicMessage: "A group of the system cannot be changed" });
  const group = await readGroup(store, id);
  if (group === undefined) throw groupNotFound();
  if (version !== undefined && group.state.version !== version) throw new AuthError("conflict");
  return group;
}

export function groupNotFound(): AuthError {
  return new AuthError("not_found", { publicMessage: "Group not found" });
}

import type { Policy } from "../../../protocol/policy.ts";
import type { Principal, User } from "../model.ts";

/**
 * What a policy allows to do with something. Of entities: Home Assistant's three. Of topics: `read` is to subscribe,
 * `control` is to publish, `edit` is to clear a last value.
 */
export type Verb = "read" | "control" | "edit";

/**
 * What a caller may do, compiled from the policies of their groups and narrowed by their token. Immutable: after a
 * change a caller has another object. Callers with the same rights share one object, so it is a key by which a
 * decision can be made once for many. Anything unknown is denied.
 */
export interface Permissions {
  /** The owner, or a member of system-admin, with a token that is not narrowed. */
  readonly isAdmin: boolean;
  mayUseEntity(entityId: string, verb: Verb): boolean;
  mayUseTopic(topic: string, verb: Verb): boolean;
  /** Whether there is any topic among those of the pattern that they may use. */
  mayUseSomeOf(pattern: string, verb: Verb): boolean;
  /** Whether the guard of an administrator's command lets them pass. */
  mayCommand(type: string): boolean;
}

/** The permissions of somebody who asks for a change. */
export interface SenderPermissions extends Permissions {
  /** Whether they may do everything that the policy gives. Nobody can give what they lack. */
  covers(policy: Policy): boolean;
}

/** Keeps the permissions of one caller current, from the log of this node. */
export interface PermissionsWatch {
  /** What they may do now. A caller who is gone, or is not active, may do nothing. */
  readonly permissions: Permissions;
  end(): void;
}

export interface PermissionsReader {
  /**
   * What a caller may do now. `user`: as they were just read. Without it, as this node knows them, which can be less recent
   * than the store for a moment, also on the node that has just committed a change of them.
   */
  of(principal: Principal, user?: User): Promise<SenderPermissions>;
  /**
   * Reads it once and follows the log from then on. `onChange` is called in the same tick in which this node applies
   * the entry that changed it: before the change is answered on this node, and before the node acknowledges it to
   * others.
   */
  watch(principal: Principal, onChange: () => void): Promise<PermissionsWatch>;
}

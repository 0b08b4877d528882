import type { Policy } from "../../protocol/policy.ts";
import { AuthError } from "../auth/errors.ts";
import type { User } from "../auth/model.ts";
import {
  type Delegate,
  isAboveDelegates,
  mayChangeUser,
  type UserChange,
} from "../auth/permissions/delegation.ts";
import type { PermitUserChange } from "../auth/users/users.ts";
import type { Session } from "../connection/session.ts";
import type { CommandAuthority } from "./registry.ts";

/** What the sender of a command of administrators may do with it. All throw `unauthorized`. */
export interface SenderLimits {
  /** Undefined: the sender is an administrator, whose changes are not compared with their rights. */
  readonly permitUserChange: PermitUserChange | undefined;
  /** The same for users who wait for approval: what the configuration has chosen for them is not compared. */
  readonly permitApproval: PermitUserChange | undefined;
  /** Refuses a policy that gives what the sender lacks. */
  readonly permitPolicy: ((policy: Policy) => void) | undefined;
  /** Refuses administrators, the owner and system users. */
  requireBelow(user: User): void;
}

type LimitAuthority = Pick<CommandAuthority, "users" | "permissions" | "groups">;

const unlimited: SenderLimits = {
  permitUserChange: undefined,
  permitApproval: undefined,
  permitPolicy: undefined,
  requireBelow: () => undefined,
};

export async function limitsOf(authority: LimitAuthority, { principal }: Session): Promise<SenderLimits> {
  const permissions = await authority.permissions.of(principal);
  if (permissions.isAdmin) return unlimited;
  const user = await authority.users.current(principal.userId);
  if (user === undefined) throw new AuthError("unauthorized");
  return limitsOfDelegate(authority, { localOnly: user.localOnly, covers: permissions.covers });
}

function limitsOfDelegate({ groups }: LimitAuthority, delegate: Delegate): SenderLimits {
  const permit = async (change: UserChange, isApproval: boolean) => {
    const ids = change.after?.groupIds ?? [];
    const known = await Promise.all(ids.map(groups.get));
    const policyOf = (id: string) => known.find((group) => group?.id === id)?.policy;
    if (!mayChangeUser(delegate, change, policyOf, isApproval)) throw new AuthError("unauthorized");
  };
  return {
    permitUserChange: (change) => permit(change, false),
    permitApproval: (change) => permit(change, true),
    permitPolicy(policy) {
      if (!delegate.covers(policy)) throw new AuthError("unauthorized");
    },
    requireBelow(user) {
      if (isAboveDelegates(user)) throw new AuthError("unauthorized");
    },
  };
}

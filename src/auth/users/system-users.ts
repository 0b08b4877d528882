import { type Policy, policyLimits } from "../../../protocol/policy.ts";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Session, User } from "../model.ts";
import { type KnownGroups, requireGroups } from "../permissions/known-groups.ts";
import { requirePolicyWithin } from "../permissions/writable-policy.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Step } from "../store.ts";
import { createUserStep } from "./user-changes.ts";
import { newUser, type Users } from "./users.ts";

/** A refresh token that does not expire and does not rotate. Nothing shows it again. */
export interface SystemToken {
  readonly user: User;
  readonly session: Session;
  readonly refreshToken: string;
}

/**
 * Users that are services, as in Home Assistant. They have no login, so no flow lets one in: only a `system` token does,
 * on the socket (`auth/login/refresh`) and at `/auth/token`. It is good until its session or its user is removed.
 */
export interface SystemUsers {
  /** Creates one, with a token, in one commit. Throws `invalid_group`, `conflict`. */
  create(request: {
    readonly name: string;
    /** None by default: the service may then do what any user may. */
    readonly groupIds?: readonly string[] | undefined;
    readonly localOnly?: boolean | undefined;
    /** What the token may do at most; by default everything that the user may do. Throws `invalid_policy`. */
    readonly policy?: Policy | undefined;
  }): Promise<SystemToken>;
  /** Another token. Those before it stay good. Throws `not_found` for a user who is no system user, `access_denied`. */
  issueToken(userId: string, policy?: Policy): Promise<SystemToken>;
}

export interface SystemUsersOptions {
  readonly clock: Clock;
  readonly users: Pick<Users, "read">;
  readonly groups: Pick<KnownGroups, "existing">;
  readonly sessions: Pick<Sessions, "open">;
}

export function createSystemUsers(options: SystemUsersOptions): SystemUsers {
  const { clock, users, groups, sessions } = options;
  const open = async (
    user: User,
    at: { readonly version: number; readonly epoch: number },
    policy: Policy | undefined,
    also: Step,
  ): Promise<SystemToken> => {
    if (policy !== undefined) requirePolicyWithin(policy, policyLimits.tokenBytes);
    const { session, refreshToken } = await sessions.open({
      user,
      userVersion: at.version,
      userEpoch: at.epoch,
      credential: null,
      clientId: null,
      clientName: user.name,
      rotates: false,
      assurance: 1,
      amr: [],
      authenticatedAt: clock.now(),
      policy,
      peer: { address: null },
      also,
    });
    return { user, session, refreshToken };
  };
  return {
    async create({ name, groupIds = [], localOnly = false, policy }) {
      await requireGroups(groups, groupIds);
      const about = { name, groupIds, localOnly, systemGenerated: true, createdAt: clock.now() };
      const user = newUser(about);
      return await open(user, { version: 0, epoch: 0 }, policy, createUserStep(user));
    },
    async issueToken(userId, policy) {
      const found = await users.read(userId);
      if (found?.user.systemGenerated !== true)
        throw new AuthError("not_found", { publicMessage: "There is no such system user" });
      return await open(found.user, found, policy, {});
    },
  };
}

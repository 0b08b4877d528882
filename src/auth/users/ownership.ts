import { AuthError } from "../errors.ts";
import type { FactorDemands } from "../factors/demands.ts";
import type { Principal, User } from "../model.ts";
import type { ProviderRegistry } from "../providers/registry.ts";
import { askingSessionChecks } from "../sessions/asking-session.ts";
import type { StepUps } from "../sessions/recent-login.ts";
import type { ReadingTools } from "../sessions/session-reading.ts";
import { mergeSteps, retryConflicts } from "../store.ts";
import { isActive } from "./account-status.ts";
import type { Credentials } from "./credentials.ts";
import { changeOwnerStep, readOwner } from "./owner-changes.ts";
import { usableChecks } from "./usable-credential.ts";
import { readUserStatus } from "./user-record.ts";

/** Who owns the installation: exactly one user, from the set-up on. */
export interface Ownership {
  /**
   * Makes another user the owner. Resolves to that user. The owner before stays an ordinary user, with the groups that
   * they have. `by` is the owner, who must have logged in recently, on a session that is still live at the commit; null
   * for the command line. Throws `recent_login_required`, `unauthorized`, `not_found`, `onboarding_required`, and
   * `not_allowed` for a user who is not active, cannot log in, or is the owner already. The user's sessions end that are below
   * what is demanded of administrators.
   */
  transfer(toUserId: string, by: Principal | null): Promise<User>;
  /** The owner's id, as the store has it now. Undefined before the set-up. */
  owner(): Promise<string | undefined>;
}

export interface OwnershipOptions extends ReadingTools {
  readonly credentials: Pick<Credentials, "list" | "get">;
  readonly stepUps: StepUps;
  readonly registry: Pick<ProviderRegistry, "find">;
  readonly demands: Pick<FactorDemands, "commitChange">;
}

export function createOwnership(options: OwnershipOptions): Ownership {
  return {
    async transfer(toUserId, by) {
      if (by !== null) await options.stepUps.require("owner_transfer", by);
      return await retryConflicts(() => transferOnce(options, toUserId, by));
    },
    owner: async () => (await readOwner(options.store))?.userId,
  };
}

/** Undefined: a record changed meanwhile. */
async function transferOnce(
  options: OwnershipOptions,
  toUserId: string,
  by: Principal | null,
): Promise<User | undefined> {
  const { store, demands } = options;
  const claim = await readOwner(store);
  if (claim === undefined) throw new AuthError("onboarding_required");
  if (by !== null && by.userId !== claim.userId) throw new AuthError("unauthorized");
  const [previous, next] = await Promise.all(
    [claim.userId, toUserId].map((userId) => readUserStatus(store, userId)),
  );
  if (next === undefined) throw new AuthError("not_found", { publicMessage: "User not found" });
  if (toUserId === claim.userId) throw notAllowed("The user is the owner already");
  if (next.user.systemGenerated) throw notAllowed("A system user cannot be the owner");
  if (!isActive(next.user)) throw notAllowed("The user is not active");
  const asking = by === null ? [] : await askingSessionChecks(options, by.userId, by.sessionId);
  const login = await usableChecks(options, await options.credentials.list(toUserId));
  if (login === undefined) throw notAllowed("The user has no login");
  const step = mergeSteps({ check: [...asking, ...login] }, changeOwnerStep(claim, previous, next));
  const owner = { ...next.user, isOwner: true };
  return (await demands.commitChange(owner, step)) && owner;
}

function notAllowed(publicMessage: string): AuthError {
  return new AuthError("not_allowed", { publicMessage });
}

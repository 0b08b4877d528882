import type { Principal, User } from "../../src/auth/model.ts";
import type { ProviderAdmission } from "../../src/auth/providers/registry.ts";

/** Providers that judge nobody's address. */
export const openProviders: ProviderAdmission = { judges: () => false, admits: () => true };

/** A principal for tests outside the domain. */
export function principalOf(more: Partial<Principal> = {}): Principal {
  return {
    userId: "u1",
    sessionId: "s1",
    epoch: 1,
    keyId: "key",
    sessionType: "normal",
    clientId: null,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: 0,
    tokenIssuedAt: 0,
    tokenExpiresAt: Number.MAX_SAFE_INTEGER,
    sessionExpiresAt: null,
    localOnly: false,
    judgedBy: null,
    scope: null,
    policy: null,
    isForOtherAudience: false,
    ...more,
  };
}

export function userOf(more: Partial<User> = {}): User {
  return {
    id: "u1",
    name: "Ursula",
    isOwner: false,
    state: "active",
    systemGenerated: false,
    localOnly: false,
    groupIds: ["system-users"],
    createdAt: 0,
    ...more,
  };
}

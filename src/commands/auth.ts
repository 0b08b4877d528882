import { AuthError } from "../auth/errors.ts";
import { refreshGrantOf } from "../auth/sessions/token-grant.ts";
import { isAdmin } from "../auth/users/users.ts";
import type { Command } from "../connection/command.ts";
import { errorBody } from "../connection/error-body.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

/** Home Assistant's default life of a signed path, in seconds. */
const signedPathSeconds = 30;

/** Home Assistant's `auth/*`, except the list of sessions. */
export function authCommands({ authority, authorityOf }: CommandParts): readonly Command[] {
  const { users, credentials, secondFactors, signedPaths, authentication, stepUps } = authority;
  return [
    defineCommand("auth/current_user", authority, async (_, { principal }) => {
      const user = await users.current(principal.userId);
      if (user === undefined) throw new AuthError("not_found", { publicMessage: "User not found" });
      const [owned, factors] = await Promise.all([credentials.list(user.id), secondFactors.of(user.id)]);
      return {
        id: user.id,
        name: user.name,
        is_owner: user.isOwner,
        is_admin: isAdmin(user),
        credentials: owned.map(({ providerType, providerId }) => ({
          auth_provider_type: providerType,
          auth_provider_id: providerId,
        })),
        mfa_modules: [...factors],
      };
    }),
    defineCommand("auth/long_lived_access_token", authority, async (message, session) => {
      const { principal } = session;
      if (principal.sessionType === "system") throw new AuthError("not_system_user");
      await stepUps.require("long_lived_tokens", principal);
      const { accessToken } = await authorityOf(session).sessions.openLongLived({
        userId: principal.userId,
        clientName: message.client_name,
        clientIcon: message.client_icon ?? null,
        days: message.lifespan,
        askedBy: principal.sessionId,
        policy: message.policy,
      });
      return accessToken;
    }),
    defineCommand("auth/sign_path", authority, async ({ path, expires }, { principal }) => ({
      path: await signedPaths.sign(principal.sessionId, path, expires ?? signedPathSeconds),
    })),
    defineCommand("auth/refresh", authority, async ({ id, refresh_token }, session) => {
      const reused = { success: false, error: errorBody("token_reused") } as const;
      const undo = session.answerBeforeCut(id, reused, ["token_reused"]);
      const grant = await authorityOf(session)
        .sessions.refresh({
          refreshToken: refresh_token,
          sessionId: session.principal.sessionId,
          peer: session.peer,
        })
        .finally(undo);
      const verdict = await authentication.authenticateMinted(grant.principal, session.peer);
      if (!verdict.ok) throw new AuthError("invalid_grant", { detail: verdict.reason });
      session.renew(verdict.principal);
      return refreshGrantOf(grant);
    }),
  ];
}

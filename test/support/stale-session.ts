import type { Authority } from "../../src/auth/authority.ts";
import { home } from "./authority.ts";

/** Tokens of a session of the user whose login is an hour old, as of a password. */
export async function staleTokens(authority: Authority, userId: string) {
  const found = await authority.users.read(userId);
  if (found === undefined) throw new Error(`no user ${userId}`);
  const [credential = null] = await authority.credentials.list(userId);
  const { accessToken, refreshToken, session } = await authority.sessions.open({
    user: found.user,
    userVersion: found.version,
    userEpoch: found.epoch,
    credential,
    clientId: null,
    clientName: null,
    rotates: true,
    assurance: 1,
    amr: ["pwd"],
    authenticatedAt: Date.now() - 3_600_000,
    peer: home,
  });
  const stored = { accessToken, refreshToken, accessTokenExpiresAt: Date.now() + 1_800_000 };
  return { ...stored, sessionId: session.id };
}

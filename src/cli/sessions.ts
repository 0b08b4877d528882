import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import { type Output, table, timeText, UsageError } from "./output.ts";
import { findUser } from "./users.ts";

/** Prints the token alone, so that it can go into a variable or a file. */
export async function issueToken(
  authority: Authority,
  request: { readonly user: string; readonly name: string; readonly days: number },
  output: Output,
): Promise<void> {
  const user = await findUser(authority, request.user);
  const { session, accessToken } = await authority.sessions.openLongLived({
    userId: user.id,
    clientName: request.name,
    clientIcon: null,
    days: request.days,
  });
  output.result({ access_token: accessToken, session_id: session.id }, accessToken);
}

export async function listSessions(
  authority: Authority,
  nameOrId: string | undefined,
  output: Output,
): Promise<void> {
  const users = nameOrId === undefined ? await authority.users.list() : [await findUser(authority, nameOrId)];
  const sessions = (await Promise.all(users.map((user) => authority.sessions.listOf(user.id)))).flat();
  const value = sessions.map((session) => ({
    id: session.id,
    user_id: session.userId,
    type: session.type,
    client_id: session.clientId,
    client_name: session.clientName,
    created_at: timeText(session.createdAt),
    last_used_at: session.lastUsedAt === null ? null : timeText(session.lastUsedAt),
    last_used_ip: session.lastUsedIp,
    expires_at: session.expiresAt === null ? null : timeText(session.expiresAt),
  }));
  const rows = sessions.map((session) => [
    session.id,
    session.userId,
    session.type,
    session.clientName ?? session.clientId ?? "-",
    timeText(session.lastUsedAt),
    timeText(session.expiresAt),
  ]);
  output.result(value, table(["ID", "USER", "TYPE", "CLIENT", "LAST USED", "EXPIRES"], rows));
}

type RevokeTarget = { readonly user: string } | { readonly session: string };

/** Throws `UsageError` unless exactly one is given. */
export function revokeTarget(flags: { readonly user?: string; readonly session?: string }): RevokeTarget {
  const { user, session } = flags;
  if (user !== undefined && session === undefined) return { user };
  if (session !== undefined && user === undefined) return { session };
  throw new UsageError("give one of --user and --session");
}

/** Ends one session, or all of a user. Returns when it is durable; gateways that run follow by the log. */
export async function revoke(authority: Authority, target: RevokeTarget, output: Output): Promise<void> {
  const receipt =
    "session" in target
      ? await revokeSession(authority, target.session)
      : await authority.revocation.revoke(
          { kind: "user", userId: (await findUser(authority, target.user)).id },
          "session_revoked",
        );
  const value = { revocation_id: receipt.revocationId, sessions: receipt.sessions };
  output.result(value, `revoked ${receipt.sessions} session${receipt.sessions === 1 ? "" : "s"}`);
}

async function revokeSession(authority: Authority, sessionId: string) {
  const session = await authority.sessions.get(sessionId);
  if (session === undefined) throw new AuthError("not_found", { publicMessage: "There is no such session" });
  const target = { kind: "sessions", userId: session.userId, sessionIds: [session.id] } as const;
  return await authority.revocation.revoke(target, "session_revoked");
}

import type { RefreshTokenInfo } from "../../protocol/commands/auth.ts";
import type { Policy } from "../../protocol/policy.ts";
import { AuthError } from "../auth/errors.ts";
import type { Session as StoredSession } from "../auth/model.ts";
import type { RevokeTarget } from "../auth/revocation/receipt.ts";
import type { Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { defineCommand } from "./guarded-command.ts";
import { pageRequestOf } from "./page-request.ts";
import type { CommandParts } from "./registry.ts";

/**
 * The sessions of the sender's own user, which Home Assistant calls refresh tokens. A command that ends its own
 * session is answered after the commit and before its socket closes.
 */
export function sessionCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { sessions } = authority;
  return [
    defineCommand("auth/refresh_tokens", authority, (_, session) =>
      parts.wholeLists.run(session, async () => {
        const { userId, sessionId } = session.principal;
        return (await sessions.list(userId)).map((each) => sessionInfoOf(each, sessionId));
      }),
    ),
    defineCommand("gatehouse/sessions/list", authority, async (message, { principal }) => {
      const { userId, sessionId } = principal;
      const page = await sessions.listPage(userId, pageRequestOf(message));
      return {
        sessions: page.sessions.map((each) => sessionInfoOf(each, sessionId)),
        cursor: page.next ?? null,
      };
    }),
    defineCommand("auth/delete_refresh_token", authority, async ({ id, refresh_token_id }, session) => {
      const { userId } = session.principal;
      const found = await sessions.get(refresh_token_id);
      if (found?.userId !== userId) throw new AuthError("invalid_token_id");
      await revokeOwn(parts, { kind: "sessions", userId, sessionIds: [found.id] }, { id, session });
      return {};
    }),
    defineCommand("auth/delete_all_refresh_tokens", authority, async (message, session) => {
      const target = await targetOf(parts, message, session);
      if (target !== undefined) await revokeOwn(parts, target, { id: message.id, session });
      return {};
    }),
    defineCommand("auth/refresh_token_set_expiry", authority, async (message, session) => {
      const asked = parts.authorityOf(session).sessions;
      await asked.setExpiry(session.principal, message.refresh_token_id, message.enable_expiry);
      return {};
    }),
  ];
}

/** Without a type: all sessions, also one that is being opened now. With a type: those that exist now. */
async function targetOf(
  { authority: { sessions } }: CommandParts,
  message: { readonly token_type?: string; readonly delete_current_token?: boolean },
  { principal: { userId, sessionId } }: SocketSession,
): Promise<RevokeTarget | undefined> {
  const withCurrent = message.delete_current_token ?? true;
  if (message.token_type === undefined)
    return withCurrent ? { kind: "user", userId } : { kind: "user", userId, except: sessionId };
  const ended = (await sessions.list(userId)).filter(
    ({ id, type }) => type === message.token_type && (withCurrent || id !== sessionId),
  );
  return ended.length === 0 ? undefined : { kind: "sessions", userId, sessionIds: ended.map(({ id }) => id) };
}

async function revokeOwn(
  { authorityOf }: CommandParts,
  target: RevokeTarget,
  from: { readonly id: number; readonly session: SocketSession },
): Promise<void> {
  const undo = from.session.answerBeforeCut(from.id, { success: true, result: {} }, ["session_revoked"]);
  try {
    await authorityOf(from.session).revocation.revoke(target, "session_revoked");
  } catch (error) {
    if (error instanceof AuthError) throw error;
    throw new AuthError("token_removing_error", { detail: "revoke failed", cause: error });
  } finally {
    undo();
  }
}

export function sessionInfoOf(session: StoredSession, currentId: string): RefreshTokenInfo {
  return {
    id: session.id,
    client_id: session.clientId,
    client_name: session.clientName,
    client_icon: session.clientIcon,
    type: session.type,
    created_at: new Date(session.createdAt).toISOString(),
    last_used_at: timeOf(session.lastUsedAt),
    last_used_ip: session.lastUsedIp,
    expire_at: timeOf(session.expiresAt),
    is_current: session.id === currentId,
    auth_provider_type: session.providerType,
    ...(session.policy === undefined ? {} : { policy: JSON.parse(session.policy) as Policy }),
  };
}

function timeOf(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

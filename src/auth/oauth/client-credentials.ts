import type { RegisteredClient } from "../clients/client-record.ts";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Peer } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Sessions, TokenGrant } from "../sessions/sessions.ts";
import { readRecord, retryConflicts, type Store } from "../store.ts";
import { refuseBlockedUser } from "../users/account-status.ts";
import type { Users } from "../users/users.ts";
import { requireGrantType, wishesOf } from "./authorization-request.ts";

/** `client_credentials` (RFC 6749 section 4.4): a client gets tokens for its own system user. */
export interface ClientCredentials {
  /**
   * An access token, and no refresh token. The client has one session, which all of its tokens belong to: whoever
   * revokes it, or the client, or the user, ends them all. Throws `unauthorized_client`, `invalid_scope`,
   * `invalid_target`, `access_denied`. NOT checked: whether it is the client; see `ClientAuthentication`.
   */
  grant(
    client: RegisteredClient,
    wishes: { readonly scope: string | null; readonly resource: string | null },
    peer: Peer,
  ): Promise<TokenGrant>;
}

export interface ClientCredentialsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly users: Pick<Users, "read">;
  readonly sessions: Pick<Sessions, "open" | "issueAccessToken">;
}

export function createClientCredentials(options: ClientCredentialsOptions): ClientCredentials {
  const { store, sessions } = options;
  return {
    async grant(client, wishes, peer) {
      requireGrantType(client, "client_credentials");
      const granted = wishesOf(client, wishes);
      return await retryConflicts(async () => {
        const pointer = await readRecord(store, recordKeys.clientSession(client.id));
        const sessionId = pointer?.value.session_id;
        if (typeof sessionId === "string" && pointer?.value.user_id === client.userId) {
          const grant = await sessions.issueAccessToken(sessionId, { ...granted, peer });
          if (grant !== undefined) return grant;
        }
        await openAnew(options, client, pointer?.version ?? 0, peer);
        // The token is of the session that the pointer names now: this one, or one that another request opened first.
        return undefined;
      });
    },
  };
}

/** The first time, and after the session has ended. Without effect if another request was faster. */
async function openAnew(
  { users, sessions, clock }: ClientCredentialsOptions,
  client: RegisteredClient,
  version: number,
  peer: Peer,
): Promise<void> {
  const found = client.userId === null ? undefined : await users.read(client.userId);
  if (found?.user.systemGenerated !== true)
    throw new AuthError("access_denied", { detail: "the client's system user was removed" });
  refuseBlockedUser(found.user, peer);
  const key = recordKeys.clientSession(client.id);
  try {
    await sessions.open({
      user: found.user,
      userVersion: found.version,
      userEpoch: found.epoch,
      credential: null,
      clientId: client.id,
      clientName: client.name,
      rotates: false,
      assurance: 1,
      amr: [],
      authenticatedAt: clock.now(),
      scope: client.scopes.join(" "),
      peer,
      also: (sessionId) => ({
        check: [{ key, version }],
        put: [{ key, value: { session_id: sessionId, user_id: found.user.id } }],
      }),
    });
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== "conflict") throw error;
  }
}

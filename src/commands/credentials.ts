import type { CredentialInfo } from "../../protocol/commands/credentials.ts";
import { AuthError } from "../auth/errors.ts";
import type { Credential } from "../auth/model.ts";
import type { Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { SessionFlow } from "../connection/session-flow.ts";
import { answeredBeforeCut } from "./answered-before-cut.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";
import { requireStepUpForOneself } from "./step-up-for-rights.ts";
import { requireOwnerForOwner } from "./who-may-decide.ts";

/** The logins of a user: linked and removed by the user, and seen and removed by administrators. */
export function credentialCommands(parts: CommandParts): readonly Command[] {
  return [...linkCommands(parts), ...removalCommands(parts)];
}

function linkCommands({ authority, authorityOf }: CommandParts): readonly Command[] {
  const { stepUps } = authority;
  const flows = new WeakMap<SocketSession, SessionFlow>();
  const own = (session: SocketSession, flowId: string) => {
    const flow = flows.get(session);
    if (flow?.id !== flowId) throw new AuthError("invalid_flow");
    return flow;
  };
  return [
    defineCommand("auth/link/start", authority, async ({ id, handler }, session) => {
      await stepUps.require("credentials", session.principal);
      const { logins } = authorityOf(session);
      const flow = new SessionFlow(logins, session, id);
      const { userId, sessionId } = session.principal;
      const answer = await logins.start(
        {
          handler,
          purpose: "link",
          linking: { userId, sessionId },
          clientId: null,
          clientName: null,
          redirectUri: null,
          codeChallenge: null,
        },
        session.peer,
        flow,
      );
      const step = await flow.begin(answer);
      // Starts that were sent at once come here in any order. The last one that was sent stays.
      const other = flows.get(session);
      const [stays, ends] = other !== undefined && other.startId > id ? [other, flow] : [flow, other];
      flows.set(session, stays);
      await ends?.cancel().catch(() => undefined);
      return step;
    }),
    defineCommand("auth/link/step", authority, ({ flow_id, user_input }, session) =>
      own(session, flow_id).submit(user_input),
    ),
    defineCommand("auth/link/cancel", authority, ({ flow_id }, session) => own(session, flow_id).cancel()),
  ];
}

function removalCommands({ authority, authorityOf }: CommandParts): readonly Command[] {
  const { users, credentials, credentialRemovals, stepUps } = authority;
  const listOf = async (userId: string) => ({
    credentials: (await credentials.list(userId)).map((each) =>
      infoOf(each, credentialRemovals.isUsable(each)),
    ),
  });
  return [
    defineCommand("auth/credentials/list", authority, (_, { principal }) => listOf(principal.userId)),
    defineCommand("auth/credentials/remove", authority, async ({ id, credential_id }, session) => {
      await stepUps.require("credentials", session.principal);
      await answeredBeforeCut({ id, session, cause: "credential_removed" }, () =>
        authorityOf(session).credentialRemovals.remove(session.principal.userId, credential_id, {
          keepLast: true,
        }),
      );
      return null;
    }),
    defineCommand("gatehouse/credentials/list", authority, async ({ user_id }) => {
      if ((await users.current(user_id)) === undefined) throw new AuthError("not_found");
      return await listOf(user_id);
    }),
    defineCommand(
      "gatehouse/credentials/remove",
      authority,
      async ({ id, user_id, credential_id }, session) => {
        await requireOwnerForOwner(users, user_id, session);
        await requireStepUpForOneself(authority, user_id, session);
        await answeredBeforeCut({ id, session, cause: "credential_removed" }, () =>
          authorityOf(session).credentialRemovals.remove(user_id, credential_id, { keepLast: false }),
        );
        return null;
      },
    ),
  ];
}

function infoOf(credential: Credential, usable: boolean): CredentialInfo {
  const { id, providerType, providerId, subject, createdAt } = credential;
  return {
    credential_id: id,
    auth_provider_type: providerType,
    auth_provider_id: providerId,
    subject,
    created_at: new Date(createdAt).toISOString(),
    usable,
  };
}

import { commands } from "../../protocol/commands/index.ts";
import type { Authority } from "../auth/authority.ts";
import type { Actor } from "../auth/model.ts";
import type { Command, Dispatch } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import type { Presence } from "../presence/presence.ts";
import type { Topics } from "../topics/topics.ts";
import { administrationCommands } from "./administration.ts";
import { approvalCommands } from "./approvals.ts";
import { authCommands } from "./auth.ts";
import { clientCommands } from "./clients.ts";
import { configAuthCommands } from "./config-auth.ts";
import { localProviderCommands } from "./config-provider-local.ts";
import { credentialCommands } from "./credentials.ts";
import { deviceCommands } from "./devices.ts";
import { eventCommands } from "./events.ts";
import { factorCommands } from "./factors.ts";
import { groupCommands } from "./groups.ts";
import { passwordCommands } from "./passwords.ts";
import { permissionCommands } from "./permissions.ts";
import { presenceCommands } from "./presence.ts";
import { sessionCommands } from "./refresh-tokens.ts";
import { resourceCommands } from "./resources.ts";
import { revokeCommands } from "./revoke.ts";
import { stepUpCommands } from "./step-up.ts";
import { systemCommands } from "./system.ts";
import { throttleCommands } from "./throttles.ts";
import { topicCommands } from "./topics.ts";
import { createWholeLists, type WholeLists } from "./whole-lists.ts";

export type CommandAuthority = Pick<
  Authority,
  | "approvals"
  | "authentication"
  | "clients"
  | "devices"
  | "groups"
  | "sessions"
  | "stepUps"
  | "secondFactors"
  | "signedPaths"
  | "users"
  | "credentialRemovals"
  | "credentials"
  | "logins"
  | "localLogins"
  | "localLoginsOf"
  | "revocation"
  | "throttles"
  | "ownership"
  | "permissions"
  | "explainer"
  | "resources"
>;

export interface CommandParts {
  /** For reading. */
  readonly authority: CommandAuthority;
  /** For changes that the sender of a command asks for: the audit record names the sender. */
  readonly authorityOf: (session: SocketSession) => CommandAuthority;
  readonly wholeLists: WholeLists;
  readonly presence: Presence;
  readonly topics: Topics;
}

/** Every command of an authenticated client. `as` returns the domain as this actor uses it. */
export function createDispatch(
  authority: CommandAuthority & { readonly as?: (actor: Actor) => CommandAuthority },
  { presence, topics }: Pick<CommandParts, "presence" | "topics">,
): Dispatch {
  const parts: CommandParts = {
    authority,
    authorityOf: (session) => authority.as?.(actorOf(session)) ?? authority,
    wholeLists: createWholeLists(),
    presence,
    topics,
  };
  return dispatchOf([
    ...systemCommands(parts),
    ...eventCommands(parts),
    ...authCommands(parts),
    ...sessionCommands(parts),
    ...configAuthCommands(parts),
    ...localProviderCommands(parts),
    ...stepUpCommands(parts),
    ...credentialCommands(parts),
    ...factorCommands(parts),
    ...passwordCommands(parts),
    ...approvalCommands(parts),
    ...groupCommands(parts),
    ...permissionCommands(parts),
    ...resourceCommands(parts),
    ...revokeCommands(parts),
    ...administrationCommands(parts),
    ...throttleCommands(parts),
    ...clientCommands(parts),
    ...deviceCommands(parts),
    ...presenceCommands(parts),
    ...topicCommands(parts),
  ]);
}

function actorOf({ principal: { userId, sessionId }, peer: { address } }: SocketSession): Actor {
  return { via: "socket", userId, sessionId, address };
}

/** Throws `TypeError` if a command is there twice, is not in protocol/, or is in protocol/ and has no handler. */
export function dispatchOf(list: readonly Command[]): Dispatch {
  const byType = new Map<string, Command>();
  for (const command of list) {
    if (byType.has(command.type)) throw new TypeError(`command ${command.type} is there twice`);
    if (!Object.hasOwn(commands, command.type))
      throw new TypeError(`command ${command.type} is not in protocol/`);
    byType.set(command.type, command);
  }
  for (const [type, { guard }] of Object.entries(commands)) {
    if (guard !== "anyone" && !byType.has(type)) throw new TypeError(`command ${type} has no handler`);
  }
  return (type) => byType.get(type);
}

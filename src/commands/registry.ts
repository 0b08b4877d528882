import { commands } from "../../protocol/commands/index.ts";
import type { Authority } from "../auth/authority.ts";
import type { Command, Dispatch } from "../connection/command.ts";
import { authCommands } from "./auth.ts";
import { configAuthCommands } from "./config-auth.ts";
import { localProviderCommands } from "./config-provider-local.ts";
import { eventCommands } from "./events.ts";
import { sessionCommands } from "./refresh-tokens.ts";
import { revokeCommands } from "./revoke.ts";
import { systemCommands } from "./system.ts";
import { createWholeLists, type WholeLists } from "./whole-lists.ts";

export interface CommandParts {
  readonly authority: Pick<
    Authority,
    "authentication" | "sessions" | "signedPaths" | "users" | "credentials" | "localLogins" | "revocation"
  >;
  readonly wholeLists: WholeLists;
}

/** Every command that an authenticated client may send. */
export function createDispatch({ authority }: Pick<CommandParts, "authority">): Dispatch {
  const parts: CommandParts = { authority, wholeLists: createWholeLists() };
  return dispatchOf([
    ...systemCommands(parts),
    ...eventCommands(parts),
    ...authCommands(parts),
    ...sessionCommands(parts),
    ...configAuthCommands(parts),
    ...localProviderCommands(parts),
    ...revokeCommands(parts),
  ]);
}

/** Throws `TypeError` when a command is there twice, is not in protocol/, or is in protocol/ and has no handler. */
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

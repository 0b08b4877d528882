import type { UserInfo } from "../../protocol/commands/admin.ts";
import { AuthError } from "../auth/errors.ts";
import type { User } from "../auth/model.ts";
import type { UserPatch } from "../auth/users/users.ts";
import type { Command } from "../connection/command.ts";
import { defineCommand } from "./define.ts";
import { requireOwnerForOwner } from "./owner-guard.ts";
import type { CommandParts } from "./registry.ts";

/** Users whose credentials are read at once for the list. */
const readAtOnce = 32;

/** Home Assistant's `config/auth/*` (reference 4.4). */
export function configAuthCommands(parts: CommandParts): readonly Command[] {
  const { users } = parts.authority;
  return [
    defineCommand("config/auth/list", users, async () => {
      const all = await users.list();
      const infos: UserInfo[] = [];
      for (let at = 0; at < all.length; at += readAtOnce)
        infos.push(...(await Promise.all(all.slice(at, at + readAtOnce).map((user) => infoOf(parts, user)))));
      return infos;
    }),
    defineCommand("config/auth/create", users, async (message) => {
      const user = await users.create({
        name: message.name,
        ...(message.group_ids === undefined ? {} : { groupIds: message.group_ids }),
        ...(message.local_only === undefined ? {} : { localOnly: message.local_only }),
      });
      return { user: await infoOf(parts, user) };
    }),
    defineCommand("config/auth/update", users, async (message, session) => {
      // Deactivating the owner is refused to everybody, with Home Assistant's own words.
      if (message.is_active !== false) await requireOwnerForOwner(users, message.user_id, session);
      const user = await users.update(message.user_id, patchOf(message)).catch(userNotFound);
      return { user: await infoOf(parts, user) };
    }),
    defineCommand("config/auth/delete", users, async ({ user_id }, { principal }) => {
      if (user_id === principal.userId) throw new AuthError("no_delete_self");
      await users.remove(user_id).catch(userNotFound);
      return null;
    }),
  ];
}

function patchOf(message: {
  readonly name?: string;
  readonly is_active?: boolean;
  readonly group_ids?: readonly string[];
  readonly local_only?: boolean;
}): UserPatch {
  return {
    ...(message.name === undefined ? {} : { name: message.name }),
    ...(message.is_active === undefined ? {} : { isActive: message.is_active }),
    ...(message.group_ids === undefined ? {} : { groupIds: message.group_ids }),
    ...(message.local_only === undefined ? {} : { localOnly: message.local_only }),
  };
}

async function infoOf({ authority: { credentials } }: CommandParts, user: User): Promise<UserInfo> {
  const owned = await credentials.listOf(user.id);
  const local = owned.find(({ providerType }) => providerType === "homeassistant");
  return {
    id: user.id,
    username: local?.subject ?? null,
    name: user.name,
    is_owner: user.isOwner,
    is_active: user.isActive,
    local_only: user.localOnly,
    system_generated: user.systemGenerated,
    group_ids: [...user.groupIds],
    credentials: owned.map(({ providerType }) => ({ type: providerType })),
  };
}

/** Home Assistant's text for a user who is not there. */
export function userNotFound(error: unknown): never {
  if (error instanceof AuthError && (error.code === "not_found" || error.code === "user_not_found"))
    throw new AuthError("not_found", { publicMessage: "User not found" });
  throw error;
}

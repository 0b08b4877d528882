import type { UserInfo } from "../../protocol/commands/admin.ts";
import { AuthError } from "../auth/errors.ts";
import type { Credential, PageRequest, User } from "../auth/model.ts";
import { isActive } from "../auth/users/account-status.ts";
import type { UserPatch } from "../auth/users/users.ts";
import type { Command } from "../connection/command.ts";
import { limitsOf } from "./delegates.ts";
import { defineCommand } from "./guarded-command.ts";
import { pageRequestOf } from "./page-request.ts";
import type { CommandParts } from "./registry.ts";
import { requireStepUpForChange, requireStepUpForGroups, withStepUpForChange } from "./step-up-for-rights.ts";
import { requireApproverForPending, requireOwnerForOwner } from "./who-may-decide.ts";

/** Users that are read at once, each with its credentials. */
const usersAtOnce = 50;

/** Home Assistant's `config/auth/*`, and the list of users in pages. */
export function configAuthCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { users } = authority;
  return [
    defineCommand("config/auth/list", authority, (_, session, passGuard) =>
      parts.wholeLists.run(session, async () => {
        await passGuard();
        return await everybody(parts);
      }),
    ),
    defineCommand("gatehouse/users/list", authority, (message) => pageOfInfos(parts, pageRequestOf(message))),
    defineCommand("config/auth/create", authority, async (message, session) => {
      const { name, group_ids: groupIds = [], local_only: localOnly = false } = message;
      await requireStepUpForGroups(authority, groupIds, session);
      const { permitUserChange: permit } = await limitsOf(authority, session, "config/auth/create");
      const user = await parts.authorityOf(session).users.create({ name, groupIds, localOnly, permit });
      return { user: await infoOf(parts, user) };
    }),
    defineCommand("config/auth/update", authority, async (message, session) => {
      // `users.update` refuses to deactivate the owner, for everybody, with Home Assistant's text.
      if (message.is_active !== false) await requireOwnerForOwner(users, message.user_id, session);
      await requireApproverForPending(parts.authority, message.user_id, session);
      const patch = patchOf(message);
      await requireStepUpForChange(authority, await users.current(message.user_id), patch, session);
      const { permitUserChange } = await limitsOf(authority, session, "config/auth/update");
      const audited = parts.authorityOf(session).users;
      const permit = withStepUpForChange(authority, patch, session, permitUserChange);
      const changed = audited.update(message.user_id, patch, permit);
      const user = await changed.catch(userNotFound);
      return { user: await infoOf(parts, user) };
    }),
    defineCommand("config/auth/delete", authority, async ({ user_id }, session) => {
      if (user_id === session.principal.userId) throw new AuthError("no_delete_self");
      await requireApproverForPending(parts.authority, user_id, session);
      const { permitUserChange } = await limitsOf(authority, session, "config/auth/delete");
      await parts.authorityOf(session).users.remove(user_id, permitUserChange).catch(userNotFound);
      return null;
    }),
  ];
}

/** Oldest first. */
async function everybody(parts: CommandParts): Promise<UserInfo[]> {
  const found: { readonly createdAt: number; readonly info: UserInfo }[] = [];
  let after: string | undefined;
  do {
    const { users, next } = await parts.authority.users.page({ after, limit: usersAtOnce });
    const infos = await infosOf(parts, users);
    for (const [place, info] of infos.entries())
      found.push({ createdAt: users[place]?.createdAt ?? 0, info });
    after = next;
  } while (after !== undefined);
  found.sort((a, b) => a.createdAt - b.createdAt || (a.info.id < b.info.id ? -1 : 1));
  return found.map(({ info }) => info);
}

async function pageOfInfos(parts: CommandParts, { after, limit }: PageRequest) {
  const users: UserInfo[] = [];
  let next = after;
  for (let left = limit; left > 0; left -= usersAtOnce) {
    const page = await parts.authority.users.page({ after: next, limit: Math.min(left, usersAtOnce) });
    users.push(...(await infosOf(parts, page.users)));
    next = page.next;
    if (next === undefined) break;
  }
  return { users, cursor: next ?? null };
}

function patchOf(message: {
  readonly name?: string;
  readonly is_active?: boolean;
  readonly group_ids?: readonly string[];
  readonly local_only?: boolean;
}): UserPatch {
  return {
    name: message.name,
    isActive: message.is_active,
    groupIds: message.group_ids,
    localOnly: message.local_only,
  };
}

export async function infoOf({ authority: { credentials } }: CommandParts, user: User): Promise<UserInfo> {
  return infoWith(user, await credentials.list(user.id));
}

async function infosOf(
  { authority: { credentials } }: CommandParts,
  users: readonly User[],
): Promise<readonly UserInfo[]> {
  const owned = await credentials.listForUsers(users.map(({ id }) => id));
  return users.map((user, place) => infoWith(user, owned[place] ?? []));
}

function infoWith(user: User, owned: readonly Credential[]): UserInfo {
  const local = owned.find(({ providerType }) => providerType === "homeassistant");
  return {
    id: user.id,
    username: local?.subject ?? null,
    name: user.name,
    is_owner: user.isOwner,
    is_active: isActive(user),
    state: user.state,
    local_only: user.localOnly,
    system_generated: user.systemGenerated,
    group_ids: [...user.groupIds],
    credentials: owned.map(({ providerType }) => ({ type: providerType })),
  };
}

/** Home Assistant's text for a user that does not exist. */
export function userNotFound(error: unknown): never {
  if (error instanceof AuthError && (error.code === "not_found" || error.code === "user_not_found"))
    throw new AuthError("not_found", { publicMessage: "User not found" });
  throw error;
}

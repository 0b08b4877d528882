import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import { systemGroups, type User } from "../auth/model.ts";
import { isAdmin } from "../auth/users/users.ts";
import { type Output, table, UsageError } from "./output.ts";

/** Finds a user by login name at the local provider, or by id. */
export async function findUser(authority: Authority, nameOrId: string): Promise<User> {
  const userId = await authority.localLogins.userIdOf(nameOrId);
  const user = await authority.users.read(userId ?? nameOrId);
  if (user === undefined) throw new AuthError("user_not_found");
  return user.user;
}

export interface AddUser {
  readonly name: string;
  readonly username: string;
  readonly password: string;
  readonly owner: boolean;
  readonly admin: boolean;
}

/** Adds a user with a login. The first owner can be made here too: whoever has the machine needs no set-up code. */
export async function addUser(authority: Authority, request: AddUser, output: Output): Promise<void> {
  if (!isName(request.name)) throw new UsageError("a name has 1 to 128 characters");
  const user = request.owner ? await addOwner(authority, request) : await addOrdinary(authority, request);
  output.result(await describe(authority, user), `added ${request.username} (${user.id})`);
}

function isName(name: string): boolean {
  return name.trim() !== "" && name.length <= 128;
}

async function addOwner(authority: Authority, request: AddUser): Promise<User> {
  const setupCode = await authority.onboarding.setupCode();
  const { name, username, password } = request;
  return await authority.onboarding.createOwner({ setupCode, name, username, password });
}

async function addOrdinary(authority: Authority, request: AddUser): Promise<User> {
  const groupIds = [request.admin ? systemGroups.admin : systemGroups.users];
  return await authority.localLogins.createUser({ ...request, groupIds });
}

export async function listUsers(authority: Authority, output: Output): Promise<void> {
  const users = await Promise.all((await authority.users.list()).map((user) => describe(authority, user)));
  const rows = users.map((user) => [
    user.id,
    user.username ?? "-",
    user.name ?? "-",
    user.is_owner ? "owner" : user.is_admin ? "admin" : "user",
    user.is_active ? "active" : "inactive",
  ]);
  output.result(users, table(["ID", "USERNAME", "NAME", "ROLE", "STATE"], rows));
}

export async function setActive(
  authority: Authority,
  nameOrId: string,
  isActive: boolean,
  output: Output,
): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const updated = await authority.users.update(user.id, { isActive });
  output.result(await describe(authority, updated), `${nameOrId} is ${isActive ? "active" : "inactive"}`);
}

export async function removeUser(authority: Authority, nameOrId: string, output: Output): Promise<void> {
  const user = await findUser(authority, nameOrId);
  await authority.users.remove(user.id);
  output.result({ id: user.id, removed: true }, `removed ${nameOrId}`);
}

/** Sets a password; every session of the user ends. */
export async function setPassword(
  authority: Authority,
  nameOrId: string,
  password: string,
  output: Output,
): Promise<void> {
  const user = await findUser(authority, nameOrId);
  await authority.localLogins.setPassword(user.id, password);
  output.result(
    { id: user.id, password_changed: true },
    `password of ${nameOrId} changed; all sessions ended`,
  );
}

async function describe(authority: Authority, user: User) {
  return {
    id: user.id,
    username: await authority.localLogins.usernameOf(user.id),
    name: user.name,
    is_owner: user.isOwner,
    is_admin: isAdmin(user),
    is_active: user.isActive,
    local_only: user.localOnly,
    group_ids: user.groupIds,
  };
}

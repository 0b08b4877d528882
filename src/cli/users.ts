import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import { systemGroups, type User } from "../auth/model.ts";
import { normaliseLoginName } from "../auth/providers/homeassistant/login-name.ts";
import { isActive, isPending } from "../auth/users/account-status.ts";
import { isAdmin } from "../auth/users/users.ts";
import { groupIdsOf, groupNamesOf } from "./group-names.ts";
import { type Output, table, timeText, UsageError } from "./output.ts";
import { oneLine } from "./terminal-text.ts";

/**
 * Finds a user by login name at the local provider, in any spelling, or by id. If there is none, by the name of a system
 * user or a display name. Throws `user_not_found`, and `UsageError` if it could be several users.
 */
export async function findUser(authority: Authority, nameOrId: string): Promise<User> {
  const namedId = await authority.localLogins.userIdOf(nameOrId);
  const [named, numbered] = await Promise.all(
    [namedId, nameOrId].map(async (id) => (id === undefined ? undefined : await authority.users.read(id))),
  );
  if (named !== undefined && numbered !== undefined && named.user.id !== numbered.user.id)
    throw new UsageError(
      `${nameOrId} is the login name of user ${named.user.id} and the id of another: give the first one's id, or the other's login name`,
    );
  return (named ?? numbered)?.user ?? (await findByName(authority, nameOrId));
}

/** Whoever waits for approval has no name here: strangers choose theirs. */
async function findByName({ users }: Authority, spelled: string): Promise<User> {
  const found = (await users.list()).filter((user) => user.name === spelled && !isPending(user));
  const [user, ...more] = found;
  if (user === undefined)
    throw new AuthError("user_not_found", {
      publicMessage: "User not found: give a login name, a name, or an id from `gatehouse users list`",
    });
  if (more.length > 0)
    throw new UsageError(
      `several users have the name ${spelled}. Give an id: ${found.map(({ id }) => id).join(", ")}`,
    );
  return user;
}

export interface AddUser {
  readonly name: string;
  readonly username: string;
  readonly password: string;
  readonly owner: boolean;
  /** As spelled on the command line. None: the default. */
  readonly groups: readonly string[];
}

/**
 * Adds a user with a login. It can also create the first owner: access to the machine is enough, without a set-up code.
 */
export async function addUser(authority: Authority, request: AddUser, output: Output): Promise<void> {
  requireName(request.name);
  const username = normaliseLoginName(request.username);
  const named = { ...request, username };
  const user = request.owner ? await addOwner(authority, named) : await addOrdinary(authority, named);
  output.result(
    await describe(authority, user),
    `added ${username} (${user.id}), ${await groupsText(authority, user)}`,
  );
}

function requireName(name: string): void {
  if (name.trim() === "" || name.length > 128) throw new UsageError("a name has 1 to 128 characters");
}

const newUserGroups: readonly string[] = [systemGroups.users];

async function groupsText(authority: Authority, { groupIds }: User): Promise<string> {
  return `groups: ${(await groupNamesOf(authority, groupIds)).map(oneLine).join(", ") || "none"}`;
}

const ownerExists = "there is an owner already: see `gatehouse users make-owner`";

async function addOwner(authority: Authority, request: AddUser): Promise<User> {
  const { name, username, password } = request;
  try {
    const setupCode = await authority.onboarding.setupCode();
    return await authority.onboarding.createOwner({ setupCode, name, username, password });
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== "onboarding_done") throw error;
    throw new AuthError("onboarding_done", { detail: ownerExists });
  }
}

async function addOrdinary(authority: Authority, request: AddUser): Promise<User> {
  const groupIds = request.groups.length === 0 ? newUserGroups : await groupIdsOf(authority, request.groups);
  return await authority.localLogins.createUser({ ...request, groupIds });
}

export async function listUsers(authority: Authority, output: Output): Promise<void> {
  const users = await Promise.all((await authority.users.list()).map((user) => describe(authority, user)));
  const rows = users.map((user) => [
    user.id,
    user.username ?? "-",
    user.name ?? "-",
    user.system_generated ? "system" : user.is_owner ? "owner" : user.is_admin ? "admin" : "user",
    user.state,
  ]);
  output.result(users, table(["ID", "USERNAME", "NAME", "ROLE", "STATE"], rows));
}

export async function setActive(
  authority: Authority,
  nameOrId: string,
  active: boolean,
  output: Output,
): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const updated = await authority.users.update(user.id, { state: active ? "active" : "deactivated" });
  output.result(await describe(authority, updated), `${nameOrId} is ${active ? "active" : "inactive"}`);
}

/** Asks for confirmation before anything is done, unless `confirmed`. */
export async function removeUser(
  authority: Authority,
  nameOrId: string,
  confirmed: (question: string) => Promise<boolean>,
  output: Output,
): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const who = oneLine(`${user.name ?? nameOrId} (${user.id})`);
  if (!(await confirmed(`Remove ${who} with all logins and sessions?`))) {
    output.result({ id: user.id, removed: false }, `${nameOrId} was not removed`);
    return;
  }
  await authority.users.remove(user.id);
  output.result({ id: user.id, removed: true }, `removed ${nameOrId}`);
}

/** Makes the user the owner. Asks for confirmation as `removeUser` does. */
export async function transferOwnership(
  authority: Authority,
  nameOrId: string,
  confirmed: (question: string) => Promise<boolean>,
  output: Output,
): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const who = oneLine(`${user.name ?? nameOrId} (${user.id})`);
  if (!(await confirmed(`Make ${who} the owner, instead of the present one?`))) {
    output.result(await describe(authority, user), "the owner stays");
    return;
  }
  const owner = await authority.ownership.transfer(user.id, null);
  output.result(await describe(authority, owner), `${nameOrId} is the owner`);
}

/** Sets a password. This ends every session of the user. */
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

/** Makes a code with which the user sets a new password. It is good for the owner too. */
export async function createResetCode(authority: Authority, nameOrId: string, output: Output): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const { code, expiresAt } = await authority.localLogins.createResetCode(user.id, true);
  output.result(
    { id: user.id, code, expires_at: timeText(expiresAt) },
    `${code}\n\n${oneLine(nameOrId)} enters it as the password, once, until ${timeText(expiresAt)}, and then chooses a new one`,
  );
}

export async function cancelResetCode(authority: Authority, nameOrId: string, output: Output): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const cancelled = await authority.localLogins.cancelResetCode(user.id);
  const text = cancelled ? "the reset code is worth nothing any more" : "there was no reset code";
  output.result({ id: user.id, cancelled }, `${oneLine(nameOrId)}: ${text}`);
}

/** The user keeps their other groups. The owner stays an administrator in any group. Throws `UsageError` for them. */
export async function promote(authority: Authority, nameOrId: string, output: Output): Promise<void> {
  await setGroups(authority, nameOrId, output, (before) => [
    systemGroups.admin,
    ...before.filter((id) => id !== systemGroups.admin),
  ]);
}

/**
 * Takes the administrators' group away, and nothing else, so it never gives what the user did not have as well. Who was in
 * no other group becomes a member of `system-users`. `readOnly`: a member of `system-read-only`, instead of the other
 * groups of the system. Throws as `promote`.
 */
export async function demote(
  authority: Authority,
  nameOrId: string,
  readOnly: boolean,
  output: Output,
): Promise<void> {
  const ofSystem: readonly string[] = Object.values(systemGroups);
  await setGroups(authority, nameOrId, output, (before) => {
    if (readOnly) return [systemGroups.readOnly, ...before.filter((id) => !ofSystem.includes(id))];
    const others = before.filter((id) => id !== systemGroups.admin);
    return others.length === 0 && before.length > 0 ? newUserGroups : others;
  });
}

async function setGroups(
  authority: Authority,
  nameOrId: string,
  output: Output,
  change: (before: readonly string[]) => readonly string[],
): Promise<void> {
  const user = await findUser(authority, nameOrId);
  if (user.isOwner) throw new UsageError("the owner has all rights, in any group");
  const updated = await authority.users.update(user.id, { groupIds: change(user.groupIds) });
  output.result(
    await describe(authority, updated),
    `${oneLine(nameOrId)}: ${await groupsText(authority, updated)}`,
  );
}

/** Changes the display name, the login name, or both. Throws `UsageError` if neither is given. */
export async function renameUser(
  authority: Authority,
  nameOrId: string,
  names: { readonly name?: string; readonly username?: string },
  output: Output,
): Promise<void> {
  const { name, username } = names;
  if (name === undefined && username === undefined) throw new UsageError("give --name, --username or both");
  if (name !== undefined) requireName(name);
  let user = await findUser(authority, nameOrId);
  // Change the login name first: if it is taken, nothing has changed.
  if (username !== undefined)
    await authority.localLogins.changeUsername(user.id, normaliseLoginName(username));
  if (name !== undefined) user = await authority.users.update(user.id, { name });
  const described = await describe(authority, user);
  output.result(described, `${nameOrId} is ${described.username ?? "without a login"}, ${described.name}`);
}

export async function setLocalOnly(
  authority: Authority,
  nameOrId: string,
  localOnly: boolean,
  output: Output,
): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const updated = await authority.users.update(user.id, { localOnly });
  const text = localOnly ? "may log in from local addresses only" : "may log in from everywhere";
  output.result(await describe(authority, updated), `${nameOrId} ${text}`);
}

export async function addLogin(
  authority: Authority,
  nameOrId: string,
  login: { readonly username: string; readonly password: string },
  output: Output,
): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const username = normaliseLoginName(login.username);
  await authority.localLogins.create(user.id, username, login.password);
  output.result(await describe(authority, user), `${nameOrId} logs in as ${username}`);
}

/**
 * Ends the sessions of that login. The user and the long-lived tokens stay. Throws `credentials_not_found`,
 * `last_credential`.
 */
export async function removeLogin(authority: Authority, nameOrId: string, output: Output): Promise<void> {
  const user = await findUser(authority, nameOrId);
  const username = await authority.localLogins.usernameOf(user.id);
  if (username === null) throw new AuthError("credentials_not_found");
  // By its name at this provider: another credential of the user may have the same subject.
  await authority.credentialRemovals.removeLocal(username);
  output.result(await describe(authority, user), `removed the login ${username}; its sessions ended`);
}

async function describe(authority: Authority, user: User) {
  return {
    id: user.id,
    username: await authority.localLogins.usernameOf(user.id),
    name: user.name,
    is_owner: user.isOwner,
    is_admin: isAdmin(user),
    is_active: isActive(user),
    state: user.state,
    system_generated: user.systemGenerated,
    local_only: user.localOnly,
    group_ids: user.groupIds,
  };
}

import { AuthError } from "../../errors.ts";
import type { User } from "../../model.ts";
import { listParameters } from "../../passwords/parameters-in-use.ts";
import { checkPasswordIsNotName } from "../../passwords/password-rules.ts";
import { requireGroups } from "../../permissions/known-groups.ts";
import { providerKey, recordKeys } from "../../record-keys.ts";
import type { RecordKey, Step } from "../../store.ts";
import { mergeSteps } from "../../store.ts";
import { newCredential } from "../../users/credentials.ts";
import { createUserStep } from "../../users/user-changes.ts";
import { newUser } from "../../users/users.ts";
import type { NewUserWithLogin } from "./local-logins.ts";
import { checkLoginName } from "./login-name.ts";
import { localLoginKey, localLoginPut, localType } from "./login-record.ts";
import { isLoginOf, type LocalLoginTools } from "./own-login.ts";

/** See `LocalLogins.prepareLogin`. Everything that can be refused without hashing is refused first. */
export async function prepareLogin(
  tools: LocalLoginTools,
  userId: string,
  username: string,
  password: string,
): Promise<Step> {
  const { passwords, credentials, clock, providerId } = tools;
  checkLoginName(username);
  await passwords.check(password);
  checkPasswordIsNotName(password, username);
  const version = await freeVersion(tools, username);
  const verifier = await passwords.enrol(password, `user:${userId}`);
  await listParameters(tools.store, passwords.parameters);
  const credential = newCredential(clock, [localType, providerId], username, userId);
  const credentialId = credential.id;
  const login = {
    providerId,
    username,
    credentialId,
    verifier,
    changedAt: credential.createdAt,
    closed: false,
  };
  return mergeSteps(credentials.linkStep(credential), {
    check: [{ key: localLoginKey(providerId, username), version }],
    put: localLoginPut(login),
  });
}

/**
 * The version of a free name's record. A login without a credential authenticates nobody and belongs to nobody, so
 * its name is free. Throws `username_already_exists`.
 */
export async function freeVersion(
  { store, credentials, providerId }: LocalLoginTools,
  username: string,
): Promise<number> {
  const [record] = await store.get([localLoginKey(providerId, username)]);
  const linked = await credentials.find(localType, providerId, username);
  if (linked !== undefined) throw new AuthError("username_already_exists");
  return record?.version ?? 0;
}

/** The error for a commit with `prepareLogin`'s step that failed; `conflict` if none of its checks failed. */
export function loginConflict(
  { providerId }: Pick<LocalLoginTools, "providerId">,
  conflict: RecordKey,
  userId: string,
  username: string,
): AuthError {
  const provider = providerKey(localType, providerId);
  const claims: readonly RecordKey[] = [
    localLoginKey(providerId, username),
    recordKeys.credentialOf(provider, username),
  ];
  if (claims.includes(conflict)) return new AuthError("username_already_exists");
  if (conflict === recordKeys.credentialSlot(userId, provider)) return new AuthError("credential_exists");
  return new AuthError("conflict", { detail: `login: ${conflict} changed` });
}

/** Creates a user and a login in one commit, so a refused name or password leaves no user behind. */
export async function createUserWithLogin(tools: LocalLoginTools, request: NewUserWithLogin): Promise<User> {
  const { groups, clock, revocation } = tools;
  const { name, username, password, groupIds, localOnly = false } = request;
  await requireGroups(groups, groupIds);
  const user = newUser({ name, groupIds, localOnly, createdAt: clock.now() });
  const login = await prepareLogin(tools, user.id, username, password);
  const outcome = await revocation.commit(mergeSteps(createUserStep(user), login));
  if (!outcome.ok) throw loginConflict(tools, outcome.conflict, user.id, username);
  return user;
}

/** Adds a login to an existing user. The commit checks that the user still exists. */
export async function createLogin(
  tools: LocalLoginTools,
  userId: string,
  username: string,
  password: string,
): Promise<void> {
  const found = await tools.users.read(userId);
  if (found === undefined) throw new AuthError("user_not_found");
  if (found.user.systemGenerated) throw new AuthError("system_generated");
  const owned = await tools.credentials.list(userId);
  if (owned.some(isLoginOf(tools.providerId))) throw new AuthError("credential_exists");
  const step = await prepareLogin(tools, userId, username, password);
  const stillThere: Step = { check: [{ key: recordKeys.user(userId), version: found.version }] };
  const outcome = await tools.store.commit(mergeSteps(step, stillThere));
  if (!outcome.ok) throw loginConflict(tools, outcome.conflict, userId, username);
}

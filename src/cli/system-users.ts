import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import type { User } from "../auth/model.ts";
import type { SystemToken } from "../auth/users/system-users.ts";
import { groupIdsOf, groupNamesOf } from "./group-names.ts";
import { type Output, table, timeText, UsageError } from "./output.ts";
import { policyIn } from "./sessions.ts";
import { oneLine } from "./terminal-text.ts";
import { writeTokenFile } from "./token-file.ts";

export interface AddSystemUser {
  readonly name: string;
  /** As spelled on the command line. */
  readonly groups: readonly string[];
  readonly localOnly: boolean;
  readonly file: string;
  readonly policyFile: string | undefined;
}

/** Adds a system user, and writes its token into a new file. The token is printed nowhere. */
export async function addSystemUser(
  authority: Authority,
  request: AddSystemUser,
  output: Output,
): Promise<void> {
  const { name, localOnly, file, policyFile } = request;
  if (name.trim() === "" || name.length > 128) throw new UsageError("a name has 1 to 128 characters");
  const named = (await systemUsers(authority)).some((user) => user.name === name);
  if (named) throw new UsageError(`there is a system user ${name}`);
  const groupIds = await groupIdsOf(authority, request.groups);
  const policy = await policyIn(policyFile);
  const create = () => authority.systemUsers.create({ name, groupIds, localOnly, policy });
  const made = await writeTokenFile(file, create, {
    textOf: ({ refreshToken }) => refreshToken,
    undo: ({ user }) => authority.users.remove(user.id),
  });
  const groups = await groupNamesOf(authority, groupIds);
  output.result(
    describe(made, file),
    `added ${name} (${made.user.id}); groups: ${groups.map(oneLine).join(", ") || "none"}; its token is in ${file}`,
  );
}

/** Writes another token of a system user into a new file. */
export async function issueSystemToken(
  authority: Authority,
  request: {
    readonly user: string;
    readonly file: string;
    readonly revokeOld: boolean;
    readonly policyFile: string | undefined;
  },
  output: Output,
): Promise<void> {
  const user = await findSystemUser(authority, request.user);
  const revoke = async (sessionIds: readonly string[]) =>
    void (await authority.revocation.revoke(
      { kind: "sessions", userId: user.id, sessionIds },
      "session_revoked",
    ));
  const before = request.revokeOld ? (await authority.sessions.list(user.id)).map(({ id }) => id) : [];
  const policy = await policyIn(request.policyFile);
  const issue = () => authority.systemUsers.issueToken(user.id, policy);
  const made = await writeTokenFile(request.file, issue, {
    textOf: ({ refreshToken }) => refreshToken,
    undo: ({ session }) => revoke([session.id]),
  });
  if (before.length > 0) await revoke(before);
  const old = request.revokeOld ? `; tokens that ended: ${before.length}` : "";
  output.result(describe(made, request.file), `the token of ${request.user} is in ${request.file}${old}`);
}

export async function listSystemUsers(authority: Authority, output: Output): Promise<void> {
  const listed = await Promise.all(
    (await systemUsers(authority)).map(async (user) => ({
      user,
      sessions: await authority.sessions.list(user.id),
    })),
  );
  const value = listed.map(({ user, sessions }) => ({
    id: user.id,
    name: user.name,
    state: user.state,
    local_only: user.localOnly,
    group_ids: user.groupIds,
    tokens: sessions.map(({ id, createdAt, lastUsedAt }) => ({
      session_id: id,
      created_at: timeText(createdAt),
      last_used_at: lastUsedAt === null ? null : timeText(lastUsedAt),
    })),
  }));
  const rows = listed.map(({ user, sessions }) => [
    user.id,
    user.name ?? "-",
    user.groupIds.join(" ") || "-",
    String(sessions.length),
    timeText(sessions.length === 0 ? null : Math.max(...sessions.map(({ lastUsedAt }) => lastUsedAt ?? 0))),
  ]);
  output.result(value, table(["ID", "NAME", "GROUPS", "TOKENS", "LAST USED"], rows));
}

/** Ends its tokens and closes its sockets. */
export async function removeSystemUser(
  authority: Authority,
  nameOrId: string,
  output: Output,
): Promise<void> {
  const user = await findSystemUser(authority, nameOrId);
  await authority.users.remove(user.id);
  output.result({ id: user.id, removed: true }, `removed ${oneLine(nameOrId)}; its tokens ended`);
}

async function systemUsers(authority: Authority): Promise<readonly User[]> {
  return (await authority.users.list()).filter(({ systemGenerated }) => systemGenerated);
}

async function findSystemUser(authority: Authority, nameOrId: string): Promise<User> {
  const found = (await systemUsers(authority)).filter(({ id, name }) => id === nameOrId || name === nameOrId);
  const [user, ...more] = found;
  if (user === undefined)
    throw new AuthError("user_not_found", { publicMessage: "There is no such system user" });
  if (more.length > 0) throw new UsageError(`several system users have the name ${nameOrId}: give an id`);
  return user;
}

function describe({ user, session }: SystemToken, file: string) {
  return { id: user.id, name: user.name, group_ids: user.groupIds, session_id: session.id, token_file: file };
}

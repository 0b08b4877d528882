import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import { systemGroups } from "../auth/model.ts";
import {
  allEntries,
  type ImportProblem,
  type UserToImport,
} from "../auth/providers/homeassistant/import-users.ts";
import { groupIdsOf } from "./group-names.ts";
import type { ReadUsers } from "./import/import-file.ts";
import { type Output, table, timeText, UsageError } from "./output.ts";
import { oneLine } from "./terminal-text.ts";
import { findUser } from "./users.ts";

export interface ImportRequest {
  /** As spelled on the command line: of users for whom the file names none. None: the default. */
  readonly groups: readonly string[];
  readonly dryRun: boolean;
  /** Users who are here already are left out, and listed. */
  readonly skipExisting: boolean;
}

/** Imports what was read, or nothing. Throws `UsageError` with everything that is wrong. */
export async function importUsers(
  authority: Authority,
  read: ReadUsers,
  { groups, dryRun, skipExisting }: ImportRequest,
  output: Output,
): Promise<void> {
  const otherwise = groups.length === 0 ? [systemGroups.users] : await groupIdsOf(authority, groups);
  const isOwned = !(await authority.onboarding.required());
  const skipped: ImportProblem[] = [...read.skipped];
  const users: UserToImport[] = [];
  const problems: ImportProblem[] = [...read.problems];
  for (const user of read.users) {
    if (user.isOwner === true && isOwned)
      skipped.push({ entry: user.entry, problem: "is not the owner here: see `gatehouse users make-owner`" });
    const isOwner = user.isOwner === true && !isOwned;
    const groupIds = user.groupIds.length === 0 ? otherwise : await spelledGroups(authority, user.groupIds);
    users.push({ ...user, isOwner, groupIds });
  }
  const options = { dryRun: dryRun || problems.length > 0, skipExisting };
  const outcome = await authority.localLogins.importUsers(users, options);
  problems.push(...outcome.problems);
  skipped.push(...outcome.skipped);
  const importable = users.length - outcome.skipped.length;
  if (problems.length > 0) throw new UsageError(refusal(problems));
  output.result(
    { imported: dryRun ? 0 : importable, importable, dry_run: dryRun, skipped },
    [...skipped.map((each) => `note: ${lineOf(each)}`), summary(importable, dryRun)].join("\n"),
  );
}

/** More lines than anybody reads at a time. */
const mostLines = 50;

/** Costs are retired at a start of a gateway, and with the last imported hash. */
const inParts =
  "Import people with some of the costs first, and the others when those have logged in (see `gatehouse users imported`) " +
  "or their hashes are removed (`gatehouse users imported --remove`). A cost of which no hash is left counts until a " +
  "gateway has started again and has read all passwords, some minutes later, or until no imported hash is left at all";

function refusal(problems: readonly ImportProblem[]): string {
  const more = problems.length - mostLines;
  const listed = problems.slice(0, mostLines);
  const isTooCostly = listed.some(({ entry }) => entry === allEntries);
  return [
    "nothing was imported",
    ...listed.map(lineOf),
    ...(more > 0 ? [`and ${more} more`] : []),
    ...(isTooCostly ? [inParts] : []),
  ].join("\n");
}

function summary(count: number, dryRun: boolean): string {
  return dryRun
    ? `${people(count)} can be imported; nothing was written`
    : `imported ${people(count)}. A password stays a hash of the other program until its first login by form: see \`gatehouse users imported\``;
}

function people(count: number): string {
  return count === 1 ? "1 user" : `${count} users`;
}

function lineOf({ entry, problem }: ImportProblem): string {
  return `${oneLine(entry)}: ${oneLine(problem)}`;
}

/** Names of groups become ids. What is no group stays, and is refused with the entry's other problems. */
async function spelledGroups(authority: Authority, spelled: readonly string[]): Promise<readonly string[]> {
  return await Promise.all(
    spelled.map(async (each) => {
      const [id] = await groupIdsOf(authority, [each]).catch(() => []);
      return id ?? each;
    }),
  );
}

export async function listImported(authority: Authority, output: Output): Promise<void> {
  const found = await authority.localLogins.listImported();
  const rows = found.map(({ userId, username, cost, importedAt }) => [
    userId,
    username,
    cost,
    timeText(importedAt),
  ]);
  const listed = found.map(({ userId, providerId, username, cost, importedAt }) => ({
    user_id: userId,
    provider_id: providerId,
    username,
    cost,
    imported_at: timeText(importedAt),
  }));
  output.result(
    listed,
    found.length === 0
      ? "no password is an imported hash"
      : table(["USER ID", "USERNAME", "HASH", "IMPORTED"], rows),
  );
}

/**
 * Removes imported hashes: of one user, or of all that are left. Throws `credentials_not_found` for one user who has
 * none.
 */
export async function dropImported(
  authority: Authority,
  nameOrId: string | undefined,
  output: Output,
): Promise<void> {
  const userIds =
    nameOrId === undefined
      ? (await authority.localLogins.listImported()).map(({ userId }) => userId)
      : [(await findUser(authority, nameOrId)).id];
  let dropped = 0;
  for (const userId of userIds) if (await dropIfAny(authority, userId)) dropped += 1;
  if (nameOrId !== undefined && dropped === 0)
    throw new AuthError("credentials_not_found", {
      detail: `${oneLine(nameOrId)} has no imported hash: see \`gatehouse users imported\``,
    });
  output.result(
    { removed: dropped },
    `removed ${dropped} imported ${dropped === 1 ? "hash; this user needs" : "hashes; these users need"} a new password`,
  );
}

/** False also for a user who has no login here. */
async function dropIfAny({ localLogins }: Authority, userId: string): Promise<boolean> {
  return await localLogins.dropImported(userId).catch((error: unknown) => {
    if (error instanceof AuthError && error.code === "credentials_not_found") return false;
    throw error;
  });
}

import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import { systemGroups } from "../auth/model.ts";
import {
  allEntries,
  type ImportProblem,
  type UserToImport,
} from "../auth/providers/homeassistant/import-users.ts";
import type { ImportedLogin } from "../auth/providers/homeassistant/imported-logins.ts";
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
  const notOwners: ImportProblem[] = [];
  const users: UserToImport[] = [];
  const problems: ImportProblem[] = [...read.problems];
  for (const user of read.users) {
    if (user.isOwner === true && isOwned)
      notOwners.push({
        entry: user.entry,
        problem: "is not the owner here: see `gatehouse users make-owner`",
      });
    const isOwner = user.isOwner === true && !isOwned;
    const groupIds = user.groupIds.length === 0 ? otherwise : await spelledGroups(authority, user.groupIds);
    users.push({ ...user, isOwner, groupIds });
  }
  const options = { dryRun: dryRun || problems.length > 0, skipExisting };
  const outcome = await authority.localLogins.importUsers(users, options);
  problems.push(...outcome.problems);
  problems.sort((one, other) => placeOf(one) - placeOf(other));
  const isSkipped = ({ entry }: ImportProblem) => outcome.skipped.some((each) => each.entry === entry);
  skipped.push(...notOwners.filter((each) => !isSkipped(each)), ...outcome.skipped);
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

/** Of the entry in a file of lines or a list. The entries of Home Assistant's files have names, and stay as they are. */
function placeOf({ entry }: ImportProblem): number {
  return Number(/^(?:line|entry) (\d+)$/.exec(entry)?.[1] ?? 0);
}

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

/** `provider`: the id of one; those of every provider by default. */
export async function listImported(
  authority: Authority,
  provider: string | undefined,
  output: Output,
): Promise<void> {
  const found = await importedAt(authority, provider);
  const rows = found.map(({ userId, providerId, username, cost, importedAt }) => [
    userId,
    providerId ?? "-",
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
      : table(["USER ID", "PROVIDER", "USERNAME", "HASH", "IMPORTED"], rows),
  );
}

async function importedAt({ localLogins }: Authority, provider: string | undefined) {
  const all = await localLogins.listImported();
  return provider === undefined ? all : all.filter(({ providerId }) => providerId === provider);
}

/**
 * Removes imported hashes, of one provider or of all: those of one user, or all that are left. Throws
 * `credentials_not_found` for one user who has none.
 */
export async function dropImported(
  authority: Authority,
  { user: nameOrId, provider }: { readonly user: string | undefined; readonly provider: string | undefined },
  output: Output,
): Promise<void> {
  const userId = nameOrId === undefined ? undefined : await userIdOf(authority, nameOrId);
  let dropped = 0;
  for (const login of await importedAt(authority, provider)) {
    if (userId !== undefined && login.userId !== userId) continue;
    if (await dropIfAny(authority, login)) dropped += 1;
  }
  if (nameOrId !== undefined && dropped === 0)
    throw new AuthError("credentials_not_found", {
      detail: `${oneLine(nameOrId)} has no imported hash: see \`gatehouse users imported\``,
    });
  output.result(
    { removed: dropped },
    `removed ${dropped} imported ${dropped === 1 ? "hash; this user needs" : "hashes; these users need"} a new password`,
  );
}

/** By a login name of any local provider too. */
async function userIdOf(authority: Authority, nameOrId: string): Promise<string> {
  const named = (await authority.localLogins.listImported()).filter(({ username }) => username === nameOrId);
  const [id, ...others] = [...new Set(named.map(({ userId }) => userId))];
  return id !== undefined && others.length === 0 ? id : (await findUser(authority, nameOrId)).id;
}

/** False also for a login whose provider is not configured any more, or that was removed meanwhile. */
async function dropIfAny({ localLoginsOf }: Authority, login: ImportedLogin): Promise<boolean> {
  const logins = localLoginsOf(login.providerId);
  if (logins === undefined) return false;
  return await logins.dropImported(login.userId).catch((error: unknown) => {
    if (error instanceof AuthError && error.code === "credentials_not_found") return false;
    throw error;
  });
}

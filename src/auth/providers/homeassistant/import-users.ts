import { AuthError } from "../../errors.ts";
import { newId } from "../../ids.ts";
import type { User } from "../../model.ts";
import { isNative } from "../../passwords/cost-in-use.ts";
import { problemOfCosts } from "../../passwords/imported/import-bounds.ts";
import { areSameCost, type ImportedCost } from "../../passwords/imported/imported-cost.ts";
import type { ImportedHash } from "../../passwords/imported/imported-hash.ts";
import { listingStep, parametersIn, retireImported } from "../../passwords/parameters-in-use.ts";
import { indexKeys, recordKeys } from "../../record-keys.ts";
import { mergeSteps, readRecord, type Step, type StoredRecord } from "../../store.ts";
import { newCredential } from "../../users/credentials.ts";
import { createUserStep } from "../../users/user-changes.ts";
import { newUser } from "../../users/users.ts";
import { checkLoginName } from "./login-name.ts";
import { localLoginPut, localType } from "./login-record.ts";
import { freeVersion, loginConflict } from "./new-login.ts";
import type { LocalLoginTools } from "./own-login.ts";

/** A user of another program, with the hash of their password. */
export interface UserToImport {
  /** What the operator finds the entry by, for instance `line 3`. */
  readonly entry: string;
  /** 32 hexadecimal digits; a new id by default. */
  readonly id?: string | undefined;
  readonly name: string;
  readonly isOwner?: boolean | undefined;
  readonly isActive?: boolean | undefined;
  readonly localOnly?: boolean | undefined;
  readonly groupIds: readonly string[];
  /** The name in normal form. Absent: the user has no login here. */
  readonly login?: { readonly username: string; readonly hash: ImportedHash } | undefined;
}

/** The `entry` of a problem that the users have together. */
export const allEntries = "all";

export interface ImportProblem {
  readonly entry: string;
  readonly problem: string;
}

/** With problems nothing was imported. */
export interface UsersImported {
  readonly users: readonly User[];
  readonly problems: readonly ImportProblem[];
  /** Users who are here already, if those are skipped. */
  readonly skipped: readonly ImportProblem[];
}

export interface ImportOptions {
  readonly dryRun?: boolean | undefined;
  /** Leaves out users whose id or login name is here already. Otherwise each of them is a problem. */
  readonly skipExisting?: boolean | undefined;
}

/** How many users one commit creates. */
const batchSize = 500;

/**
 * Creates users with imported hashes. Everything is checked first. With a problem, or with `dryRun`, nothing is written.
 * Up to 500 users are one commit; more are one commit for each 500, in their order. Throws `conflict` if something
 * changed meanwhile. Then `skipExisting` imports those that are left.
 */
export async function importUsers(
  tools: LocalLoginTools,
  given: readonly UserToImport[],
  { dryRun = false, skipExisting = false }: ImportOptions = {},
): Promise<UsersImported> {
  await retireImported(tools.store);
  const existing = skipExisting ? await existingAmong(tools, given) : new Set<UserToImport>();
  const users = given.filter((user) => !existing.has(user));
  const skipped = [...existing].map(({ entry }) => ({ entry, problem: "is here already" }));
  const problems = [
    ...duplicates(users),
    ...(await problemsOf(tools, users)),
    ...(await tooCostly(tools, users)),
  ];
  if (problems.length > 0 || dryRun) return { users: [], problems, skipped };
  const imported: User[] = [];
  for (let from = 0; from < users.length; from += batchSize)
    imported.push(...(await importBatch(tools, users.slice(from, from + batchSize))));
  return { users: imported, problems, skipped };
}

async function existingAmong(
  tools: LocalLoginTools,
  users: readonly UserToImport[],
): Promise<ReadonlySet<UserToImport>> {
  const found = new Set<UserToImport>();
  for (const user of users) {
    const hasId = user.id !== undefined && (await tools.users.read(user.id)) !== undefined;
    if (hasId || (user.login !== undefined && (await isTaken(tools, user.login.username)))) found.add(user);
  }
  return found;
}

async function isTaken(tools: LocalLoginTools, username: string): Promise<boolean> {
  try {
    await freeVersion(tools, username);
    return false;
  } catch (error) {
    if (error instanceof AuthError && error.code === "username_already_exists") return true;
    throw error;
  }
}

function duplicates(users: readonly UserToImport[]): ImportProblem[] {
  const seen = new Map<string, string>();
  const problems: ImportProblem[] = [];
  for (const { entry, id, login, isOwner } of users) {
    const claims = [
      id === undefined ? [] : [["id", `id ${id}`]],
      login === undefined ? [] : [["login name", `login ${login.username}`]],
      isOwner === true ? [["owner", "owner"]] : [],
    ].flat();
    for (const [what, claim = ""] of claims) {
      const first = seen.get(claim);
      if (first === undefined) seen.set(claim, entry);
      else problems.push({ entry, problem: `${first} has the same ${what}` });
    }
  }
  return problems;
}

/** What the store has against each user. */
async function problemsOf(
  tools: LocalLoginTools,
  users: readonly UserToImport[],
): Promise<readonly ImportProblem[]> {
  const isOwned = (await readRecord(tools.store, recordKeys.owner)) !== undefined;
  const problems: ImportProblem[] = [];
  for (const user of users) {
    const { entry } = user;
    const found: string[] = [];
    if (user.isOwner === true && isOwned) found.push("the installation has an owner already");
    if (user.name.trim() === "" || user.name.length > 128) found.push("a name has 1 to 128 characters");
    if (user.id !== undefined && !/^[0-9a-f]{32}$/.test(user.id))
      found.push("an id has 32 hexadecimal digits");
    else if (user.id !== undefined && (await tools.users.read(user.id)) !== undefined)
      found.push("a user with this id exists");
    const known = await tools.groups.existing(user.groupIds);
    const unknown = user.groupIds.filter((id) => !known.includes(id));
    if (unknown.length > 0) found.push(`unknown group: ${unknown.join(", ")}`);
    const ofLogin = user.login && (await problemOfLogin(tools, user.login.username));
    if (ofLogin !== undefined) found.push(ofLogin);
    problems.push(...found.map((problem) => ({ entry, problem })));
  }
  return problems;
}

async function problemOfLogin(tools: LocalLoginTools, username: string): Promise<string | undefined> {
  try {
    checkLoginName(username);
    await freeVersion(tools, username);
    return undefined;
  } catch (error) {
    if (error instanceof AuthError && error.code !== "unavailable") return error.publicMessage;
    throw error;
  }
}

async function tooCostly(
  { store }: LocalLoginTools,
  users: readonly UserToImport[],
): Promise<readonly ImportProblem[]> {
  const problem = problemTogether(await readRecord(store, recordKeys.scryptParameters), users);
  return problem === undefined ? [] : [{ entry: allEntries, problem }];
}

/** Why the costs of these users cannot be in use beside those of the record. */
function problemTogether(
  record: StoredRecord | undefined,
  users: readonly UserToImport[],
): string | undefined {
  const costs: ImportedCost[] = parametersIn(record).flatMap((cost) => (isNative(cost) ? [] : [cost]));
  for (const { cost } of hashesOf(users))
    if (!costs.some((each) => areSameCost(each, cost))) costs.push(cost);
  return problemOfCosts(costs);
}

function hashesOf(users: readonly UserToImport[]): readonly ImportedHash[] {
  return users.flatMap(({ login }) => (login === undefined ? [] : [login.hash]));
}

async function importBatch(tools: LocalLoginTools, batch: readonly UserToImport[]): Promise<readonly User[]> {
  const record = await readRecord(tools.store, recordKeys.scryptParameters);
  // Another import may have come in between.
  const problem = problemTogether(record, batch);
  if (problem !== undefined) throw new AuthError("conflict", { detail: problem });
  const costs = hashesOf(batch).map(({ cost }) => cost);
  const made = await Promise.all(batch.map((user) => stepOf(tools, user)));
  const outcome = await tools.revocation.commit(
    mergeSteps(listingStep(record, costs), ...made.map(({ step }) => step)),
  );
  if (!outcome.ok) {
    const owner = made.find(({ step }) => step.check?.some(({ key }) => key === outcome.conflict));
    const { user, username } = owner ?? {};
    throw loginConflict(tools, outcome.conflict, user?.id ?? "", username ?? "");
  }
  return made.map(({ user }) => user);
}

async function stepOf(tools: LocalLoginTools, given: UserToImport) {
  const { id = newId(), name, groupIds, isOwner = false, isActive = true, localOnly, login } = given;
  const createdAt = tools.clock.now();
  const state = isActive ? "active" : "deactivated";
  const user: User = { ...newUser({ name, groupIds, isOwner, localOnly, state, createdAt }), id };
  const claim: Step = isOwner
    ? {
        check: [{ key: recordKeys.owner, version: 0 }],
        put: [{ key: recordKeys.owner, value: { user_id: id } }],
      }
    : {};
  const steps = [claim, createUserStep(user)];
  if (login !== undefined) steps.push(await loginStep(tools, id, login));
  return { user, username: login?.username, step: mergeSteps(...steps) };
}

async function loginStep(
  tools: LocalLoginTools,
  userId: string,
  { username, hash }: NonNullable<UserToImport["login"]>,
): Promise<Step> {
  const { credentials, clock, providerId } = tools;
  const version = await freeVersion(tools, username);
  const {
    id: credentialId,
    createdAt,
    ...rest
  } = newCredential(clock, [localType, providerId], username, userId);
  const login = { providerId, username, credentialId, verifier: hash, changedAt: createdAt, closed: false };
  const put = localLoginPut(login);
  return mergeSteps(credentials.linkStep({ id: credentialId, createdAt, ...rest }), {
    check: put.map(({ key }) => ({ key, version })),
    put,
    link: [{ index: indexKeys.importedPasswords, member: credentialId }],
  });
}

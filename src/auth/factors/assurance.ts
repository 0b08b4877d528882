import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../errors.ts";
import { type AssuranceLevel, type Session, systemGroups, type User } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Checks, RecordKey, Store, StoredRecord } from "../store.ts";
import { requireUser } from "../users/user-record.ts";
import { type Enrolments, parseEnrolments } from "./enrolments.ts";
import type { Factor } from "./factor.ts";

const DemandsRecord = Compile(Type.Object({ groups: Type.Array(Type.String()) }));

/** The groups whose members must have a second factor. Throws `unavailable` for a damaged record. */
export function parseDemands(record: StoredRecord | undefined): readonly string[] {
  if (record === undefined) return [];
  if (!DemandsRecord.Check(record.value))
    throw new AuthError("unavailable", { detail: "the record of groups that demand a factor is damaged" });
  return record.value.groups;
}

/** What policy demands of a user's sessions, as of one read. */
export interface Demand {
  /** Every session of the user has at least this level. */
  readonly level: AssuranceLevel;
  /** A group of the user demands a second factor, whether or not the user has one. */
  readonly byGroup: boolean;
  readonly enrolments: Enrolments;
  /** Unchanged when something is granted because of it, or the grant is decided on again. */
  readonly checks: Checks;
}

/**
 * The one rule for how good a login must be. A user who has set up a second factor, or is in a group that demands one,
 * has no session below level 2, however it was begun: by a login, a code, a device, another token. Services (system
 * users) have no second factor.
 */
export interface Assurance {
  /** The records to read for `demandFrom`. */
  keys(userId: string): readonly RecordKey[];
  /** `user`: as it is stored, also with groups of which this node has not heard yet. */
  demandFrom(user: Demanded, records: readonly (StoredRecord | undefined)[]): Demand;
  /** Reads the records. `user`: as it is stored, or will be. */
  demandOf(user: Demanded): Promise<Demand>;
  /** Reads the user too. Nothing is demanded of a user who does not exist. */
  demandOn(userId: string): Promise<Demand>;
}

type Demanded = Pick<User, "id" | "groupIds" | "isOwner" | "systemGenerated">;

/** The user's groups, as far as factors are demanded: the owner is an administrator in any group. */
export function demandedGroups({ groupIds, isOwner }: Pick<User, "groupIds" | "isOwner">): readonly string[] {
  return isOwner ? [...groupIds, systemGroups.admin] : groupIds;
}

export interface AssuranceOptions {
  readonly store: Pick<Store, "get">;
  readonly factors: readonly Pick<Factor, "id" | "backup">[];
  /** Whether the group is known to be deleted: its id means nothing from then on. */
  readonly isDeletedGroup: (groupId: string) => boolean;
}

export function createAssurance({ store, factors, isDeletedGroup }: AssuranceOptions): Assurance {
  const keys = (userId: string) => [recordKeys.factors(userId), recordKeys.factorDemands];
  const demandFrom: Assurance["demandFrom"] = (user, [factorsRecord, demandsRecord]) => {
    const enrolments = parseEnrolments(factorsRecord);
    const demanding = new Set(parseDemands(demandsRecord));
    const byGroup = demandedGroups(user).some((id) => demanding.has(id) && !isDeletedGroup(id));
    const isEnrolled = hasFactor(factors, enrolments);
    const versions = [enrolments.version, demandsRecord?.version ?? 0];
    return {
      level: !user.systemGenerated && (byGroup || isEnrolled) ? 2 : 1,
      byGroup,
      enrolments,
      checks: keys(user.id).map((key, place) => ({ key, version: versions[place] ?? 0 })),
    };
  };
  return {
    keys,
    demandFrom,
    demandOf: async (user) => demandFrom(user, await store.get(keys(user.id))),
    async demandOn(userId) {
      const userKey = recordKeys.user(userId);
      const [record, ...records] = await store.get([userKey, ...keys(userId)]);
      const user = record && requireUser(record);
      const nobody = { id: userId, groupIds: [], isOwner: false, systemGenerated: false };
      const demand = demandFrom(user ?? nobody, records);
      return { ...demand, checks: [{ key: userKey, version: record?.version ?? 0 }, ...demand.checks] };
    },
  };
}

/**
 * Whether the user has set up a factor, other than a backup. One that is not configured any more counts too: an id that was
 * mistyped in the configuration must not let people in with less.
 */
export function hasFactor(
  factors: readonly Pick<Factor, "id" | "backup">[],
  { all }: Pick<Enrolments, "all">,
): boolean {
  const isBackup = (id: string) => factors.some((each) => each.id === id && each.backup);
  return all.some(({ factor }) => !isBackup(factor));
}

export function isBelow(
  { assurance }: Pick<Session, "assurance">,
  { level }: Pick<Demand, "level">,
): boolean {
  return assurance < level;
}

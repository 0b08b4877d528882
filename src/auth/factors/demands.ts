import type { Clock } from "../clock/clock.ts";
import type { User } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { type LoopYielder, sliceSize } from "../scheduling/loop-yielder.ts";
import { listSessions } from "../sessions/session-reading.ts";
import { type Checks, readRecord, retryConflicts, type Step, type Store, unlessConflict } from "../store.ts";
import { parseUser } from "../users/user-record.ts";
import { type Assurance, type Demand, demandedGroups, isBelow, parseDemands } from "./assurance.ts";
import { changeDemandsStep } from "./demand-table.ts";

/** How many sessions a change has ended, because they are below what is demanded now. */
export interface EndedSessions {
  readonly sessionsEnded: number;
}

/** Which groups demand a second factor of their members, and what follows for the sessions that are open. */
export interface FactorDemands {
  /** Ids of groups, in their order. */
  list(): Promise<readonly string[]>;
  /** The same, with the check that nobody has changed that by the time of a commit. */
  read(): Promise<{ readonly groupIds: readonly string[]; readonly checks: Checks }>;
  /**
   * Whether members of the group must have a second factor. Sessions of members that are below end before it resolves.
   * If it fails midway, the call can be repeated; those that are left get no token meanwhile. NOT checked: that the
   * group exists.
   */
  set(groupId: string, demanded: boolean): Promise<EndedSessions>;
  /**
   * Commits `step`, which gives the user other groups or makes them the owner: `after` is the user as of this commit. The
   * user's sessions that are below what is then demanded end in the same commit, so none of them ever has the new
   * rights. Resolves with undefined if a check of the step failed.
   */
  commitChange(after: User, step: Step): Promise<EndedSessions | undefined>;
  /** Ends the user's sessions that are below what is demanded now. */
  enforce(userId: string): Promise<EndedSessions>;
  /** The same for many, who were read before and may not exist. */
  enforceAmong(userIds: readonly string[]): Promise<void>;
}

export interface FactorDemandsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly yielder: LoopYielder;
  readonly revocation: LogWriter & Pick<Revocation, "revoke">;
  readonly assurance: Assurance;
}

export function createFactorDemands(options: FactorDemandsOptions): FactorDemands {
  const { store, revocation } = options;
  const key = recordKeys.factorDemands;
  return {
    list: async () => parseDemands(await readRecord(store, key)),
    async read() {
      const record = await readRecord(store, key);
      return { groupIds: parseDemands(record), checks: [{ key, version: record?.version ?? 0 }] };
    },
    async set(groupId, demanded) {
      await retryConflicts(async () => {
        const record = await readRecord(store, key);
        const before = parseDemands(record);
        if (before.includes(groupId) === demanded) return true;
        const groups = demanded ? [...before, groupId] : before.filter((id) => id !== groupId);
        return (await revocation.commit(changeDemandsStep(record, groups))).ok || undefined;
      });
      // Whoever opens a session from here on sees the demand. Those that were opened before are found.
      return { sessionsEnded: demanded ? await enforceOnMembers(options, groupId) : 0 };
    },
    async commitChange(after, step) {
      const demand = await options.assurance.demandOf(after);
      const sessionIds = await sessionsBelow(options, after.id, demand);
      if (sessionIds.length === 0) {
        if (!(await revocation.commit(step)).ok) return undefined;
      } else {
        const target = { kind: "sessions", userId: after.id, sessionIds } as const;
        const work = revocation.revoke(target, "session_revoked", { also: step });
        if ((await unlessConflict(work)) === undefined) return undefined;
      }
      // A session that was opened after the list was read, and before the commit, was good enough for the user of before.
      const late = await endSessionsBelow(options, after.id);
      return { sessionsEnded: sessionIds.length + late };
    },
    enforce: async (userId) => ({ sessionsEnded: await endSessionsBelow(options, userId) }),
    async enforceAmong(userIds) {
      for (let start = 0; start < userIds.length; start += sliceSize) {
        await options.yielder.next();
        const page = userIds.slice(start, start + sliceSize);
        for (const userId of await demandedAmong(options, page)) await endSessionsBelow(options, userId);
      }
    },
  };
}

async function enforceOnMembers(options: FactorDemandsOptions, groupId: string): Promise<number> {
  let ended = 0;
  let after: string | undefined;
  do {
    await options.yielder.next();
    const from = after === undefined ? {} : { after };
    const ids = await options.store.list(indexKeys.users, { limit: sliceSize, ...from });
    const records = ids.length === 0 ? [] : await options.store.get(ids.map(recordKeys.user));
    const users = records.flatMap((record) => (record && parseUser(record)) ?? []);
    for (const { id } of users.filter((user) => demandedGroups(user).includes(groupId)))
      ended += await endSessionsBelow(options, id);
    after = ids.length < sliceSize ? undefined : ids.at(-1);
  } while (after !== undefined);
  return ended;
}

/** Those of whom a factor is demanded. */
async function demandedAmong(
  { store, assurance }: FactorDemandsOptions,
  userIds: readonly string[],
): Promise<readonly string[]> {
  const keys = [
    ...userIds.map(recordKeys.user),
    ...userIds.map(recordKeys.factors),
    recordKeys.factorDemands,
  ];
  const records = await store.get(keys);
  return userIds.filter((_, place) => {
    const record = records[place];
    const user = record && parseUser(record);
    const demanding = [records[userIds.length + place], records.at(-1)];
    return user !== undefined && assurance.demandFrom(user, demanding).level > 1;
  });
}

/**
 * Ends the user's sessions that are below what is demanded. A session that is being opened at this moment checks the
 * records that the demand was read from, so it is ended here or never opened.
 */
async function endSessionsBelow(options: FactorDemandsOptions, userId: string): Promise<number> {
  const demand = await options.assurance.demandOn(userId);
  const sessionIds = await sessionsBelow(options, userId, demand);
  if (sessionIds.length > 0)
    await options.revocation.revoke({ kind: "sessions", userId, sessionIds }, "session_revoked");
  return sessionIds.length;
}

async function sessionsBelow(
  options: FactorDemandsOptions,
  userId: string,
  demand: Pick<Demand, "level">,
): Promise<readonly string[]> {
  if (demand.level === 1) return [];
  const sessions = await listSessions(options, userId);
  return sessions.filter((session) => isBelow(session, demand)).map(({ id }) => id);
}

import { AuthError } from "../errors.ts";
import type { LogEvent } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { releaseNames } from "../sessions/client-names.ts";
import { findSession } from "../sessions/session-reading.ts";
import {
  createdBefore,
  epochChecks,
  parseSession,
  readEpochsOfClients,
  sessionPut,
  sessionState,
  withoutCreatedVersion,
} from "../sessions/session-record.ts";
import { type CommitOutcome, mergeSteps, readRecord, type Step, type StoredRecord } from "../store.ts";
import type { RevokeTarget } from "./receipt.ts";
import { outcomeOf, type RevokeOutcome, type RevokeRequest, type RevokeTools } from "./revoke.ts";
import { clockMarginMs } from "./view.ts";

type UserTarget = Extract<RevokeTarget, { kind: "user" }>;

const pageSize = 250;
/** Only refreshes of the spared session can cause a conflict. */
const maxAttempts = 10;

/**
 * Bumps the user's epoch. From that commit on every older session record of the user is dead, also one that is being
 * created at this moment, because its commit checks the epoch. The same commit writes the spared session again, so that
 * one stays live.
 */
export function createUserRevoker(tools: RevokeTools) {
  return async (target: UserTarget, request: RevokeRequest): Promise<RevokeOutcome> => {
    const commit = await bumpEpoch(tools, target, request);
    try {
      const revoked = await removeDeadSessions(tools, target.userId, commit.version);
      if (request.cause === "user_removed")
        await expireEpochRecord(tools, target.userId).catch(ignoreUnavailable);
      return outcomeOf(revoked, [commit]);
    } catch (error) {
      // The records are dead already. The next listing or their expiry removes the rest.
      if (error instanceof AuthError && error.code === "unavailable") return outcomeOf(null, [commit]);
      throw error;
    }
  };
}

async function bumpEpoch(
  tools: RevokeTools,
  target: UserTarget,
  request: RevokeRequest,
): Promise<Extract<CommitOutcome, { ok: true }>> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const spared = await readSpared(tools, target);
    const { cause, revocationId } = request;
    const { userId } = target;
    const event: LogEvent = { type: "user_revoked", userId, cause, revocationId, except: spared.except };
    const own: Step = { bumpEpochs: [recordKeys.userEpoch(userId)], log: [{ ...event }], durable: true };
    const outcome = await tools.logWriter.commit(mergeSteps(spared.step, own, request.also));
    if (outcome.ok) return outcome;
    const sparedChanged = spared.step.check?.some(({ key }) => key === outcome.conflict) ?? false;
    if (!sparedChanged) throw new AuthError("conflict", { detail: `revoke: ${outcome.conflict} changed` });
  }
  throw new AuthError("conflict", { detail: "revoke: the spared session keeps changing" });
}

/** Throws `unauthorized` if the session is not live or belongs to another user: it was revoked after it had asked. */
async function readSpared(
  { store, clock }: RevokeTools,
  { userId, except }: UserTarget,
): Promise<{ readonly except: string | null; readonly step: Step }> {
  if (except === undefined) return { except: null, step: {} };
  const sessions = await findSession({ store, clock }, except);
  if (sessions?.state !== "live" || sessions.session.userId !== userId)
    throw new AuthError("unauthorized", { detail: "revoke: the session to spare has ended" });
  const { session, version, epochs } = sessions;
  const check = [{ key: recordKeys.session(except), version }, ...epochChecks(session, epochs)];
  return { except, step: { check, put: [sessionPut(withoutCreatedVersion(session))] } };
}

/**
 * Gives the epoch record of a removed user an expiry. No session of the user is left and none can be created, because
 * each commit that creates one checks the user's record. By the expiry all earlier tokens have expired and no node
 * remembers the revocation. A token that is shown after it is refused because its session does not exist.
 */
async function expireEpochRecord({ store, clock, rememberedMs }: RevokeTools, userId: string): Promise<void> {
  const [userKey, key] = [recordKeys.user(userId), recordKeys.userEpoch(userId)];
  const record = await readRecord(store, key);
  if (record === undefined) return;
  // After that time no node writes the revocation again, which would create the record anew. On a conflict another
  // process removes the same user, and completes it.
  await store.commit({
    check: [
      { key: userKey, version: 0 },
      { key, version: record.version },
    ],
    put: [{ key, value: record.value, expiresAt: clock.now() + rememberedMs + clockMarginMs }],
  });
}

/** Removes the records that the epoch has invalidated, page by page. Resolves to how many were live before. */
async function removeDeadSessions(
  { store, clock }: RevokeTools,
  userId: string,
  epoch: number,
): Promise<number> {
  const index = indexKeys.sessionsOf(userId);
  let revoked = 0;
  let after: string | undefined;
  for (;;) {
    const page = await store.list(index, { limit: pageSize, after });
    if (page.length === 0) return revoked;
    const records = await store.get(page.map(recordKeys.session));
    const dead = page.flatMap((id, place) => {
      const record = records[place];
      return record === undefined || createdBefore(record, epoch) ? [{ id, record }] : [];
    });
    if (dead.length > 0) {
      await store.commit({
        remove: dead.map(({ id }) => recordKeys.session(id)),
        unlink: dead.map(({ id }) => ({ index, member: id })),
      });
      await releaseNames(store, dead.map(({ record }) => record && parseSession(record)).filter(isDefined));
    }
    const removed = dead.flatMap(({ record }) => (record === undefined ? [] : [record]));
    revoked += await countLive({ store, clock }, userId, removed, epoch);
    after = page.at(-1);
    if (page.length < pageSize || after === undefined) return revoked;
  }
}

/** How many of the records only this epoch ended: not their expiry, nor an earlier epoch of the client or of all. */
async function countLive(
  { store, clock }: Pick<RevokeTools, "store" | "clock">,
  userId: string,
  records: readonly StoredRecord[],
  epoch: number,
): Promise<number> {
  const sessions = records.flatMap((record) => {
    const session = parseSession(record);
    return session === undefined ? [] : [{ session, version: record.version }];
  });
  if (sessions.length === 0) return 0;
  const clientIds = sessions.map(({ session }) => session.clientId);
  const epochOf = await readEpochsOfClients(store, userId, clientIds);
  const earlier = (version: number) => (version < epoch ? version : 0);
  return sessions.filter(({ session, version }) => {
    const { all, client } = epochOf(session.clientId);
    const before = Math.max(earlier(all), earlier(client));
    return sessionState({ session, version }, before, clock) === "live";
  }).length;
}

function ignoreUnavailable(error: unknown): void {
  if (!(error instanceof AuthError && error.code === "unavailable")) throw error;
}

function isDefined<Value>(value: Value | undefined): value is Value {
  return value !== undefined;
}

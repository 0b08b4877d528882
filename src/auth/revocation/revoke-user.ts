import { AuthError } from "../errors.ts";
import type { LogEvent } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { releaseNames } from "../sessions/client-names.ts";
import { findSession } from "../sessions/session-reading.ts";
import {
  checkingEpochs,
  createdBefore,
  puttingSession,
  readableSession,
  readEpochsOfClients,
  sessionState,
  withoutCreatedVersion,
} from "../sessions/session-record.ts";
import { type CommitOutcome, mergeSteps, readRecord, type Step, type StoredRecord } from "../store.ts";
import type { RevokeTarget } from "./receipt.ts";
import { outcomeOf, type RevokeOutcome, type RevokeRequest, type RevokeTools } from "./revoke-commit.ts";
import { clockMarginMs } from "./view.ts";

type UserTarget = Extract<RevokeTarget, { kind: "user" }>;

const pageSize = 250;
/** Only the spared session's own refreshes can come in between. */
const mostAttempts = 10;

/**
 * Raises the user's epoch: from that commit on every session record of the user that is older is dead, also one that
 * is being made at this moment, because its commit checks the epoch. The spared session is written again by the same
 * commit and so stays.
 */
export function createUserRevoker(tools: RevokeTools) {
  return async (target: UserTarget, request: RevokeRequest): Promise<RevokeOutcome> => {
    const raised = await bumpEpoch(tools, target, request);
    try {
      const ended = await clear(tools, target.userId, raised.version);
      if (request.cause === "user_removed") await endEpoch(tools, target.userId).catch(ignoreUnavailable);
      return outcomeOf(ended, [raised]);
    } catch (error) {
      // The records are dead already; what is left of them is found by the next listing or by their expiry.
      if (error instanceof AuthError && error.code === "unavailable") return outcomeOf(0, [raised]);
      throw error;
    }
  };
}

async function bumpEpoch(
  tools: RevokeTools,
  target: UserTarget,
  request: RevokeRequest,
): Promise<Extract<CommitOutcome, { ok: true }>> {
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const spared = await sparing(tools, target);
    const { cause, revocationId } = request;
    const { userId } = target;
    const event: LogEvent = { type: "user_revoked", userId, cause, revocationId, except: spared.except };
    const own: Step = { bumpEpochs: [recordKeys.userEpoch(userId)], log: [{ ...event }], durable: true };
    const outcome = await tools.logWriter.commit(mergeSteps(spared.step, own, request.also));
    if (outcome.ok) return outcome;
    const oursMoved = spared.step.check?.some(({ key }) => key === outcome.conflict) ?? false;
    if (!oursMoved) throw new AuthError("conflict", { detail: `revoke: ${outcome.conflict} changed` });
  }
  throw new AuthError("conflict", { detail: "revoke: the spared session changes all the time" });
}

/** Throws `unauthorized` for a session that is not live, or not this user's: it asked while it was, and was cut off. */
async function sparing(
  { store, clock }: RevokeTools,
  { userId, except }: UserTarget,
): Promise<{ readonly except: string | null; readonly step: Step }> {
  if (except === undefined) return { except: null, step: {} };
  const found = await findSession({ store, clock }, except);
  if (found?.state !== "live" || found.session.userId !== userId)
    throw new AuthError("unauthorized", { detail: "revoke: the session to spare is over" });
  const { session, version, epochs } = found;
  const check = [{ key: recordKeys.session(except), version }, ...checkingEpochs(session, epochs)];
  return { except, step: { check, put: [puttingSession(withoutCreatedVersion(session))] } };
}

/**
 * The epoch of a user who was removed gets an end. None of the user's sessions is left, and none can be made: each commit
 * that makes one checks the user's record. Tokens from before have ended by then, and no node remembers the raise.
 * Without the record a token that comes all the same is refused for its session, which the store does not have.
 */
async function endEpoch({ store, clock, rememberedMs }: RevokeTools, userId: string): Promise<void> {
  const [userKey, key] = [recordKeys.user(userId), recordKeys.userEpoch(userId)];
  const record = await readRecord(store, key);
  if (record === undefined) return;
  // After that time no node tells the raise again, which would make the record anew. On a conflict somebody else ends
  // the same user, and sees it through.
  await store.commit({
    check: [
      { key: userKey, version: 0 },
      { key, version: record.version },
    ],
    put: [{ key, value: record.value, expiresAt: clock.now() + rememberedMs + clockMarginMs }],
  });
}

/** Removes what the epoch has killed, page by page. */
async function clear({ store, clock }: RevokeTools, userId: string, epoch: number): Promise<number> {
  const index = indexKeys.sessionsOf(userId);
  let ended = 0;
  let after: string | undefined;
  for (;;) {
    const page = await store.list(index, { limit: pageSize, after });
    if (page.length === 0) return ended;
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
      await releaseNames(store, dead.map(({ record }) => record && readableSession(record)).filter(isThere));
    }
    const meant = dead.flatMap(({ record }) => (record === undefined ? [] : [record]));
    ended += await countLive({ store, clock }, userId, meant, epoch);
    after = page.at(-1);
    if (page.length < pageSize || after === undefined) return ended;
  }
}

/** Of records that the epoch has ended: those that neither time nor an earlier epoch of all or of their client had ended. */
async function countLive(
  { store, clock }: Pick<RevokeTools, "store" | "clock">,
  userId: string,
  records: readonly StoredRecord[],
  epoch: number,
): Promise<number> {
  const found = records.flatMap((record) => {
    const session = readableSession(record);
    return session === undefined ? [] : [{ session, version: record.version }];
  });
  if (found.length === 0) return 0;
  const clientIds = found.map(({ session }) => session.clientId);
  const epochOf = await readEpochsOfClients(store, userId, clientIds);
  const earlier = (version: number) => (version < epoch ? version : 0);
  return found.filter(({ session, version }) => {
    const { all, client } = epochOf(session.clientId);
    const before = Math.max(earlier(all), earlier(client));
    return sessionState({ session, version }, before, clock) === "live";
  }).length;
}

function ignoreUnavailable(error: unknown): void {
  if (!(error instanceof AuthError && error.code === "unavailable")) throw error;
}

function isThere<Value>(value: Value | undefined): value is Value {
  return value !== undefined;
}

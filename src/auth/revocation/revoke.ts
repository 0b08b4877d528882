import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { LogEvent, RevocationCause, Session } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { releaseNames } from "../sessions/client-names.ts";
import {
  createdBefore,
  type Epochs,
  highestEpoch,
  parseSession,
  readEpochsOfClients,
  sessionPut,
  sessionState,
} from "../sessions/session-record.ts";
import {
  type CommitOutcome,
  type Durability,
  type LogPosition,
  mergeSteps,
  type Step,
  type Store,
  type StoredRecord,
} from "../store.ts";
import { chunksOf } from "./chunks.ts";
import type { LogWriter } from "./log-writer.ts";
import type { EpochTarget, RevokeTarget } from "./receipt.ts";

export interface RevokeTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly logWriter: LogWriter;
  /** How long a revocation matters, ms: until its last token has expired and no node may write its event again. */
  readonly rememberedMs: number;
}

export interface RevokeRequest {
  readonly cause: RevocationCause;
  readonly revocationId: string;
  /** Committed in the same atomic step. */
  readonly also: Step | undefined;
}

/** What a revoke did to the store. */
export interface RevokeOutcome {
  /** Sessions that were live; null: not counted. */
  readonly sessions: number | null;
  /** Where its events are in the log, in order; a node that has applied the last has applied all. */
  readonly positions: readonly LogPosition[];
  /** The weakest durability of its commits. */
  readonly durability: Durability;
}

type Committed = Extract<CommitOutcome, { ok: true }>;

/** From the weakest to the strongest. */
const strengths: readonly Durability[] = ["memory", "fsync", "replicated"];

export function outcomeOf(sessions: number | null, commits: readonly Committed[]): RevokeOutcome {
  const weakest = Math.min(...commits.map(({ durability }) => strengths.indexOf(durability)));
  return {
    sessions,
    positions: commits.flatMap(({ positions }) => positions),
    durability: strengths[weakest] ?? "memory",
  };
}

/** Commits one step. Rejects with `conflict` if a check of the caller's part fails. */
async function commitRevoke(logWriter: LogWriter, step: Step): Promise<Committed> {
  const outcome = await logWriter.commit(step);
  if (!outcome.ok) throw new AuthError("conflict", { detail: `revoke: ${outcome.conflict} changed` });
  return outcome;
}

/**
 * Bumps the epoch of a client, or of the installation. From that commit on every older session record under it is dead,
 * also one that is being created at this moment. The records stay until they expire. They are not counted: that would
 * read every session of every user.
 */
export async function revokeEpoch(
  { logWriter }: Pick<RevokeTools, "logWriter">,
  target: EpochTarget,
  { cause, revocationId, also }: RevokeRequest,
): Promise<RevokeOutcome> {
  const key = target.kind === "all" ? recordKeys.allEpoch : recordKeys.clientEpoch(target.clientId);
  const about = { cause, revocationId };
  const event: LogEvent =
    target.kind === "all"
      ? { type: "all_revoked", ...about }
      : { type: "client_revoked", clientId: target.clientId, ...about };
  const step = mergeSteps({ bumpEpochs: [key], log: [{ ...event }], durable: true }, also);
  return outcomeOf(null, [await commitRevoke(logWriter, step)]);
}

export interface KeyRevokeRequest {
  readonly keyIds: readonly string[];
  readonly revocationId: string;
  /** Removes the keys from the keyring. */
  readonly also: Step;
}

/** One durable commit. Rejects with `conflict` if a check of `also` fails. */
export async function revokeKeys(logWriter: LogWriter, request: KeyRevokeRequest): Promise<RevokeOutcome> {
  const { keyIds: dropped, revocationId, also } = request;
  const event: LogEvent = { type: "keyring_changed", dropped, revocationId };
  const step = mergeSteps(also, { log: [{ ...event }], durable: true });
  return await commitTracked(logWriter, step);
}

/** One durable commit of a change that ends no session. Rejects with `conflict` if a check fails. */
export async function commitTracked(logWriter: LogWriter, step: Step): Promise<RevokeOutcome> {
  return outcomeOf(0, [await commitRevoke(logWriter, { ...step, durable: true })]);
}

type SessionsTarget = Extract<RevokeTarget, { kind: "sessions" }>;

/** Sessions of one commit: each costs a put, an unlink and its id in the event. */
const chunkSize = 250;

/**
 * Revokes named sessions. The tombstone overwrites the record without comparing versions, so a stream of refreshes cannot
 * starve it; a refresh that read before this commit and commits after it fails its own check. A session that was dead
 * already is logged again: the caller wants to know when no node serves it any more.
 *
 * If the list needs several commits, the last one carries `also`. So what must not outlive the sessions goes with the
 * last of them, and a crash in between leaves fewer rights than before, never more.
 */
export function createSessionRevoker({ store, clock, logWriter }: RevokeTools) {
  return async (target: SessionsTarget, request: RevokeRequest): Promise<RevokeOutcome> => {
    const ids = [...new Set(target.sessionIds)];
    // Without any, the commit still carries `also`.
    const chunks = ids.length === 0 ? [[]] : chunksOf(ids, chunkSize);
    const commits: Committed[] = [];
    let revoked = 0;
    for (const [place, sessionIds] of chunks.entries()) {
      const records = await store.get(sessionIds.map(recordKeys.session));
      const epochOf = await readEpochsFor(store, target, records);
      const named = classify(target.userId, sessionIds, records, epochOf);
      const also = place === chunks.length - 1 ? request.also : undefined;
      const own = revokeSessionsStep(target.userId, named, request, clock.now());
      commits.push(await commitRevoke(logWriter, mergeSteps(own, also)));
      await releaseNames(store, parsedSessions(named));
      revoked += named.filter((each) => wasLive(each, clock)).length;
    }
    return outcomeOf(revoked, commits);
  };
}

function readEpochsFor(
  store: Store,
  { userId }: SessionsTarget,
  records: readonly (StoredRecord | undefined)[],
): Promise<(clientId: string | null) => Epochs> {
  const sessions = records.map((record) => record && parseSession(record));
  const clientIds = sessions.map((session) => session?.clientId ?? null);
  return readEpochsOfClients(store, userId, clientIds);
}

interface NamedSession {
  readonly id: string;
  /** Its record, unless it is revoked or older than its epochs. */
  readonly live: StoredRecord | undefined;
}

function parsedSessions(named: readonly NamedSession[]): readonly Session[] {
  const sessions = named.map(({ live }) => live && parseSession(live));
  return sessions.filter((session) => session !== undefined);
}

/** A session whose record cannot be read counts: nobody can say that it had ended. */
function wasLive({ live: record }: NamedSession, clock: Clock): boolean {
  if (record === undefined) return false;
  const session = parseSession(record);
  return session === undefined || sessionState({ session, version: record.version }, 0, clock) === "live";
}

/** Expired sessions are revoked as live ones are: their sockets must be closed. Sessions of another user are left out. */
function classify(
  userId: string,
  sessionIds: readonly string[],
  records: readonly (StoredRecord | undefined)[],
  epochOf: (clientId: string | null) => Epochs,
): readonly NamedSession[] {
  return sessionIds.flatMap((id, place) => {
    const record = records[place];
    const session = record && parseSession(record);
    if (session !== undefined && session.userId !== userId) return [];
    const epoch = highestEpoch(epochOf(session?.clientId ?? null));
    const dead = record === undefined || createdBefore(record, epoch) || session?.revokedAt !== undefined;
    return [{ id, live: dead ? undefined : record }];
  });
}

function revokeSessionsStep(
  userId: string,
  named: readonly NamedSession[],
  request: RevokeRequest,
  now: number,
): Step {
  if (named.length === 0) return { durable: true };
  const { cause, revocationId } = request;
  const sessionIds = named.map(({ id }) => id);
  const live = named.flatMap(({ id, live: record }) => (record === undefined ? [] : [{ id, record }]));
  const event: LogEvent = { type: "sessions_revoked", userId, sessionIds, cause, revocationId };
  return {
    put: live.flatMap(({ record }) => {
      const session = parseSession(record);
      return session === undefined ? [] : [sessionPut({ ...session, revokedAt: now, revokedCause: cause })];
    }),
    remove: live
      .filter(({ record }) => parseSession(record) === undefined)
      .map(({ id }) => recordKeys.session(id)),
    unlink: live.map(({ id }) => ({ index: indexKeys.sessionsOf(userId), member: id })),
    log: [{ ...event }],
    durable: true,
  };
}

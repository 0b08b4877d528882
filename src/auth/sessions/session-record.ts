import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { isCertainlyPast, type WallClock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Session } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { Cause, withKnownCause } from "../revocation/cause.ts";
import type { Checks, RecordKey, Step, Store, StoredRecord } from "../store.ts";

const Text = Type.Union([Type.String(), Type.Null()]);
const Time = Type.Union([Type.Number(), Type.Null()]);

/** Unknown fields are allowed: a newer node may have written them. */
const SessionRecord = Compile(
  Type.Object({
    id: Type.String(),
    userId: Type.String(),
    type: Type.Union([
      Type.Literal("normal"),
      Type.Literal("long_lived_access_token"),
      Type.Literal("system"),
    ]),
    clientId: Text,
    clientName: Text,
    clientIcon: Text,
    credentialId: Text,
    providerType: Text,
    providerId: Type.Optional(Text),
    createdAt: Type.Number(),
    lastUsedAt: Time,
    lastUsedIp: Text,
    expiresAt: Time,
    accessTokenTtl: Type.Number(),
    rotates: Type.Boolean(),
    generation: Type.Number(),
    rotatedAt: Type.Number(),
    usedGeneration: Type.Optional(Type.Number()),
    firstSuccessor: Type.Optional(Type.Number()),
    assurance: Type.Union([Type.Literal(1), Type.Literal(2)]),
    amr: Type.Array(Type.String()),
    authenticatedAt: Type.Number(),
    providerSession: Type.Optional(Type.String()),
    scope: Type.Optional(Text),
    policy: Type.Optional(Type.String()),
    resource: Type.Optional(Text),
    createdVersion: Type.Optional(Type.Number()),
    revokedAt: Type.Optional(Type.Number()),
    revokedCause: Type.Optional(Cause),
  }),
);

/** Covers the difference of nodes' clocks, late socket timers and the leeway of tokens, ms. */
const collectionMarginMs = 5 * 60_000;
/** How long the cause of a revoked long-lived token is kept, ms. */
const longLivedTombstoneMs = 30 * 60_000;

export interface VersionedSession {
  readonly session: Session;
  readonly version: number;
}

/** Undefined for a damaged record: it can be revoked and is not listed. */
export function parseSession(record: StoredRecord): Session | undefined {
  const value = withKnownCause(record.value, "revokedCause");
  return SessionRecord.Check(value) ? value : undefined;
}

/**
 * Throws `unavailable` for a damaged record: it authenticates nobody, and no client is told that it is logged out.
 */
export function requireSession(record: StoredRecord): VersionedSession {
  const session = parseSession(record);
  if (session === undefined) throw new AuthError("unavailable", { detail: "a session record is damaged" });
  return { session, version: record.version };
}

/**
 * `unsure`: the clocks disagree on whether it has expired. Its sockets stay open, it is not ended, and it
 * authenticates no new socket.
 */
export type SessionState = "live" | "unsure" | "expired" | "dead";

/** The provider whose credential opened the session; undefined if none did, or the record is of an older version. */
export function providerOf({ providerType, providerId }: Session): [string, string | null] | undefined {
  return providerType === null || providerId === undefined ? undefined : [providerType, providerId];
}

/** The number of the commit that created the session. */
export function createdVersionOf({ session, version }: VersionedSession): number {
  return session.createdVersion ?? version;
}

/** The same for a record that may be damaged. */
export function createdBefore(record: StoredRecord, epoch: number): boolean {
  return (parseSession(record)?.createdVersion ?? record.version) < epoch;
}

/** The session as a bump of its epoch spares it: the commit that writes it counts as the one that created it. */
export function withoutCreatedVersion({ createdVersion: _, ...session }: Session): Session {
  return session;
}

/**
 * The rule of `Session` in model.ts. `epoch` is the highest of the session's epochs, read with the session or later.
 */
export function sessionState(found: VersionedSession, epoch: number, clock: WallClock): SessionState {
  const { session } = found;
  if (session.revokedAt !== undefined || createdVersionOf(found) < epoch) return "dead";
  if (session.expiresAt === null || session.expiresAt > clock.now()) return "live";
  return isCertainlyPast(clock, session.expiresAt) ? "expired" : "unsure";
}

/** While clocks disagree on its expiry, a session is neither reported as ended nor used. */
export function expiryUnknown(): AuthError {
  return new AuthError("unavailable", {
    detail: "clocks disagree on whether the session has expired",
    retryAfterSeconds: 5,
  });
}

/**
 * The part of a step that writes a session. The record outlives every access token of the session, except a revoked
 * long-lived one. A session without a record is dead too; only the cause is not known any more.
 */
export function sessionPut(session: Session): NonNullable<Step["put"]>[number] {
  const key = recordKeys.session(session.id);
  const end = recordExpiry(session);
  return { key, value: { ...session }, ...(end === null ? {} : { expiresAt: end }) };
}

function recordExpiry(session: Session): number | null {
  const tokens = lastTokenExpiry(session);
  if (tokens !== null) return tokens + collectionMarginMs;
  return session.expiresAt === null ? null : session.expiresAt + collectionMarginMs;
}

/** A revoked session issues no more tokens, so its last one expires at most one token life after the revocation. */
function lastTokenExpiry(session: Session): number | null {
  const { revokedAt, accessTokenTtl } = session;
  const isLongLived = session.type === "long_lived_access_token";
  if (revokedAt !== undefined)
    return revokedAt + (isLongLived ? Math.min(accessTokenTtl, longLivedTombstoneMs) : accessTokenTtl);
  return isLongLived ? session.createdAt + accessTokenTtl : null;
}

/** The user and the client whose revocation ends a session. */
export interface SessionOwner {
  readonly userId: string;
  readonly clientId: string | null;
}

/** The versions of the epoch records that apply to a session; 0 for one that was never bumped. */
export interface Epochs {
  readonly user: number;
  readonly all: number;
  readonly client: number;
}

/** The keys of these records, in the order that `epochsFromRecords` expects. */
export function epochKeys({ userId, clientId }: SessionOwner): readonly RecordKey[] {
  const keys = [recordKeys.userEpoch(userId), recordKeys.allEpoch];
  return clientId === null ? keys : [...keys, recordKeys.clientEpoch(clientId)];
}

export function epochsFromRecords([user, all, client]: readonly (StoredRecord | undefined)[]): Epochs {
  return { user: user?.version ?? 0, all: all?.version ?? 0, client: client?.version ?? 0 };
}

export async function readEpochs(store: Store, owner: SessionOwner): Promise<Epochs> {
  return epochsFromRecords(await store.get(epochKeys(owner)));
}

/** Reads the epochs of one user's sessions at several clients, at one moment. */
export async function readEpochsOfClients(
  store: Store,
  userId: string,
  clientIds: readonly (string | null)[],
): Promise<(clientId: string | null) => Epochs> {
  const owners = [...new Set([null, ...clientIds])].map((clientId) => ({ userId, clientId }));
  const records = await store.get(owners.flatMap(epochKeys));
  let place = 0;
  const byClient = new Map<string | null, Epochs>();
  for (const owner of owners) {
    const count = epochKeys(owner).length;
    byClient.set(owner.clientId, epochsFromRecords(records.slice(place, place + count)));
    place += count;
  }
  return (clientId) => {
    const epochs = byClient.get(clientId);
    if (epochs === undefined) throw new RangeError("the epochs of a client that was not asked for");
    return epochs;
  };
}

/** All versions come from one rising sequence, so the highest stands for all three. */
export function highestEpoch({ user, all, client }: Epochs): number {
  return Math.max(user, all, client);
}

/** The checks of every commit that writes a live session: no revocation has bumped an epoch meanwhile. */
export function epochChecks(owner: SessionOwner, epochs: Epochs): Checks {
  const versions = [epochs.user, epochs.all, epochs.client];
  return epochKeys(owner).map((key, place) => ({ key, version: versions[place] ?? 0 }));
}

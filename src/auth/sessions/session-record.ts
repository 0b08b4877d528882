import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { isCertainlyPast, type WallClock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Session } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { Cause } from "../revocation/cause.ts";
import type { RecordKey, Step, Store, StoredRecord } from "../store.ts";

const Text = Type.Union([Type.String(), Type.Null()]);
const Time = Type.Union([Type.Number(), Type.Null()]);

/** More fields are let through: a newer node may have written them. */
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
    createdVersion: Type.Optional(Type.Number()),
    revokedAt: Type.Optional(Type.Number()),
    revokedCause: Type.Optional(Cause),
  }),
);

/** Clocks of nodes may differ by this much, and a socket's timer or a token's leeway may be this late. */
const collectionMarginMs = 5 * 60_000;
/** How long a revoked long-lived token may learn why. */
const longLivedTombstoneMs = 30 * 60_000;

export interface VersionedSession {
  readonly session: Session;
  readonly version: number;
}

/** Undefined for a record that is no session: it can be ended and is not listed. */
export function parseSession(record: StoredRecord): Session | undefined {
  const { value } = record;
  return SessionRecord.Check(value) ? value : undefined;
}

/** Throws `unavailable` for a record that is no session: nobody is let in on it, and nobody is told "logged out". */
export function requireSession(record: StoredRecord): VersionedSession {
  const session = parseSession(record);
  if (session === undefined) throw new AuthError("unavailable", { detail: "a session record is damaged" });
  return { session, version: record.version };
}

/** `unsure`: its end is past by some clock, and others disagree. It is not let in anew, not ended, and goes on where it is. */
export type SessionState = "live" | "unsure" | "expired" | "dead";

/** The number of the commit that made the session. */
export function createdVersionOf({ session, version }: VersionedSession): number {
  return session.createdVersion ?? version;
}

/** For a record that may be no session. */
export function createdBefore(record: StoredRecord, epoch: number): boolean {
  return (parseSession(record)?.createdVersion ?? record.version) < epoch;
}

/** The session as a raise of its epochs spares it: the commit that writes it is the one that makes it. */
export function withoutCreatedVersion({ createdVersion: _, ...session }: Session): Session {
  return session;
}

/** `model.ts`'s rule. `epoch` is the highest of the session's epochs, read at the same moment or later. */
export function sessionState(found: VersionedSession, epoch: number, clock: WallClock): SessionState {
  const { session } = found;
  if (session.revokedAt !== undefined || createdVersionOf(found) < epoch) return "dead";
  if (session.expiresAt === null || session.expiresAt > clock.now()) return "live";
  return isCertainlyPast(clock, session.expiresAt) ? "expired" : "unsure";
}

/** Nobody is told that a session is over, or given anything for it, while clocks disagree on it. */
export function expiryUnknown(): AuthError {
  return new AuthError("unavailable", {
    detail: "clocks disagree on whether the session has expired",
    retryAfterSeconds: 5,
  });
}

/**
 * The part of a step that writes a session. The record outlives every access token of it, but not a revoked long-lived
 * one: a session without a record is as dead, only the cause is not known any more.
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

/** A revoked session hands out nothing more, so its last token ends a lifetime after the revoke at the latest. */
function lastTokenExpiry(session: Session): number | null {
  const { revokedAt, accessTokenTtl } = session;
  const isLongLived = session.type === "long_lived_access_token";
  if (revokedAt !== undefined)
    return revokedAt + (isLongLived ? Math.min(accessTokenTtl, longLivedTombstoneMs) : accessTokenTtl);
  return isLongLived ? session.createdAt + accessTokenTtl : null;
}

/** Whose a session is, as far as it can be cut off with others. */
export interface SessionOwner {
  readonly userId: string;
  readonly clientId: string | null;
}

/** The versions of the epoch records that a session stands under; 0 for one that was never raised. */
export interface Epochs {
  readonly user: number;
  readonly all: number;
  readonly client: number;
}

/** The keys of these records, in the order in which `epochsOf` takes them. */
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

/** Of one user's sessions at several clients, by client; at one moment. */
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

/** All numbers come from one rising sequence, so that one is enough to stand for three. */
export function highestEpoch({ user, all, client }: Epochs): number {
  return Math.max(user, all, client);
}

/** The part of every commit that writes a live session: what would have ended it has not happened meanwhile. */
export function epochChecks(owner: SessionOwner, epochs: Epochs): NonNullable<Step["check"]> {
  const versions = [epochs.user, epochs.all, epochs.client];
  return epochKeys(owner).map((key, place) => ({ key, version: versions[place] ?? 0 }));
}

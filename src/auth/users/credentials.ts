import { Type } from "typebox";
import { Compile } from "typebox/compile";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import { newId, nobodysId } from "../ids.ts";
import type { Credential } from "../model.ts";
import { indexKeys, providerKey, recordKeys } from "../record-keys.ts";
import { mergeSteps, readRecord, type Step, type Store, type StoredRecord } from "../store.ts";

/** Credentials: found by (provider type, provider id, subject), one per provider for each user. */
export interface Credentials {
  /** Reads as often for a subject that nobody has, so that the time does not tell. */
  find(
    providerType: string,
    providerId: string | null,
    subject: string,
  ): Promise<{ readonly credential: Credential; readonly version: number } | undefined>;
  get(
    credentialId: string,
  ): Promise<{ readonly credential: Credential; readonly version: number } | undefined>;
  /** Like `get`, but undefined for a damaged record. */
  getIfValid(
    credentialId: string,
  ): Promise<{ readonly credential: Credential; readonly version: number } | undefined>;
  list(userId: string): Promise<readonly Credential[]>;
  /** The credentials of several users, in the order of `userIds`. */
  listForUsers(userIds: readonly string[]): Promise<readonly (readonly Credential[])[]>;
  /**
   * The part of a commit that links a new credential. Its checks make it unique for its subject and for its user. The
   * caller's commit must check the user's version too, so that nothing is linked to a user who is being removed.
   */
  linkStep(credential: Credential): Step;
  /** The part of a commit that unlinks it and removes its password record. */
  unlinkStep(credential: Credential): Step;
}

const CredentialRecord = Compile(
  Type.Object({
    id: Type.String(),
    userId: Type.String(),
    providerType: Type.String(),
    providerId: Type.Union([Type.String(), Type.Null()]),
    subject: Type.String(),
    createdAt: Type.Number(),
    linked: Type.Optional(Type.Boolean()),
  }),
);
const Claim = Compile(Type.Object({ credential_id: Type.String() }));

/** More than any user has providers. */
const pageSize = 1000;

/** What only the removal of a user needs. */
export interface CredentialRemoval {
  /**
   * The part of a commit that unlinks all credentials of a user, if they have not changed since the call. Undefined
   * if there are none. For a damaged record only that record is removed: the records that point to it are not known,
   * and point to nothing from then on.
   */
  unlinkAllStep(userId: string): Promise<Step | undefined>;
}

export function createCredentials(store: Store): Credentials & CredentialRemoval {
  const get = async (credentialId: string) => {
    const record = await readRecord(store, recordKeys.credential(credentialId));
    return record && { credential: credentialOf(record), version: record.version };
  };
  return {
    async find(providerType, providerId, subject) {
      const claim = await readRecord(
        store,
        recordKeys.credentialOf(providerKey(providerType, providerId), subject),
      );
      if (claim === undefined) {
        await get(nobodysId);
        return undefined;
      }
      if (!Claim.Check(claim.value)) throw damaged("claim");
      return await get(claim.value.credential_id);
    },
    get,
    async getIfValid(credentialId) {
      const record = await readRecord(store, recordKeys.credential(credentialId));
      return record !== undefined && CredentialRecord.Check(record.value)
        ? { credential: record.value, version: record.version }
        : undefined;
    },
    async list(userId) {
      const found = (await readAll(store, userId)).map(({ record }) => credentialOf(record));
      return found.sort((a, b) => a.createdAt - b.createdAt);
    },
    async listForUsers(userIds) {
      const ids = await Promise.all(
        userIds.map((userId) => store.list(indexKeys.credentialsOf(userId), { limit: pageSize })),
      );
      const records = await store.get(ids.flat().map(recordKeys.credential));
      const owned = userIds.map((): Credential[] => []);
      let place = 0;
      for (const [user, own] of ids.entries()) {
        for (const record of records.slice(place, place + own.length))
          if (record !== undefined) owned[user]?.push(credentialOf(record));
        place += own.length;
      }
      return owned.map((credentials) => credentials.sort((a, b) => a.createdAt - b.createdAt));
    },
    linkStep,
    unlinkStep,
    async unlinkAllStep(userId) {
      const found = await readAll(store, userId);
      if (found.length === 0) return undefined;
      const check = found.map(({ id, record }) => ({
        key: recordKeys.credential(id),
        version: record.version,
      }));
      return mergeSteps({ check }, ...found.map((each) => unlinkStoredStep(userId, each)));
    },
  };
}

interface StoredCredential {
  readonly id: string;
  readonly record: StoredRecord;
}

async function readAll(store: Store, userId: string): Promise<readonly StoredCredential[]> {
  const ids = await store.list(indexKeys.credentialsOf(userId), { limit: pageSize });
  if (ids.length === 0) return [];
  const records = await store.get(ids.map(recordKeys.credential));
  return ids.flatMap((id, place) => {
    const record = records[place];
    return record === undefined ? [] : [{ id, record }];
  });
}

/** A credential that is stored nowhere yet, see `Credentials.linkStep`. */
export function newCredential(
  clock: Clock,
  [providerType, providerId]: readonly [type: string, id: string | null],
  subject: string,
  userId: string,
): Credential {
  return { id: newId(), userId, providerType, providerId, subject, createdAt: clock.now() };
}

/** The three records of a credential: itself, and the two that make it unique. */
function keysOf(credential: Credential) {
  const provider = providerKey(credential.providerType, credential.providerId);
  return {
    itself: recordKeys.credential(credential.id),
    bySubject: recordKeys.credentialOf(provider, credential.subject),
    byUser: recordKeys.credentialSlot(credential.userId, provider),
    /** The local provider's verifier; other providers have none. */
    password: recordKeys.password(provider, credential.subject),
  };
}

function linkStep(credential: Credential): Step {
  const keys = keysOf(credential);
  const claim = { credential_id: credential.id };
  return {
    check: [keys.itself, keys.bySubject, keys.byUser].map((key) => ({ key, version: 0 })),
    put: [
      { key: keys.itself, value: { ...credential } },
      { key: keys.bySubject, value: claim },
      { key: keys.byUser, value: claim },
    ],
    link: [{ index: indexKeys.credentialsOf(credential.userId), member: credential.id }],
  };
}

function unlinkStep(credential: Credential): Step {
  const keys = keysOf(credential);
  return {
    remove: [keys.itself, keys.bySubject, keys.byUser, keys.password],
    unlink: [
      { index: indexKeys.credentialsOf(credential.userId), member: credential.id },
      { index: indexKeys.importedPasswords, member: credential.id },
    ],
  };
}

function unlinkStoredStep(userId: string, { id, record }: StoredCredential): Step {
  if (CredentialRecord.Check(record.value)) return unlinkStep(record.value);
  return {
    remove: [recordKeys.credential(id)],
    unlink: [{ index: indexKeys.credentialsOf(userId), member: id }],
  };
}

/** The credential that a step links, if it links one. */
export function credentialIn(step: Step): Credential | undefined {
  for (const { value } of step.put ?? []) if (CredentialRecord.Check(value)) return value;
  return undefined;
}

function credentialOf(record: StoredRecord): Credential {
  const { value } = record;
  if (CredentialRecord.Check(value)) return value;
  throw damaged("record");
}

function damaged(what: string): AuthError {
  return new AuthError("unavailable", { detail: `a credential's ${what} is damaged` });
}

import { recordKeys } from "../record-keys.ts";
import type { RecordKey, Step, Store, StoredRecord } from "../store.ts";

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

export function epochsOf([user, all, client]: readonly (StoredRecord | undefined)[]): Epochs {
  return { user: user?.version ?? 0, all: all?.version ?? 0, client: client?.version ?? 0 };
}

export async function readEpochs(store: Store, owner: SessionOwner): Promise<Epochs> {
  return epochsOf(await store.get(epochKeys(owner)));
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
    byClient.set(owner.clientId, epochsOf(records.slice(place, place + count)));
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
export function checkingEpochs(owner: SessionOwner, epochs: Epochs): NonNullable<Step["check"]> {
  const versions = [epochs.user, epochs.all, epochs.client];
  return epochKeys(owner).map((key, place) => ({ key, version: versions[place] ?? 0 }));
}

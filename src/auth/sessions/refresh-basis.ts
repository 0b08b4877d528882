import { AuthError } from "../errors.ts";
import { LeastRecentlyUsed } from "../least-recently-used.ts";
import type { Session, User } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { readRecord, type Store, type StoredRecord } from "../store.ts";
import { userOf } from "../users/user-record.ts";
import { type Epochs, epochKeys, epochsOf, type SessionOwner } from "./session-epochs.ts";
import { sessionOf } from "./session-record.ts";

/** What a refresh is decided on, and the versions by which its commit checks that all of it still holds. */
export interface RefreshBasis {
  readonly session: Session;
  readonly version: number;
  readonly user: User;
  readonly userVersion: number;
  readonly epochs: Epochs;
}

export interface RefreshBases {
  /**
   * Of an earlier refresh on this node. It may be out of date: good enough to try a commit that checks it, never to
   * refuse anybody or to end anything.
   */
  known(sessionId: string): RefreshBasis | undefined;
  /** As the store has it, at one moment or so that the commit finds out. Throws `invalid_grant` for one that is gone. */
  read(sessionId: string): Promise<RefreshBasis>;
  /** After a commit that was decided on it. */
  keep(basis: RefreshBasis): void;
}

/** Of each about 1 KiB. */
const keptBases = 10_000;
const knownOwners = 10_000;

export function createRefreshBases(store: Store): RefreshBases {
  const bases = new LeastRecentlyUsed<string, RefreshBasis>(keptBases);
  return {
    known: (sessionId) => bases.get(sessionId),
    read: createReader(store),
    keep: (basis) => bases.set(basis.session.id, basis),
  };
}

/**
 * Session, user and epochs in one read where the session's user and client are known, which never change. In two reads
 * the session comes first; the commit checks all of them.
 */
function createReader(store: Store): RefreshBases["read"] {
  const owners = new LeastRecentlyUsed<string, SessionOwner>(knownOwners);
  return async (sessionId) => {
    const key = recordKeys.session(sessionId);
    const known = owners.get(sessionId);
    if (known !== undefined) {
      const [session, ...rest] = await store.get([key, recordKeys.user(known.userId), ...epochKeys(known)]);
      return basisOf(session, rest);
    }
    const session = await readRecord(store, key);
    if (session === undefined) throw new AuthError("invalid_grant");
    const { userId, clientId } = sessionOf(session).session;
    const rest = await store.get([recordKeys.user(userId), ...epochKeys({ userId, clientId })]);
    owners.set(sessionId, { userId, clientId });
    return basisOf(session, rest);
  };
}

function basisOf(
  record: StoredRecord | undefined,
  [user, ...epochs]: readonly (StoredRecord | undefined)[],
): RefreshBasis {
  if (record === undefined || user === undefined) throw new AuthError("invalid_grant");
  return {
    ...sessionOf(record),
    user: userOf(user),
    userVersion: user.version,
    epochs: epochsOf(epochs),
  };
}

import { timingSafeEqual } from "node:crypto";
import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../../errors.ts";
import { nobodysId } from "../../ids.ts";
import type { Peer } from "../../model.ts";
import { digestOfCode, readableCode } from "../../passwords/readable-code.ts";
import { recordKeys } from "../../record-keys.ts";
import { readRecord, retryConflicts, type StoredRecord } from "../../store.ts";
import { mayLogIn } from "../../users/account-status.ts";
import type { ReadLocalLogin } from "./login-record.ts";
import { type LocalLoginTools, ownLogin } from "./own-login.ts";
import type { ProviderParts } from "./proved-login.ts";
import { ownerOf } from "./proved-login.ts";

/**
 * One code for each user, hashed. It lets whoever has it set a new password, once. Whoever sets a password in another way
 * removes it, and so does the user's removal; of another login of the user it is worth nothing.
 */
const ResetCode = Type.Object({
  hash: Type.String(),
  credential_id: Type.String(),
  expires_at: Type.Number(),
  /** The owner or the command line made it. Others make none that is good for the owner. */
  by_owner: Type.Boolean(),
});
const resetCode = Compile(ResetCode);

/** As long as NIST SP 800-63B-4 (section 4.2.1.3) gives a recovery code that is sent by mail. */
const lifeMs = 86_400_000;

export interface IssuedResetCode {
  readonly code: string;
  /** ms */
  readonly expiresAt: number;
}

/** Takes the place of the user's earlier code. Throws `user_not_found`, `credentials_not_found`. */
export async function createResetCode(
  tools: LocalLoginTools,
  userId: string,
  byOwner: boolean,
): Promise<IssuedResetCode> {
  if ((await tools.users.read(userId)) === undefined) throw new AuthError("user_not_found");
  const { login } = await ownLogin(tools, userId);
  const code = `RESET-${readableCode()}`;
  const expiresAt = tools.clock.now() + lifeMs;
  const value = {
    hash: digestOfCode(code).toString("base64url"),
    credential_id: login.credentialId,
    expires_at: expiresAt,
    by_owner: byOwner,
  };
  await tools.store.commit({ put: [{ key: recordKeys.passwordReset(userId), value, expiresAt }] });
  return { code, expiresAt };
}

/** False if the user has no live code. */
export async function cancelResetCode(
  { store, clock, users }: LocalLoginTools,
  userId: string,
): Promise<boolean> {
  if ((await users.read(userId)) === undefined) throw new AuthError("user_not_found");
  const key = recordKeys.passwordReset(userId);
  return await retryConflicts(async () => {
    const record = await readRecord(store, key);
    if (record === undefined) return false;
    const outcome = await store.commit({ check: [{ key, version: record.version }], remove: [key] });
    return outcome.ok ? expiryOf(record) > clock.now() : undefined;
  });
}

function expiryOf({ value }: StoredRecord): number {
  return resetCode.Check(value) ? value.expires_at : 0;
}

/** A live code of the login's user, and the versions that it is good for. */
export interface LiveResetCode {
  readonly userId: string;
  readonly userVersion: number;
  /** Of the code's record. */
  readonly version: number;
}

/**
 * The live code of the login's user, if `code` is it, or whatever it is, if that is undefined. After the same look-ups for a
 * name that nobody has, a user who may not log in from there, and a wrong code.
 */
export async function findResetCode(
  parts: Pick<ProviderParts, "store" | "clock" | "credentials" | "users" | "id">,
  found: ReadLocalLogin | undefined,
  { username, code }: { readonly username: string; readonly code: string | undefined },
  peer: Peer,
): Promise<LiveResetCode | undefined> {
  const owner = (await ownerOf(parts, username))?.versionedUser;
  const userId = owner?.user.id ?? nobodysId;
  const record = await readRecord(parts.store, recordKeys.passwordReset(userId));
  if (record === undefined || !resetCode.Check(record.value)) return undefined;
  const { hash, credential_id, expires_at, by_owner } = record.value;
  const isRight = code === undefined || timingSafeEqual(digestOfCode(code), Buffer.from(hash, "base64url"));
  const isOfLogin = found?.login.closed === false && found.login.credentialId === credential_id;
  if (owner === undefined || !isRight || !isOfLogin || parts.clock.now() >= expires_at) return undefined;
  const { user, version: userVersion } = owner;
  if (!mayLogIn(user, peer) || (user.isOwner && !by_owner)) return undefined;
  return { userId, userVersion, version: record.version };
}

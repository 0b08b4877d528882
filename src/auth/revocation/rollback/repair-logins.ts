import type { Clock } from "../../clock/clock.ts";
import type { Credential, LogEvent } from "../../model.ts";
import {
  localLoginKey,
  localLoginPut,
  passwordVersionOf,
  readLocalLoginIfValid,
} from "../../providers/homeassistant/login-record.ts";
import { isLocalCredential } from "../../providers/homeassistant/own-login.ts";
import { recordKeys } from "../../record-keys.ts";
import type { LoopYielder } from "../../scheduling/loop-yielder.ts";
import { findReadableSession, listSessions } from "../../sessions/session-reading.ts";
import type { Step, Store } from "../../store.ts";
import { mergeSteps } from "../../store.ts";
import type { Credentials } from "../../users/credentials.ts";
import type { LoginChange } from "../revocation-cache.ts";
import type { RecordRepairs, Repair } from "./repair-records.ts";

export interface LoginRepairTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly yielder: LoopYielder;
  readonly credentials: Pick<Credentials, "getIfValid" | "unlinkStep">;
}

/**
 * Re-applies login changes after a rollback of the store. A login that was removed is removed again, with the
 * sessions that it has opened since. A login whose password was changed has its old password again, and only its user
 * knows the new one. So nobody logs in with it until the password is set again, and the user's sessions end, except
 * the one that had asked for the change. A damaged record does not block the recovery.
 */
export function createLoginRepair(tools: LoginRepairTools): RecordRepairs["ofLogin"] {
  return async (credentialId, change) => {
    const found = await tools.credentials.getIfValid(credentialId);
    if (change.change === "removed") return repairRemoval(tools, found, credentialId, change);
    return found && repairPassword(tools, found.credential, change);
  };
}

interface FoundCredential {
  readonly credential: Credential;
  readonly version: number;
}

/**
 * After the credential is removed no session is opened with it. One may have been opened between the read and the
 * commit.
 */
async function repairRemoval(
  tools: LoginRepairTools,
  found: FoundCredential | undefined,
  id: string,
  change: LoginChange,
): Promise<Repair | undefined> {
  const { userId } = change;
  const sessionIds = (await listSessions(tools, userId))
    .filter(({ credentialId, type }) => credentialId === id && type === "normal")
    .map((session) => session.id);
  if (found === undefined && sessionIds.length === 0) return undefined;
  const step = found === undefined ? {} : unlinkAgainStep(tools, found, change);
  return { step, revokes: { target: { kind: "sessions", userId, sessionIds }, cause: "credential_removed" } };
}

function unlinkAgainStep(
  tools: LoginRepairTools,
  { credential, version }: FoundCredential,
  change: LoginChange,
): Step {
  const check = [{ key: recordKeys.credential(credential.id), version }];
  return mergeSteps({ check }, tools.credentials.unlinkStep(credential), logAgainStep(credential.id, change));
}

async function repairPassword(
  tools: LoginRepairTools,
  credential: Credential,
  change: LoginChange,
): Promise<Repair | undefined> {
  if (!isLocalCredential(credential)) return undefined;
  const found = await readLocalLoginIfValid(tools.store, credential.providerId, credential.subject);
  if (found === undefined || found.login.credentialId !== credential.id || found.login.replaced)
    return undefined;
  if (passwordVersionOf(found) >= change.version) return undefined;
  const { login, version } = found;
  const step = mergeSteps(
    {
      check: [{ key: localLoginKey(login.providerId, login.username), version }],
      put: localLoginPut({ ...login, replaced: true, passwordVersion: change.version }),
      // It may be the code that the lost password was set with, which is used up.
      remove: [recordKeys.passwordReset(credential.userId)],
    },
    logAgainStep(credential.id, change),
  );
  const { userId } = credential;
  const target = { kind: "user", userId, ...(await readSpared(tools, change)) } as const;
  return { step, revokes: { target, cause: "password_changed" } };
}

async function readSpared(tools: LoginRepairTools, { userId, except }: LoginChange) {
  const found = except === null ? undefined : await findReadableSession(tools, except);
  return found?.state === "live" && found.session.userId === userId ? { except: found.session.id } : {};
}

function logAgainStep(credentialId: string, { userId, change, except, version }: LoginChange): Step {
  const event: LogEvent = { type: "login_changed", userId, credentialId, change, except, version };
  return { log: [{ ...event }] };
}

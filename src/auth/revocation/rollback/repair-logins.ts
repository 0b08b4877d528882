import type { Clock } from "../../clock/clock.ts";
import type { Credential, LogEvent } from "../../model.ts";
import {
  localLoginKey,
  passwordVersionOf,
  puttingLocalLogin,
  readableLocalLogin,
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
  readonly credentials: Pick<Credentials, "readable" | "unlinking">;
}

/**
 * What a login is again in a store that went back in time. One that was removed is so again, with the sessions that it has
 * opened since. One whose password was changed since has the old one, and the new one is not known to anybody but its
 * person: nobody logs in with it until the password is set again, and what was opened with it since is over, but for the
 * session that had asked for the change. A damaged record keeps nothing up.
 */
export function createLoginRepair(tools: LoginRepairTools): RecordRepairs["ofLogin"] {
  return async (credentialId, cut) => {
    const found = await tools.credentials.readable(credentialId);
    if (cut.change === "removed") return repairRemoval(tools, found, credentialId, cut);
    return found && repairPassword(tools, found.credential, cut);
  };
}

interface Found {
  readonly credential: Credential;
  readonly version: number;
}

/** Once the credential is gone no session is opened with it; one may have been between look and commit. */
async function repairRemoval(
  tools: LoginRepairTools,
  found: Found | undefined,
  id: string,
  cut: LoginChange,
): Promise<Repair | undefined> {
  const { userId } = cut;
  const sessionIds = (await listSessions(tools, userId))
    .filter(({ credentialId, type }) => credentialId === id && type === "normal")
    .map((session) => session.id);
  if (found === undefined && sessionIds.length === 0) return undefined;
  const step = found === undefined ? {} : unlinkAgainStep(tools, found, cut);
  return { step, revokes: { target: { kind: "sessions", userId, sessionIds }, cause: "credential_removed" } };
}

function unlinkAgainStep(tools: LoginRepairTools, { credential, version }: Found, cut: LoginChange): Step {
  const check = [{ key: recordKeys.credential(credential.id), version }];
  return mergeSteps({ check }, tools.credentials.unlinking(credential), logAgainStep(credential.id, cut));
}

async function repairPassword(
  tools: LoginRepairTools,
  credential: Credential,
  cut: LoginChange,
): Promise<Repair | undefined> {
  if (!isLocalCredential(credential)) return undefined;
  const found = await readableLocalLogin(tools.store, credential.providerId, credential.subject);
  if (found === undefined || found.login.credentialId !== credential.id || found.login.replaced)
    return undefined;
  if (passwordVersionOf(found) >= cut.version) return undefined;
  const { login, version } = found;
  const step = mergeSteps(
    {
      check: [{ key: localLoginKey(login.providerId, login.username), version }],
      put: puttingLocalLogin({ ...login, replaced: true, passwordVersion: cut.version }),
    },
    logAgainStep(credential.id, cut),
  );
  const { userId } = credential;
  const target = { kind: "user", userId, ...(await readSpared(tools, cut)) } as const;
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

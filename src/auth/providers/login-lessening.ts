import type { Clock } from "../clock.ts";
import { joinedStep } from "../joined-step.ts";
import type { LoopSlices } from "../loop-slices.ts";
import type { Credential, LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { LoginCut } from "../revocation/memory.ts";
import type { Lessening, Lessenings } from "../revocation/record-reassertion.ts";
import { findReadableSession, listSessions } from "../sessions/session-reading.ts";
import type { Step, Store } from "../store.ts";
import type { Credentials } from "../users/credentials.ts";
import {
  localLoginKey,
  passwordVersionOf,
  puttingLocalLogin,
  readableLocalLogin,
} from "./local-login-record.ts";
import { isLocalCredential } from "./own-login.ts";

export interface LoginLesseningTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly slices: LoopSlices;
  readonly credentials: Pick<Credentials, "readable" | "unlinking">;
}

/**
 * What a login is again in a store that went back in time. One that was removed is so again, with the sessions that it has
 * opened since. One whose password was changed since has the old one, and the new one is not known to anybody but its
 * person: nobody logs in with it until the password is set again, and what was opened with it since is over, but for the
 * session that had asked for the change. A damaged record keeps nothing up.
 */
export function createLoginLessening(tools: LoginLesseningTools): Lessenings["ofLogin"] {
  return async (credentialId, cut) => {
    const found = await tools.credentials.readable(credentialId);
    if (cut.change === "removed") return removal(tools, found, credentialId, cut);
    return found && withoutPassword(tools, found.credential, cut);
  };
}

interface Found {
  readonly credential: Credential;
  readonly version: number;
}

/** Once the credential is gone no session is opened with it; one may have been between look and commit. */
async function removal(
  tools: LoginLesseningTools,
  found: Found | undefined,
  id: string,
  cut: LoginCut,
): Promise<Lessening | undefined> {
  const { userId } = cut;
  const sessionIds = (await listSessions(tools, userId))
    .filter(({ credentialId, type }) => credentialId === id && type === "normal")
    .map((session) => session.id);
  if (found === undefined && sessionIds.length === 0) return undefined;
  const step = found === undefined ? {} : unlinkingAgain(tools, found, cut);
  return { step, ends: { target: { kind: "sessions", userId, sessionIds }, cause: "credential_removed" } };
}

function unlinkingAgain(tools: LoginLesseningTools, { credential, version }: Found, cut: LoginCut): Step {
  const check = [{ key: recordKeys.credential(credential.id), version }];
  return joinedStep({ check }, tools.credentials.unlinking(credential), tellingAgain(credential.id, cut));
}

async function withoutPassword(
  tools: LoginLesseningTools,
  credential: Credential,
  cut: LoginCut,
): Promise<Lessening | undefined> {
  if (!isLocalCredential(credential)) return undefined;
  const found = await readableLocalLogin(tools.store, credential.subject);
  if (found === undefined || found.login.credentialId !== credential.id || found.login.replaced)
    return undefined;
  if (passwordVersionOf(found) >= cut.version) return undefined;
  const { login, version } = found;
  const step = joinedStep(
    {
      check: [{ key: localLoginKey(login.username), version }],
      put: puttingLocalLogin({ ...login, replaced: true, passwordVersion: cut.version }),
    },
    tellingAgain(credential.id, cut),
  );
  const { userId } = credential;
  const target = { kind: "user", userId, ...(await spared(tools, cut)) } as const;
  return { step, ends: { target, cause: "password_changed" } };
}

async function spared(tools: LoginLesseningTools, { userId, spare }: LoginCut) {
  const found = spare === null ? undefined : await findReadableSession(tools, spare);
  return found?.state === "live" && found.session.userId === userId ? { spare: found.session.id } : {};
}

function tellingAgain(credentialId: string, { userId, change, spare, version }: LoginCut): Step {
  const event: LogEvent = { type: "login_changed", userId, credentialId, change, spare, version };
  return { log: [{ ...event }] };
}

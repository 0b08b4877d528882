import { AuthError } from "../../errors.ts";
import type { LogEvent, Principal } from "../../model.ts";
import { listParameters } from "../../passwords/parameters-in-use.ts";
import { checkPasswordIsNotName } from "../../passwords/password-rules.ts";
import type { RevokeTarget } from "../../revocation/receipt.ts";
import type { Attempt, ChargeAttempt } from "../../throttling/attempts.ts";
import { counterOf } from "../../throttling/counter-record.ts";
import { localLoginKey, localLoginPut } from "./login-record.ts";
import { type LocalLoginTools, type OwnLogin, ownLogin } from "./own-login.ts";

/** The current password is a login secret, so guesses at it are limited, and charged before they are hashed. */
export async function changeOwnPassword(
  tools: LocalLoginTools,
  charge: ChargeAttempt,
  principal: Principal,
  passwords: { readonly current: string; readonly next: string },
): Promise<void> {
  const { userId, sessionId } = principal;
  const own = await ownLogin(tools, userId);
  await checkRules(tools, own, passwords.next);
  const attempt = await charge(counterOf.passwordChange(userId));
  await prove(tools, own, passwords.current, attempt);
  await replace(tools, own, passwords.next, { kind: "user", userId, except: sessionId });
}

/** For administrators. All sessions of the user end, because somebody else may know the old password. */
export async function setPassword(tools: LocalLoginTools, userId: string, password: string): Promise<void> {
  if ((await tools.users.read(userId)) === undefined) throw new AuthError("user_not_found");
  const own = await ownLogin(tools, userId);
  await checkRules(tools, own, password);
  await replace(tools, own, password, { kind: "user", userId });
}

async function checkRules(tools: LocalLoginTools, own: OwnLogin, password: string): Promise<void> {
  await tools.passwords.check(password);
  checkPasswordIsNotName(password, own.login.username);
}

async function prove(
  tools: LocalLoginTools,
  { credential, login }: OwnLogin,
  password: string,
  attempt: Attempt,
): Promise<void> {
  try {
    const { ok } = await tools.passwords.verify(password, login.verifier, {
      key: `user:${credential.userId}`,
      reserved: true,
    });
    if (!ok) throw new AuthError("invalid_current_password");
  } catch (error) {
    if (error instanceof AuthError && error.code === "overloaded") await attempt.refund();
    throw error;
  }
  await attempt.succeeded();
}

/** One commit stores the new verifier and ends the sessions, so no session outlives the password that opened it. */
async function replace(
  tools: LocalLoginTools,
  { credential, login, version }: OwnLogin,
  password: string,
  target: Extract<RevokeTarget, { kind: "user" }>,
): Promise<void> {
  const verifier = await tools.passwords.enrol(password, `user:${credential.userId}`);
  await listParameters(tools.store, tools.passwords.parameters);
  const { providerId, username, credentialId, closed } = login;
  const { userId, except = null } = target;
  const event: LogEvent = { type: "login_changed", userId, credentialId, change: "password", except };
  const also = {
    check: [{ key: localLoginKey(providerId, username), version }],
    put: localLoginPut({
      providerId,
      username,
      credentialId,
      closed,
      verifier,
      changedAt: tools.clock.now(),
    }),
    log: [{ ...event }],
  };
  await tools.revocation.revoke(target, "password_changed", { also });
}

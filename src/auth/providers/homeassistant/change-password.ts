import { AuthError } from "../../errors.ts";
import type { LogEvent, Principal } from "../../model.ts";
import { isImported } from "../../passwords/imported/imported-hash.ts";
import { listParameters, retireImported } from "../../passwords/parameters-in-use.ts";
import { checkPasswordIsNew, checkPasswordIsNotName } from "../../passwords/password-rules.ts";
import type { Verifier } from "../../passwords/passwords.ts";
import { parametersOf } from "../../passwords/verifier.ts";
import { recordKeys } from "../../record-keys.ts";
import type { RevokeTarget } from "../../revocation/receipt.ts";
import type { Revocation } from "../../revocation/revocation.ts";
import { mergeSteps, type Step } from "../../store.ts";
import type { Attempt, ChargeAttempt } from "../../throttling/attempts.ts";
import { counterOf } from "../../throttling/counter-record.ts";
import { localLoginKey, localLoginPut, noLongerImported } from "./login-record.ts";
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
  checkPasswordIsNew(passwords.next, passwords.current);
  const attempt = await charge(counterOf.passwordChange(userId));
  await prove(tools, own, passwords.current, attempt);
  await replacePassword(tools, own, await enrol(tools, own, passwords.next), {
    kind: "user",
    userId,
    except: sessionId,
  });
}

/** For administrators. All sessions of the user end, because somebody else may know the old password. */
export async function setPassword(tools: LocalLoginTools, userId: string, password: string): Promise<void> {
  if ((await tools.users.read(userId)) === undefined) throw new AuthError("user_not_found");
  const own = await ownLogin(tools, userId);
  await checkRules(tools, own, password);
  await replacePassword(tools, own, await enrol(tools, own, password), { kind: "user", userId });
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

async function enrol(tools: LocalLoginTools, { credential }: OwnLogin, password: string): Promise<Verifier> {
  return await tools.passwords.enrol(password, `user:${credential.userId}`);
}

/**
 * One commit stores the new verifier and ends the sessions, so no session outlives the password that opened it. A reset
 * code of the user goes too. `step` is committed with it.
 */
export async function replacePassword(
  tools: Pick<LocalLoginTools, "store" | "clock"> & { readonly revocation: Pick<Revocation, "revoke"> },
  { login, version }: Pick<OwnLogin, "login" | "version">,
  verifier: Verifier,
  target: Extract<RevokeTarget, { kind: "user" }>,
  step: Step = {},
): Promise<void> {
  await listParameters(tools.store, parametersOf(verifier));
  const { providerId, username, credentialId, closed } = login;
  const { userId, except = null } = target;
  const event: LogEvent = { type: "login_changed", userId, credentialId, change: "password", except };
  const changed: Step = {
    check: [{ key: localLoginKey(providerId, username), version }],
    put: localLoginPut({
      providerId,
      username,
      credentialId,
      closed,
      verifier,
      changedAt: tools.clock.now(),
    }),
    remove: [recordKeys.passwordReset(userId)],
    log: [{ ...event }],
    ...noLongerImported(login),
  };
  await tools.revocation.revoke(target, "password_changed", { also: mergeSteps(changed, step) });
  if (isImported(login.verifier)) await retireImported(tools.store);
}

import { NEW_PASSWORD_STEP } from "../../../../protocol/reset-code.ts";
import { AuthError } from "../../errors.ts";
import { isImported } from "../../passwords/imported/imported-hash.ts";
import { checkPasswordIsNotName } from "../../passwords/password-rules.ts";
import type { Verifier } from "../../passwords/passwords.ts";
import { verifierFromJson, verifierToJson } from "../../passwords/verifier.ts";
import { recordKeys } from "../../record-keys.ts";
import type { Revocation } from "../../revocation/revocation.ts";
import { type Checks, type JsonObject, mergeSteps, type Step } from "../../store.ts";
import type { AskingForm, ConcludedLogin, ProviderContext, ProviderStep } from "../provider.ts";
import { replacePassword } from "./change-password.ts";
import { localLoginKey, type ReadLocalLogin, readLocalLogin } from "./login-record.ts";
import { done, type ProviderParts } from "./proved-login.ts";
import { findResetCode, type LiveResetCode } from "./reset-codes.ts";

type Parts = ProviderParts & { readonly revocation: Pick<Revocation, "revoke"> };

/** The form for a new password; undefined if the text is no live code of the login's user. */
export async function beginReset(
  parts: Parts,
  found: ReadLocalLogin | undefined,
  given: { readonly username: string; readonly code: string },
  { peer }: ProviderContext,
): Promise<ProviderStep | undefined> {
  const live = await findResetCode(parts, found, given, peer);
  if (live === undefined) return undefined;
  const state = { reset: { username: given.username, version: live.version } };
  return { ...formFor(state), userId: live.userId };
}

function formFor(state: JsonObject): AskingForm {
  return {
    kind: "form",
    stepId: NEW_PASSWORD_STEP,
    fields: [{ name: "new_password", type: "string", required: true }],
    state,
  };
}

/**
 * Takes the new password. It is set only at the end of the login, see `concludeReset`: a second factor that is enrolled is asked
 * for before, so that the code alone changes nothing. Whatever makes the code worth nothing meanwhile ends in `refused`.
 */
export async function finishReset(
  parts: Parts,
  { new_password: password }: Readonly<Record<string, unknown>>,
  state: JsonObject,
  { peer }: ProviderContext,
  refused: AskingForm,
): Promise<ProviderStep> {
  const { username, version } = resetIn(state);
  if (username === undefined || typeof password !== "string") return refused;
  const found = await readLocalLogin(parts.store, parts.id, username);
  const live = await findResetCode(parts, found, { username, code: undefined }, peer);
  if (found === undefined || live === undefined || live.version !== version) return refused;
  const problem = await problemOf(parts, password, username);
  if (problem !== undefined) {
    const errors = { new_password: "invalid_password" };
    return { ...formFor(state), errors, placeholders: { reason: problem }, userId: live.userId };
  }
  const verifier = await parts.passwords.enrol(password, `user:${live.userId}`);
  const proved = done(found);
  const evidence = [...proved.evidence, { key: recordKeys.passwordReset(live.userId), version }];
  const pending = { reset: { username, version }, verifier: verifierToJson(verifier) };
  return { ...proved, evidence, pending, userId: live.userId, form: refused };
}

/**
 * Sets the password that `finishReset` took, and uses the code up in the same commit. All sessions of the user end, as when
 * an administrator sets a password. Gives what the login is decided on from then on; undefined if the code, the login or
 * the user has changed meanwhile.
 */
export async function concludeReset(
  parts: Parts,
  pending: JsonObject,
  { evidence, peer, also }: ConcludedLogin,
): Promise<Checks | undefined> {
  const { username, version } = resetIn(pending);
  if (username === undefined) return undefined;
  const verifier = verifierFromJson(pending.verifier as JsonObject);
  const found = await readLocalLogin(parts.store, parts.id, username);
  const live = await findResetCode(parts, found, { username, code: undefined }, peer);
  if (found === undefined || live === undefined || live.version !== version) return undefined;
  const changed = await setByCode(parts, found, live, verifier, also);
  if (changed === undefined) return undefined;
  const replaced: readonly string[] = [
    localLoginKey(parts.id, username),
    recordKeys.passwordReset(live.userId),
  ];
  return [...evidence.filter(({ key }) => !replaced.includes(key)), ...done(changed).evidence];
}

/** The login with the new password, or undefined if something changed meanwhile. */
async function setByCode(
  parts: Parts,
  found: ReadLocalLogin,
  { userId, userVersion, version }: LiveResetCode,
  verifier: Verifier,
  also: Step,
): Promise<ReadLocalLogin | undefined> {
  const unchanged = [
    { key: recordKeys.passwordReset(userId), version },
    { key: recordKeys.user(userId), version: userVersion },
  ];
  try {
    await replacePassword(
      parts,
      found,
      verifier,
      { kind: "user", userId },
      mergeSteps({ check: unchanged }, also),
    );
  } catch (error) {
    if (error instanceof AuthError && error.code === "conflict") return undefined;
    throw error;
  }
  const now = await readLocalLogin(parts.store, parts.id, found.login.username);
  // Another password may have been set since, and the login rests on this one.
  const isOurs =
    now !== undefined &&
    !isImported(now.login.verifier) &&
    now.login.verifier.storedKey === verifier.storedKey;
  return isOurs ? now : undefined;
}

/** What is wrong with a new password, in words. */
async function problemOf(parts: Parts, password: string, username: string): Promise<string | undefined> {
  try {
    await parts.passwords.check(password);
    checkPasswordIsNotName(password, username);
    return undefined;
  } catch (error) {
    if (error instanceof AuthError && error.code === "invalid_password") return error.publicMessage;
    throw error;
  }
}

function resetIn({ reset }: JsonObject): { readonly username?: string; readonly version?: number } {
  if (typeof reset !== "object" || reset === null || !("username" in reset)) return {};
  const { username, version } = reset;
  return typeof username === "string" && typeof version === "number" ? { username, version } : {};
}

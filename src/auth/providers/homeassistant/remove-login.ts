import { AuthError } from "../../errors.ts";
import { isImported } from "../../passwords/imported/imported-hash.ts";
import { retireImported } from "../../passwords/parameters-in-use.ts";
import { mergeSteps, type Step } from "../../store.ts";
import { endCredential } from "../../users/end-credential.ts";
import { storedLoginName } from "./login-name.ts";
import {
  localLoginKey,
  localLoginPut,
  localType,
  type ReadLocalLogin,
  readLocalLogin,
} from "./login-record.ts";
import type { LocalLoginTools } from "./own-login.ts";

/**
 * 1. The login is closed: whatever was decided on its record fails, and no new login starts.
 * 2. One commit ends the credential's sessions and removes login and credential.
 * 3. A session that a code opened between the two listings ends after it: a code is not bound to the login's record,
 *    but to the credential, which is gone from step 2 on.
 * `also` is committed with 2, and its checks hold in 1 too: what must be there after the removal is there when the login
 * is closed. Cut short after 1 the login is still there, closed, and the whole is done again.
 */
export async function removeLogin(tools: LocalLoginTools, name: string, also: Step = {}): Promise<void> {
  const { providerId } = tools;
  const username = await storedLoginName(tools.credentials, providerId, name);
  const found = await readLocalLogin(tools.store, providerId, username);
  if (found === undefined) throw new AuthError("user_not_found");
  const version = found.login.closed ? found.version : await closeLogin(tools, found, also.check);
  const linked = await tools.credentials.find(localType, providerId, username);
  const credential = linked?.credential.id === found.login.credentialId ? linked.credential : undefined;
  if (credential === undefined) return await removeUnlinkedLogin(tools, username, version);
  const removal = {
    check: [{ key: localLoginKey(providerId, username), version }],
    remove: [localLoginKey(providerId, username)],
  };
  await endCredential(tools, credential, mergeSteps(also, removal));
  if (isImported(found.login.verifier)) await retireImported(tools.store);
}

async function closeLogin(
  tools: LocalLoginTools,
  { login, version }: ReadLocalLogin,
  check: Step["check"] = [],
): Promise<number> {
  const outcome = await tools.store.commit({
    check: [...check, { key: localLoginKey(login.providerId, login.username), version }],
    put: localLoginPut({ ...login, closed: true }),
  });
  if (!outcome.ok) throw new AuthError("conflict", { detail: "the login changed while it was removed" });
  return outcome.version;
}

/** Removes a login without a credential, which opened no session. */
async function removeUnlinkedLogin(tools: LocalLoginTools, username: string, version: number): Promise<void> {
  const key = localLoginKey(tools.providerId, username);
  const outcome = await tools.store.commit({ check: [{ key, version }], remove: [key] });
  if (!outcome.ok) throw new AuthError("conflict", { detail: "the login changed while it was removed" });
}

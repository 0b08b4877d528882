import { AuthError } from "../../errors.ts";
import type { Credential } from "../../model.ts";
import { providerKey, recordKeys } from "../../record-keys.ts";
import type { Step } from "../../store.ts";
import { mergeSteps } from "../../store.ts";
import { checkLoginName } from "./login-name.ts";
import { localLoginKey, localLoginPut, localType, passwordVersionOf } from "./login-record.ts";
import { freeVersion, loginConflict } from "./new-login.ts";
import { type LocalLoginTools, ownLogin } from "./own-login.ts";

/** Moves the login to another name. Credential, password and sessions stay. */
export async function renameLogin(tools: LocalLoginTools, userId: string, username: string): Promise<void> {
  const { store, credentials, users, providerId } = tools;
  if ((await users.read(userId)) === undefined) throw new AuthError("user_not_found");
  checkLoginName(username);
  const owned = await ownLogin(tools, userId);
  const { credential, login, version } = owned;
  if (username === login.username) return;
  const linked = await credentials.find(localType, providerId, login.username);
  if (linked?.credential.id !== credential.id) throw new AuthError("conflict");
  const free = await freeVersion(tools, username);
  const outcome = await store.commit(
    mergeSteps(renameCredentialStep(credential, linked.version, username), {
      check: [
        { key: localLoginKey(providerId, login.username), version },
        { key: localLoginKey(providerId, username), version: free },
      ],
      put: localLoginPut({ ...login, username, passwordVersion: passwordVersionOf(owned) }),
      remove: [localLoginKey(providerId, login.username)],
    }),
  );
  if (!outcome.ok) throw loginConflict(tools, outcome.conflict, userId, username);
}

/** The part of a commit that changes a credential's subject. Its id and its user's slot stay. */
function renameCredentialStep(credential: Credential, version: number, subject: string): Step {
  const provider = providerKey(credential.providerType, credential.providerId);
  const claim = recordKeys.credentialOf(provider, subject);
  return {
    check: [
      { key: recordKeys.credential(credential.id), version },
      { key: claim, version: 0 },
    ],
    put: [
      { key: recordKeys.credential(credential.id), value: { ...credential, subject } },
      { key: claim, value: { credential_id: credential.id } },
    ],
    remove: [recordKeys.credentialOf(provider, credential.subject)],
  };
}

import { randomBytes } from "node:crypto";

import { costText } from "../../passwords/imported/imported-cost.ts";
import { isImported } from "../../passwords/imported/imported-hash.ts";
import type { Verifier } from "../../passwords/passwords.ts";
import { keyBytes, saltBytes } from "../../passwords/verifier.ts";
import { indexKeys } from "../../record-keys.ts";
import { replacePassword } from "./change-password.ts";
import { readLocalLoginIfValid } from "./login-record.ts";
import { type LocalLoginTools, ownLogin } from "./own-login.ts";

/** A login whose password is an imported hash. */
export interface ImportedLogin {
  readonly userId: string;
  readonly providerId: string | null;
  readonly username: string;
  /** Of a check against the hash, for people. */
  readonly cost: string;
  readonly importedAt: number;
}

const pageSize = 200;

export async function listImported(tools: LocalLoginTools): Promise<readonly ImportedLogin[]> {
  const found: ImportedLogin[] = [];
  for (let after: string | undefined; ; ) {
    const page = await tools.store.list(indexKeys.importedPasswords, { after, limit: pageSize });
    for (const credentialId of page) {
      const imported = await readImported(tools, credentialId);
      if (imported !== undefined) found.push(imported);
    }
    after = page.at(-1);
    if (page.length < pageSize) return found;
  }
}

async function readImported(
  { store, credentials }: LocalLoginTools,
  credentialId: string,
): Promise<ImportedLogin | undefined> {
  const credential = (await credentials.getIfValid(credentialId))?.credential;
  if (credential === undefined) return undefined;
  const { userId, providerId, subject: username } = credential;
  const login = (await readLocalLoginIfValid(store, providerId, username))?.login;
  if (login === undefined || !isImported(login.verifier)) return undefined;
  return { userId, providerId, username, cost: costText(login.verifier.cost), importedAt: login.changedAt };
}

/** A verifier that no password has takes the place of the hash. The user's sessions end, as with every new password. */
export async function dropImported(tools: LocalLoginTools, userId: string): Promise<boolean> {
  const { passwords } = tools;
  const own = await ownLogin(tools, userId);
  if (!isImported(own.login.verifier)) return false;
  const random = (bytes: number) => randomBytes(bytes).toString("base64url");
  const keys = { storedKey: random(keyBytes), serverKey: random(keyBytes) };
  const verifier: Verifier = { salt: random(saltBytes), ...passwords.parameters, ...keys };
  await replacePassword(tools, own, verifier, { kind: "user", userId });
  return true;
}

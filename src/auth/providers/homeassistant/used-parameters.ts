import type { ScryptParameters } from "../../passwords/passwords.ts";
import { areSame } from "../../passwords/scrypt-parameters.ts";
import { parametersOf } from "../../passwords/verifier.ts";
import { indexKeys } from "../../record-keys.ts";
import type { Store } from "../../store.ts";
import type { Credentials } from "../../users/credentials.ts";
import { readLocalLoginIfValid } from "./login-record.ts";
import { isLocalCredential } from "./own-login.ts";

const pageSize = 200;

/** The distinct parameters of the stored verifiers. Reads every user, one after the other. */
export async function findUsedParameters({
  store,
  credentials,
}: {
  readonly store: Store;
  readonly credentials: Pick<Credentials, "list">;
}): Promise<readonly ScryptParameters[]> {
  const used: ScryptParameters[] = [];
  for (let after: string | undefined; ; ) {
    const from = after === undefined ? {} : { after };
    const page = await store.list(indexKeys.users, { limit: pageSize, ...from });
    for (const userId of page) {
      for (const { providerId, subject } of (await credentials.list(userId)).filter(isLocalCredential)) {
        const found = await readLocalLoginIfValid(store, providerId, subject);
        const parameters = found && parametersOf(found.login.verifier);
        if (parameters !== undefined && !used.some((each) => areSame(each, parameters)))
          used.push(parameters);
      }
    }
    after = page.at(-1);
    if (page.length < pageSize) return used;
  }
}

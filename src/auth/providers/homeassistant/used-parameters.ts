import { areSameCosts, type CostInUse } from "../../passwords/cost-in-use.ts";
import { costOfStored } from "../../passwords/verifier.ts";
import { indexKeys } from "../../record-keys.ts";
import type { Store } from "../../store.ts";
import type { Credentials } from "../../users/credentials.ts";
import { readLocalLoginIfValid } from "./login-record.ts";
import { isLocalCredential } from "./own-login.ts";

const pageSize = 200;

/** The distinct costs of the stored passwords. Reads every user, one after the other. */
export async function findUsedParameters({
  store,
  credentials,
}: {
  readonly store: Store;
  readonly credentials: Pick<Credentials, "list">;
}): Promise<readonly CostInUse[]> {
  const used: CostInUse[] = [];
  for (let after: string | undefined; ; ) {
    const from = after === undefined ? {} : { after };
    const page = await store.list(indexKeys.users, { limit: pageSize, ...from });
    for (const userId of page) {
      for (const { providerId, subject } of (await credentials.list(userId)).filter(isLocalCredential)) {
        const found = await readLocalLoginIfValid(store, providerId, subject);
        const cost = found && costOfStored(found.login.verifier);
        if (cost !== undefined && !used.some((each) => areSameCosts(each, cost))) used.push(cost);
      }
    }
    after = page.at(-1);
    if (page.length < pageSize) return used;
  }
}

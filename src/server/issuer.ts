import { recordKeys } from "../auth/record-keys.ts";
import { readRecord, type Store } from "../auth/store.ts";

/**
 * Leaves the gateway's issuer for commands beside it, which do not know its host and port: a token that they issue has
 * the same `iss`. Where nodes differ (no `public_url`) the last one that started counts.
 */
export async function rememberIssuer(store: Store, issuer: string): Promise<void> {
  if ((await rememberedIssuer(store)) === issuer) return;
  await store.commit({ put: [{ key: recordKeys.issuer, value: { issuer } }] });
}

export async function rememberedIssuer(store: Store): Promise<string | undefined> {
  const issuer = (await readRecord(store, recordKeys.issuer))?.value.issuer;
  return typeof issuer === "string" ? issuer : undefined;
}

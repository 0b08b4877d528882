import { AuthError } from "../errors.ts";
import type { RevokeReceipt } from "../revocation/receipt.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { Keyring, SigningKeyInfo } from "./keyring.ts";

export interface KeysDropped {
  /** The new key. */
  readonly key: SigningKeyInfo;
  readonly dropped: readonly string[];
  readonly receipt: RevokeReceipt;
}

/** Conflicts come from long-lived tokens, which record a promise on the key. */
const maxAttempts = 16;

/**
 * Replaces all signing keys with one new key, which signs at once: somebody who knows the old ones may have signed
 * tokens for any user. Sessions stay live. From the commit's log entry on every node refuses tokens of the old keys.
 */
export async function dropKeys(
  keyring: Pick<Keyring, "planDrop">,
  revocation: Pick<Revocation, "dropKeys">,
): Promise<KeysDropped> {
  for (let attempt = 1; ; attempt += 1) {
    const { key, dropped, step } = await keyring.planDrop();
    try {
      return { key, dropped, receipt: await revocation.dropKeys(dropped, step) };
    } catch (error) {
      const isConflict = error instanceof AuthError && error.code === "conflict";
      if (!isConflict || attempt === maxAttempts) throw error;
    }
  }
}

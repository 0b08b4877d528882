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

/** Long-lived tokens write their promise on the key, so other changes may come in between. */
const maxAttempts = 16;

/**
 * One new key, which signs at once, in place of all signing keys: whoever knows the old ones may have signed tokens for
 * anybody. Sessions go on. Every node refuses what the old keys signed, from the commit's log entry on.
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

import type { Authority } from "../auth/authority.ts";
import type { SigningKeyInfo } from "../auth/tokens/keyring.ts";
import { type Output, table, timeText } from "./output.ts";
import { confirmWithinMs, pendingNote, stateOf, stateWithin } from "./receipts.ts";

export function listKeys(authority: Authority, output: Output): void {
  const keys = authority.keyring.list();
  output.result(
    keys.map(describe),
    table(["KID", "ALG", "STATE", "SIGNS FROM", "NEEDED UNTIL"], keys.map(row)),
  );
}

/** `now`: sign with the new key at once; verifiers that cached the JWKS may refuse its tokens for a while. */
export async function rotateKeys(authority: Authority, now: boolean, output: Output): Promise<void> {
  const key = await authority.keyring.rotate(now ? { leadMs: 0 } : {});
  output.result(describe(key), `added ${key.kid}; it signs from ${timeText(key.signsFrom)}`);
}

/** Prints the outcome once all gateways have confirmed it, or after two seconds. The change is durable by then. */
export async function dropKeys(authority: Authority, output: Output): Promise<void> {
  const { key, dropped, receipt } = await authority.dropKeys();
  const state = await stateWithin(authority.revocation, receipt, confirmWithinMs);
  const { sessions: _, ...effect } = stateOf(state);
  const count = `${dropped.length} key${dropped.length === 1 ? "" : "s"}`;
  output.result(
    { ...describe(key), dropped: [...dropped], ...effect },
    `dropped ${count}, and all tokens that they signed; ${key.kid} signs now${pendingNote(state)}`,
  );
}

function describe(key: SigningKeyInfo) {
  return {
    kid: key.kid,
    alg: key.alg,
    state: key.state,
    created_at: timeText(key.createdAt),
    signs_from: timeText(key.signsFrom),
    needed_until: key.neededUntil === null ? null : timeText(key.neededUntil),
  };
}

function row(key: SigningKeyInfo): string[] {
  return [key.kid, key.alg, key.state, timeText(key.signsFrom), timeText(key.neededUntil)];
}

import type { Authority } from "../auth/authority.ts";
import type { SigningKeyInfo } from "../auth/tokens/keyring.ts";
import { type Output, table, timeText } from "./output.ts";

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

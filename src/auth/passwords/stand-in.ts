import { createHmac, createSecretKey } from "node:crypto";

import type { Sealing } from "../tokens/sealing.ts";
import type { ScryptParameters, Verifier } from "./passwords.ts";
import { saltBytes } from "./verifier.ts";

/**
 * The verifiers that names without one seem to have: always the same for a name, on every node. The parameters are one
 * of those in use. Each set has a rank that depends on the name, and the highest wins. So a set that comes into use
 * changes few names, like the few people who log in with it, and one that goes out of use changes those that had it.
 *
 * What stays visible: a salt changes when its name gets or loses a login, or a password changes. If the installation's
 * secret is replaced, those of unknown names change and no others.
 */
export function createStandIns(
  sealing: Pick<Sealing, "derive">,
): (
  provider: string,
  username: string,
  sets: readonly [ScryptParameters, ...ScryptParameters[]],
) => Verifier {
  const key = createSecretKey(sealing.derive("scram stand-ins 1"));
  const mac = (...parts: readonly (string | number)[]) =>
    createHmac("sha256", key).update(JSON.stringify(parts)).digest();
  return (provider, username, [first, ...others]) => {
    const rankOf = ({ N, r, p }: ScryptParameters) => mac("rank", provider, username, N, r, p);
    const ranked = others.length === 0 ? [] : [first, ...others].map((set) => ({ set, rank: rankOf(set) }));
    const [highest] = ranked.sort((a, b) => b.rank.compare(a.rank));
    const { N, r, p } = highest?.set ?? first;
    const secret = (what: string) => mac(what, provider, username, N, r, p);
    return {
      salt: secret("salt").subarray(0, saltBytes).toString("base64url"),
      N,
      r,
      p,
      storedKey: secret("stored key").toString("base64url"),
      serverKey: secret("server key").toString("base64url"),
    };
  };
}

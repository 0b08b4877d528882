import { createHmac } from "node:crypto";

import { addressShare } from "../../net/address-share.ts";
import type { Peer } from "../model.ts";
import type { Sealing } from "../tokens/sealing.ts";
import type { FlowClaim } from "./login-flows.ts";

/**
 * The secret of a flow whose client keeps only the flow's id: a MAC of id and address under a key of the installation.
 * So no other address continues the flow, every node knows the secret, and no record holds more than its hash.
 */
export function createAddressBoundClaims(
  sealing: Pick<Sealing, "derive">,
): (flowId: string, peer: Peer) => FlowClaim {
  const key = sealing.derive("login flow by address");
  return (flowId, { address }) => ({
    flowId,
    flowSecret: createHmac("sha256", key)
      .update(JSON.stringify([flowId, addressShare(address)]))
      .digest("base64url"),
  });
}

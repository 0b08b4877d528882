import type { RevokeReceipt } from "../auth/revocation/receipt.ts";
import type { Revocation } from "../auth/revocation/revocation.ts";

/** The gateways show within a moment that they applied it, unless something is wrong; no command waits longer unasked. */
export const showWithinMs = 2_000;

/** What is known once no gateway serves it any more, or after `ms`. */
export async function stateWithin(
  revocation: Revocation,
  receipt: RevokeReceipt,
  ms: number,
): Promise<RevokeReceipt> {
  let latest = receipt;
  let late: ReturnType<typeof setTimeout> | undefined;
  await new Promise<void>((resolve) => {
    late = setTimeout(resolve, ms);
    const watched = revocation.watch(receipt.revocationId, (state, done) => {
      latest = state;
      if (done) resolve();
    });
    if (watched === undefined) resolve();
  });
  clearTimeout(late);
  return latest;
}

/** `hint` goes after it. */
export function stillPending({ effective, nodes }: RevokeReceipt, hint = ""): string {
  if (effective === "all") return "";
  const { pending } = nodes;
  const who =
    pending === 1 ? "1 gateway has" : pending === 0 ? "a gateway may have" : `${pending} gateways have`;
  return `; ${who} not shown yet that it applies there${hint}`;
}

export function stateOf({ revocationId, sessions, nodes, durability, effective }: RevokeReceipt) {
  return { revocation_id: revocationId, sessions, nodes: { ...nodes }, durability, effective };
}

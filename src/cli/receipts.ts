import type { RevokeReceipt } from "../auth/revocation/receipt.ts";
import type { Revocation } from "../auth/revocation/revocation.ts";

/** Gateways confirm a revocation within moments unless there is a fault. Without --wait no command waits longer, ms. */
export const confirmWithinMs = 2_000;

/** The receipt's state once every gateway applied it, or after `ms`. */
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

/** A note if gateways have not confirmed; `hint` is appended. */
export function pendingNote({ effective, nodes }: RevokeReceipt, hint = ""): string {
  if (effective === "all") return "";
  const { pending } = nodes;
  const who =
    pending === 1 ? "1 gateway has" : pending === 0 ? "a gateway may have" : `${pending} gateways have`;
  return `; ${who} not confirmed it yet${hint}`;
}

export function stateOf({ revocationId, sessions, nodes, durability, effective }: RevokeReceipt) {
  return { revocation_id: revocationId, sessions, nodes: { ...nodes }, durability, effective };
}

import type { Revocation } from "../revocation/revocation.ts";

/**
 * Loads once, for whoever comes first; again after a failure, and before the node is trusted again after the log broke.
 * The result resolves when what `load` reads is there.
 */
export function loadedOnce(
  load: () => Promise<void>,
  { onRecovery }: Pick<Revocation, "onRecovery">,
): () => Promise<void> {
  let loaded: Promise<void> | undefined;
  const ready = () => {
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  };
  onRecovery(async () => {
    loaded = undefined;
    await ready();
  });
  return ready;
}

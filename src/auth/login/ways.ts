import type { Peer } from "../model.ts";
import type { LoginProvider } from "../providers/provider.ts";
import { isOffered, type ProviderRegistry } from "../providers/registry.ts";
import type { Credentials } from "../users/credentials.ts";

/** A provider as clients see it. */
export interface OfferedProvider {
  readonly type: string;
  readonly id: string | null;
  readonly name: string;
}

export interface WayTools {
  readonly registry: ProviderRegistry;
  readonly credentials: Pick<Credentials, "list">;
}

/** See `LoginFlows.waysOf`. */
export async function waysOf(
  { registry, credentials }: WayTools,
  userId: string,
  peer: Peer,
): Promise<readonly OfferedProvider[]> {
  const owned = await credentials.list(userId);
  const isWay = async (provider: LoginProvider) => {
    if (!provesPerson(provider) || !isOffered(provider, peer)) return false;
    const hasLogin = owned.some(
      (each) => each.providerType === provider.type && each.providerId === provider.id,
    );
    return hasLogin || (await provider.knows?.(userId)) === true;
  };
  const are = await Promise.all(registry.providers.map(isWay));
  return registry.providers
    .filter((_, place) => are[place])
    .map(({ type, id, name }) => ({ type, id, name }));
}

/** Whether what it proves is something that only the person has or knows. */
export function provesPerson({
  supportsMfa,
  vouchesOnly,
}: Pick<LoginProvider, "supportsMfa" | "vouchesOnly">): boolean {
  return supportsMfa && vouchesOnly !== true;
}

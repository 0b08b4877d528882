import type { Peer } from "../model.ts";
import type { LoginProvider } from "./provider.ts";

/** The configured ways to log in, in the order of the configuration. */
export interface ProviderRegistry {
  readonly providers: readonly LoginProvider[];
  find(type: string, id: string | null): LoginProvider | undefined;
}

/** Whether a peer may log in at a provider. */
export function isOffered(provider: LoginProvider, peer: Peer): boolean {
  return provider.isOffered?.(peer) ?? provider.admits?.(peer) ?? true;
}

type ProviderName = readonly [type: string, id: string | null];

/** What a session keeps of the provider that gave it: whether that one still stands behind it. */
export interface ProviderAdmission {
  /** Whether tokens of this provider's sessions say which one it was, because it judges addresses. */
  judges(provider: ProviderName): boolean;
  /** False for a provider that is not configured any more, and for a peer that it does not admit. */
  admits(provider: ProviderName, peer: Peer): boolean;
}

export function createProviderAdmission(registry: ProviderRegistry): ProviderAdmission {
  return {
    judges: ([type, id]) => registry.find(type, id)?.admits !== undefined,
    admits([type, id], peer) {
      const provider = registry.find(type, id);
      return provider !== undefined && (provider.admits?.(peer) ?? true);
    },
  };
}

/**
 * A provider's key is (type, id). Throws an Error with Home Assistant's text when two have the same, and one when there
 * is none: nobody could log in.
 */
export function createProviderRegistry(providers: readonly LoginProvider[]): ProviderRegistry {
  if (providers.length === 0) throw new Error("No auth provider is configured");
  const keyed = new Map<string, LoginProvider>();
  for (const provider of providers) {
    const key = keyOf(provider.type, provider.id);
    if (keyed.has(key)) throw new Error(duplicateText(provider.type));
    keyed.set(key, provider);
  }
  return { providers: [...providers], find: (type, id) => keyed.get(keyOf(type, id)) };
}

function keyOf(type: string, id: string | null): string {
  return JSON.stringify([type, id]);
}

function duplicateText(type: string): string {
  return `Duplicate auth provider ${type} found. Please add unique IDs if you want to have the same auth provider twice`;
}

import { type Static, Type } from "typebox";

import { homeAssistantType } from "./homeassistant/type.ts";
import type { LoginProvider } from "./provider.ts";
import type { ProviderTools } from "./provider-type.ts";

/** Every type of provider that the configuration knows: a new one is a folder, and a line in each of these two. */
export const providerTypes = {
  homeassistant: homeAssistantType,
};
export const ProviderEntry = Type.Union([homeAssistantType.entry]);
export type ProviderEntry = Static<typeof ProviderEntry>;

/** The providers of the configuration, in its order. */
export function createProviders(
  entries: readonly ProviderEntry[],
  tools: ProviderTools,
): readonly LoginProvider[] {
  return entries.map((entry) => providerTypes[entry.type].create(entry, tools));
}

import { type Static, Type } from "typebox";

import { commandLineProviderType } from "./command-line/type.ts";
import { headerProviderType } from "./header/type.ts";
import { homeAssistantProviderType } from "./homeassistant/type.ts";
import { ldapProviderType } from "./ldap/type.ts";
import { loadModule, moduleProviderType } from "./module/type.ts";
import { oidcProviderType } from "./oidc/type.ts";
import { passkeyProviderType } from "./passkey/type.ts";
import type { LoginProvider } from "./provider.ts";
import {
  type ConfiguredOptions,
  type ConfiguredTools,
  type Frozen,
  filesIn,
  type NamedFile,
} from "./provider-type.ts";
import { trustedNetworksProviderType } from "./trusted-networks/type.ts";

/** Every type of provider that the configuration knows: a new one is a folder, and a line in each of these two. */
export const providerTypes = {
  homeassistant: homeAssistantProviderType,
  command_line: commandLineProviderType,
  ldap: ldapProviderType,
  oidc: oidcProviderType,
  trusted_networks: trustedNetworksProviderType,
  header: headerProviderType,
  passkey: passkeyProviderType,
  module: moduleProviderType,
};
export const ProviderEntry = Type.Union([
  homeAssistantProviderType.entry,
  commandLineProviderType.entry,
  ldapProviderType.entry,
  oidcProviderType.entry,
  trustedNetworksProviderType.entry,
  headerProviderType.entry,
  passkeyProviderType.entry,
  moduleProviderType.entry,
]);
export type ProviderEntry = Frozen<Static<typeof ProviderEntry>>;

/** Does not compile if one of the two lacks a type that the other has. */
({}) satisfies Record<
  | Exclude<keyof typeof providerTypes, ProviderEntry["type"]>
  | Exclude<ProviderEntry["type"], keyof typeof providerTypes>,
  never
>;

/** The providers of the configuration, in its order. */
export function createProviders(
  entries: readonly ProviderEntry[],
  tools: ConfiguredTools,
): readonly LoginProvider[] {
  return entries.map((entry) => typeOf(entry).create(entry, tools));
}

/** Loads the modules of entries that have one. Rejects with an Error that names the first that cannot be used. */
export async function loadModules(entries: readonly ProviderEntry[]): Promise<ConfiguredTools["loaded"]> {
  const loaded = new Map<object, Awaited<ReturnType<typeof loadModule>>>();
  for (const entry of entries) if (entry.type === "module") loaded.set(entry, await loadModule(entry));
  return loaded;
}

/** What is wrong with an entry beyond its schema; see `ProviderType.problem`. */
export function entryProblem(entry: ProviderEntry, configured: ConfiguredOptions): string | undefined {
  return typeOf(entry).problem?.(entry, configured);
}

/** The compiler cannot follow that the type of an entry is that of its functions. */
function typeOf({ type }: ProviderEntry) {
  return providerTypes[type] as {
    problem?(entry: ProviderEntry, configured: ConfiguredOptions): string | undefined;
    create(entry: ProviderEntry, tools: ConfiguredTools): LoginProvider;
  };
}

/** See `filesIn`. */
export function filesOf(entry: ProviderEntry): readonly NamedFile[] {
  return filesIn(providerTypes[entry.type].entry.properties, entry);
}

/** Whether an option of this entry is a secret: its schema has JSON Schema's `writeOnly`. */
export function isSecretOption({ type }: ProviderEntry, name: string): boolean {
  const properties: Readonly<Record<string, object>> = providerTypes[type].entry.properties;
  const schema = properties[name];
  return schema !== undefined && "writeOnly" in schema && schema.writeOnly === true;
}

import type { LoginProvider } from "../auth/providers/provider.ts";
import type { ProviderTools } from "../auth/providers/provider-type.ts";
import { createProviders } from "../auth/providers/provider-types.ts";
import { parseAddressRanges } from "../net/address-ranges.ts";
import type { Config } from "./config/schema.ts";

export type ProvidersOf = (
  configured: readonly LoginProvider[],
  tools: ProviderTools,
) => readonly LoginProvider[];

/** The login providers of the configuration, once the domain has asked for them. */
export interface ConfiguredProviders {
  /** In their order; empty before `create` was called. */
  readonly all: readonly LoginProvider[];
  create(tools: ProviderTools): readonly LoginProvider[];
}

/** `more` returns the providers to use, given the configured ones: a program may add its own. */
export function configuredProviders(
  { auth_providers, trusted_proxies }: Pick<Config, "auth_providers" | "trusted_proxies">,
  more: ProvidersOf | undefined,
): ConfiguredProviders {
  let all: readonly LoginProvider[] = [];
  return {
    get all() {
      return all;
    },
    create(tools) {
      const trustedProxies = parseAddressRanges(trusted_proxies);
      const configured = createProviders(auth_providers, { ...tools, trustedProxies });
      all = more?.(configured, tools) ?? configured;
      return all;
    },
  };
}

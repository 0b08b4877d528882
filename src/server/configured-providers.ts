import { ModuleError } from "../auth/providers/module/provider.ts";
import type { LoginProvider } from "../auth/providers/provider.ts";
import type { ConfiguredTools, ProviderTools } from "../auth/providers/provider-type.ts";
import { createProviders, loadModules } from "../auth/providers/provider-types.ts";
import { parseAddressRanges } from "../net/address-ranges.ts";
import { ConfigError } from "./config/problems.ts";
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

/** For commands: they run no modules, so that a module that is broken does not keep anybody from administering. */
export const noModules: ConfiguredTools["loaded"] = new Map();

/** Throws `ConfigError` that names the first module that cannot be loaded, or whose options are wrong. */
export async function loadConfiguredModules({
  auth_providers,
}: Pick<Config, "auth_providers">): Promise<ConfiguredTools["loaded"]> {
  try {
    return await loadModules(auth_providers);
  } catch (error) {
    throw configError(error);
  }
}

function configError(error: unknown): unknown {
  if (!(error instanceof ModuleError)) return error;
  return new ConfigError([{ key: "auth_providers", source: "module", message: error.message }]);
}

function named<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw configError(error);
  }
}

/** `more` returns the providers to use, given the configured ones: a program may add its own. */
export function configuredProviders(
  config: Pick<Config, "auth_providers" | "auth_mfa_modules" | "trusted_proxies">,
  loaded: ConfiguredTools["loaded"],
  more: ProvidersOf | undefined,
): ConfiguredProviders {
  let all: readonly LoginProvider[] = [];
  return {
    get all() {
      return all;
    },
    create(tools) {
      const trustedProxies = parseAddressRanges(config.trusted_proxies);
      const given = { ...tools, factors: config.auth_mfa_modules, trustedProxies, loaded };
      const configured = named(() => createProviders(config.auth_providers, given));
      all = more?.(configured, tools) ?? configured;
      return all;
    },
  };
}

import { loadConfig } from "../server/config/load.ts";
import type { Config } from "../server/config/schema.ts";

/** Command-line flags that are also configuration options. */
export interface ConfigFlags {
  readonly config?: string;
  readonly data?: string;
  readonly store?: string;
  readonly host?: string;
  readonly port?: number;
  readonly transport?: string;
}

/** The effective configuration for a command. Throws `ConfigError` with every problem. */
export function configurationOf(
  flags: ConfigFlags,
  env: Readonly<Record<string, string | undefined>>,
): Config {
  const { config: file, data, store, host, port, transport } = flags;
  return loadConfig({ file, env, flags: { data, store, host, port, transport } });
}

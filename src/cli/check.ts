import { stringify } from "yaml";

import { effectiveConfig } from "../server/config/effective.ts";
import { ConfigError } from "../server/config/problems.ts";
import type { Config } from "../server/config/schema.ts";
import { guaranteeOf } from "../server/guarantee-report.ts";
import { readTlsFiles } from "../server/tls-files.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import { type Output, UsageError } from "./output.ts";

/**
 * Validates the configuration and its TLS certificate, and prints what is in effect, secrets masked. With `guarantee`
 * also what the store is set up to keep of revocations; nothing is written to it.
 */
export async function check(
  flags: ConfigFlags & { readonly guarantee?: true },
  surroundings: { readonly env: Readonly<Record<string, string | undefined>> },
  output: Output,
): Promise<void> {
  const config = configurationOf(flags, surroundings.env);
  await checkTls(config);
  const guarantee = flags.guarantee ? { guarantee: await guaranteeOf(config) } : {};
  const effective = { ...effectiveConfig(config), ...guarantee };
  output.result(effective, stringify(effective).trimEnd());
}

async function checkTls(config: Config): Promise<void> {
  try {
    await readTlsFiles(config);
  } catch (error) {
    throw error instanceof ConfigError ? new UsageError(error.message) : error;
  }
}

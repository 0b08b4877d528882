import { stringify } from "yaml";

import { effectiveConfig } from "../server/config/effective.ts";
import { place } from "../server/config/load.ts";
import { options } from "../server/config/options.ts";
import { type Config, environmentOnly } from "../server/config/schema.ts";
import { configuredClients } from "../server/configured-clients.ts";
import { loadConfiguredModules } from "../server/configured-providers.ts";
import { guaranteeOf } from "../server/guarantee-report.ts";
import { InstallationError } from "../server/installation.ts";
import { openAuthority } from "../server/open-authority.ts";
import { openFilesWarnings } from "../server/open-files.ts";
import { fileWarnings, providerWarnings } from "../server/provider-warnings.ts";
import { readTlsFiles } from "../server/tls-files.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import type { Output } from "./output.ts";
import { openTemporaryInstallation } from "./temporary-installation.ts";

/**
 * Validates the configuration and its TLS certificate, and prints the effective values with secrets masked, and
 * warnings about the limit of open files, login providers and second factors: files that cannot be used, and what an embedded store shows. With `guarantee` it
 * also asks Redis, and prints how soon the store lets a revocation take effect. It writes nothing to the store.
 */
export async function check(
  flags: ConfigFlags & { readonly guarantee?: true },
  environment: { readonly env: Readonly<Record<string, string | undefined>> },
  output: Output,
): Promise<void> {
  const config = configurationOf(flags, environment.env);
  await readTlsFiles(config);
  await loadConfiguredModules(config);
  await configuredClients(config, { readsFiles: true });
  const asksStore = flags.guarantee === true || config.store === null;
  const ofFiles = [...(await openFilesWarnings(config)), ...(await fileWarnings(config))];
  const warnings = [...ofFiles, ...(asksStore ? await warningsOf(config) : [])];
  const guarantee = flags.guarantee ? { guarantee: await guaranteeOf(config) } : {};
  const effective = {
    ...effectiveConfig(config),
    ...(warnings.length > 0 ? { warnings } : {}),
    ...guarantee,
  };
  const remarks = warnings.map((warning) => `# warning: ${warning}`);
  const text = [...remarks, configFile(config), ...("guarantee" in guarantee ? [commented(guarantee)] : [])];
  output.result(effective, text.join("\n"));
}

/** Where there is no installation yet, those of second factors that the configuration alone gives. */
async function warningsOf(config: Config): Promise<readonly string[]> {
  let isThere = true;
  try {
    const opened = await openAuthority(config, { role: "cli" }).catch(async (error: unknown) => {
      if (!(error instanceof InstallationError)) throw error;
      isThere = false;
      return await openTemporaryInstallation(config);
    });
    try {
      const ofProviders = isThere ? await providerWarnings(opened.authority, opened.providers) : [];
      return [...ofProviders, ...(await opened.authority.secondFactors.warnings())];
    } finally {
      await opened.close();
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unknown";
    return [`the store could not be asked about the logins: ${reason.replaceAll(/\s+/g, " ")}`];
  }
}

/**
 * A configuration file that gives the same configuration. Secrets must not be in a file, so they become comments.
 */
function configFile(config: Config): string {
  const kept: Record<string, unknown> = {};
  const remarks: string[] = [];
  for (const { key, path, variable } of options) {
    const shown = effectiveConfig(config)[key];
    const value = path.reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], config);
    if (shown !== value)
      remarks.push(
        `# ${key}: ${typeof shown === "object" ? JSON.stringify(shown) : shown} (a secret is not written to this file: set ${variable})`,
      );
    else if (!environmentOnly.has(key)) place(kept, path, value);
  }
  return [...remarks, stringify(kept).trimEnd()].join("\n");
}

function commented(value: object): string {
  return stringify(value).trimEnd().replaceAll(/^/gm, "# ");
}

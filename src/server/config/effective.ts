import { isSecretFactorOption } from "../../auth/factors/factor-types.ts";
import { isSecretOption } from "../../auth/providers/provider-types.ts";
import { options } from "./options.ts";
import { type Config, environmentOnly } from "./schema.ts";

/**
 * The configuration in a form that may be shown: secrets and the credentials in a store URL are masked. Keyed by
 * option, in the schema's order.
 */
export function effectiveConfig(config: Config): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    options.map(({ key, path }) => [
      key,
      masked(
        key,
        path.reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], config),
      ),
    ]),
  );
}

function masked(key: string, value: unknown): unknown {
  if (value === null) return null;
  if (environmentOnly.has(key)) return "***";
  if (key === "auth_providers") return maskedEntries(value as Config["auth_providers"], isSecretOption);
  if (key === "auth_mfa_modules")
    return maskedEntries(value as Config["auth_mfa_modules"], isSecretFactorOption);
  return key === "store" && typeof value === "string" ? maskUrl(value) : value;
}

/** The list itself if it holds no secret. */
function maskedEntries<Entry extends object>(
  entries: readonly Entry[],
  isSecret: (entry: Entry, name: string) => boolean,
): readonly object[] {
  const shown = entries.map((entry) => {
    const secrets = Object.keys(entry).filter((name) => isSecret(entry, name));
    return secrets.length === 0
      ? entry
      : { ...entry, ...Object.fromEntries(secrets.map((name) => [name, "***"])) };
  });
  return shown.some((entry, place) => entry !== entries[place]) ? shown : entries;
}

/**
 * `redis://user:password@host` becomes `redis://***@host`. A password may contain an `@`. A query may hold a password
 * too.
 */
export function maskUrl(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)[^/?#]*@/i, "$1***@").replace(/\?.*$/s, "?***");
}

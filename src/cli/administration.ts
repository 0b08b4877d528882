import type { Authority } from "../auth/authority.ts";
import { openAuthority } from "../server/open-authority.ts";
import { SecretError } from "../server/secret.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import { UsageError } from "./output.ts";

/** Nobody's socket waits for a command: a slow store is waited for, where a gateway would shed load. */
const PATIENCE_MS = 5_000;

/**
 * Runs `action` on the store that the flags name, beside a running gateway or without one: what it commits reaches every
 * node by the log.
 */
export async function withAuthority<T>(
  flags: ConfigFlags,
  surroundings: { readonly env: Readonly<Record<string, string | undefined>> },
  action: (authority: Authority) => Promise<T>,
): Promise<T> {
  const config = configurationOf(flags, surroundings.env);
  const patient = { ...config, store_timeout_ms: Math.max(config.store_timeout_ms, PATIENCE_MS) };
  const opened = await openAuthority(patient, { role: "cli" }).catch((error: unknown) => {
    throw error instanceof SecretError ? new UsageError(error.message) : error;
  });
  try {
    return await action(opened.authority);
  } finally {
    await opened.close();
  }
}

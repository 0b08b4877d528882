import { access, constants, stat } from "node:fs/promises";

import type { Authority } from "../auth/authority.ts";
import { filesOfFactor } from "../auth/factors/factor-types.ts";
import { provesPerson } from "../auth/login/ways.ts";
import type { LoginProvider } from "../auth/providers/provider.ts";
import type { NamedFile } from "../auth/providers/provider-type.ts";
import { filesOf } from "../auth/providers/provider-types.ts";
import type { Config } from "./config/schema.ts";

const nobodyStepsUp =
  "no provider proves who the person is, so nobody can log in again for what step_up demands: set it off where it can be";

/** Users whose credentials are read at once. */
const pageSize = 100;

/**
 * What an operator should know of the login providers and only the store shows: credentials of providers that are not
 * configured any more, and what the providers themselves find. Reads all users, page by page.
 */
export async function providerWarnings(
  authority: Pick<Authority, "users" | "credentials">,
  providers: readonly LoginProvider[],
): Promise<readonly string[]> {
  const warnings: string[] = [];
  for (const provider of providers)
    for (const warning of (await provider.warnings?.()) ?? [])
      warnings.push(`the provider ${nameOf(provider.type, provider.id)}: ${warning}`);
  if (!providers.some(provesPerson)) warnings.push(nobodyStepsUp);
  for (const [provider, count] of await orphans(authority, providers))
    warnings.push(orphanText(provider, count));
  return warnings;
}

/** Files that entries name and the gateway cannot use: a login at such a provider, or with such a factor, fails. */
export async function fileWarnings({
  auth_providers: providers,
  auth_mfa_modules: factors,
}: Pick<Config, "auth_providers" | "auth_mfa_modules">): Promise<readonly string[]> {
  const named = [
    ...providers.flatMap((entry, place) => filesAt(`auth_providers: entry ${place + 1}`, filesOf(entry))),
    ...factors.flatMap((entry, place) =>
      filesAt(`auth_mfa_modules: entry ${place + 1}`, filesOfFactor(entry)),
    ),
  ];
  const warnings: string[] = [];
  for (const { at, option, path, use } of named)
    if (!(await isUsable(path, use))) warnings.push(`${at} has a ${option} that cannot be ${use}: ${path}`);
  return warnings;
}

function filesAt(at: string, files: readonly NamedFile[]) {
  return files.map((file) => ({ ...file, at }));
}

async function isUsable(path: string, use: "read" | "run"): Promise<boolean> {
  try {
    await access(path, use === "run" ? constants.X_OK : constants.R_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

function orphanText(provider: string, count: number): string {
  const [what, them] = count === 1 ? ["credential", "it"] : ["credentials", "them"];
  return `${count} ${what} of the provider ${provider}, which is not configured: nobody can log in with ${them}`;
}

async function orphans(
  { users, credentials }: Pick<Authority, "users" | "credentials">,
  providers: readonly LoginProvider[],
): Promise<ReadonlyMap<string, number>> {
  const configured = new Set(providers.map(({ type, id }) => nameOf(type, id)));
  const found = new Map<string, number>();
  let after: string | undefined;
  do {
    const page = await users.page({ after, limit: pageSize });
    const owned = await credentials.listForUsers(page.users.map(({ id }) => id));
    for (const { providerType, providerId } of owned.flat()) {
      const name = nameOf(providerType, providerId);
      if (!configured.has(name)) found.set(name, (found.get(name) ?? 0) + 1);
    }
    after = page.next;
  } while (after !== undefined);
  return found;
}

function nameOf(type: string, id: string | null): string {
  return id === null ? type : `${type} (id ${id})`;
}

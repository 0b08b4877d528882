import { readFile } from "node:fs/promises";

import { type RegisteredClient, registrationDefaults } from "../auth/clients/client-record.ts";
import { checkRegistration, publicKeysIn } from "../auth/clients/client-rules.ts";
import { hashClientSecret } from "../auth/clients/registered-clients.ts";
import { AuthError } from "../auth/errors.ts";
import { ConfigError } from "./config/problems.ts";
import type { Config } from "./config/schema.ts";

const minSecretLength = 32;

/**
 * The registered clients of the configuration. Commands read no file of a client: they authenticate none. Throws
 * `ConfigError` that names the first entry that is wrong.
 */
export async function configuredClients(
  { clients }: Pick<Config, "clients">,
  { readsFiles }: { readonly readsFiles: boolean },
): Promise<readonly RegisteredClient[]> {
  const all: RegisteredClient[] = [];
  for (const [place, entry] of clients.entries()) {
    const wrong = (message: string) =>
      new ConfigError([{ key: "clients", source: "entry", message: `entry ${place + 1} ${message}` }]);
    if (all.some(({ id }) => id === entry.client_id)) throw wrong("has the client id of another entry");
    all.push(await clientOf(entry, readsFiles, wrong));
  }
  return all;
}

async function clientOf(
  entry: Config["clients"][number],
  readsFiles: boolean,
  wrong: (message: string) => Error,
): Promise<RegisteredClient> {
  const { secret_file: secretFile, keys_file: keysFile } = entry;
  if (secretFile !== undefined && keysFile !== undefined) throw wrong("has a secret_file and a keys_file");
  const text = async (option: string, path: string) => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      throw wrong(`has a ${option} that cannot be read: ${(error as NodeJS.ErrnoException).code ?? "error"}`);
    }
  };
  const secret =
    secretFile === undefined || !readsFiles ? "" : (await text("secret_file", secretFile)).trim();
  if (secretFile !== undefined && readsFiles && secret.length < minSecretLength)
    throw wrong(`has a secret of less than ${minSecretLength} characters`);
  const keys = keysFile === undefined || !readsFiles ? null : publicKeysIn(await text("keys_file", keysFile));
  if (keys === undefined) throw wrong("has a keys_file that is no JWKS");
  const authMethod =
    secretFile !== undefined ? "client_secret" : keysFile !== undefined ? "private_key_jwt" : "none";
  const client: RegisteredClient = {
    id: entry.client_id,
    name: entry.name ?? entry.client_id,
    authMethod,
    secretHash: secretFile === undefined ? null : hashClientSecret(secret),
    jwks: keys,
    redirectUris: entry.redirect_uris ?? registrationDefaults.redirectUris,
    grantTypes: entry.grant_types ?? registrationDefaults.grantTypes,
    scopes: entry.scopes ?? registrationDefaults.scopes,
    resources: entry.resources ?? registrationDefaults.resources,
    userId: entry.user_id ?? null,
    requiresPushedRequests: entry.require_pushed_requests ?? false,
    logoutUri: entry.backchannel_logout_uri ?? null,
    rotates: entry.rotate_refresh_tokens ?? true,
    version: 0,
    source: "configuration",
  };
  if (!readsFiles) return client;
  try {
    checkRegistration(client);
  } catch (error) {
    throw error instanceof AuthError ? wrong(`is wrong: ${error.publicMessage}`) : error;
  }
  return client;
}

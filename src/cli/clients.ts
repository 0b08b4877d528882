import { readFile } from "node:fs/promises";

import { GrantType } from "../../protocol/commands/clients.ts";
import type { Authority } from "../auth/authority.ts";
import { clientInfoOf } from "../auth/clients/client-info.ts";
import {
  type PublicKeys,
  type RegisteredClient,
  registrationDefaults,
} from "../auth/clients/client-record.ts";
import { publicKeysIn } from "../auth/clients/client-rules.ts";
import { type Output, table, UsageError } from "./output.ts";
import { oneLine } from "./terminal-text.ts";
import { writeTokenFile } from "./token-file.ts";

export interface AddClient {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly string[] | undefined;
  readonly scopes: readonly string[];
  readonly resources: readonly string[];
  readonly secretFile: string | undefined;
  readonly keysFile: string | undefined;
  readonly userId: string | null;
  readonly requiresPushedRequests: boolean;
  readonly logoutUri: string | null;
}

const pageSize = 500;

export async function listClients(authority: Authority, output: Output): Promise<void> {
  const all: RegisteredClient[] = [];
  let after: string | undefined;
  do {
    const page = await authority.clients.page({ after, limit: pageSize });
    all.push(...page.clients);
    after = page.next;
  } while (after !== undefined);
  const rows = all.map((client) => [
    client.id,
    oneLine(client.name),
    client.authMethod,
    client.grantTypes.map((each) => each.split(":").at(-1)).join(" "),
    client.scopes.join(" ") || "-",
    client.source,
  ]);
  output.result(
    all.map(clientInfoOf),
    table(["CLIENT ID", "NAME", "AUTHENTICATES", "GRANT TYPES", "SCOPES", "FROM"], rows),
  );
}

/** Registers a client. Its secret goes into a new file, and is printed nowhere. */
export async function addClient(authority: Authority, request: AddClient, output: Output): Promise<void> {
  const { secretFile, keysFile, grantTypes = registrationDefaults.grantTypes, ...given } = request;
  if (secretFile !== undefined && keysFile !== undefined)
    throw new UsageError("--secret-file and --keys-file are two ways to authenticate: give one");
  const jwks = keysFile === undefined ? null : await readKeys(keysFile);
  const register = () =>
    authority.clients.register({
      ...registrationDefaults,
      ...given,
      grantTypes: grantTypes.map(grantTypeNamed),
      authMethod: secretFile !== undefined ? "client_secret" : jwks === null ? "none" : "private_key_jwt",
      jwks,
    });
  const made =
    secretFile === undefined
      ? await register()
      : await writeTokenFile(secretFile, register, {
          textOf: ({ secret }) => secret ?? "",
          undo: ({ client }) => authority.clients.remove(client.id),
        });
  const where = secretFile === undefined ? "" : `; its secret is in ${secretFile}`;
  output.result(
    { ...clientInfoOf(made.client), secret_file: secretFile ?? null },
    `registered ${request.id}${where}`,
  );
}

export async function renewSecret(
  authority: Authority,
  id: string,
  file: string,
  output: Output,
): Promise<void> {
  const made = await writeTokenFile(file, () => authority.clients.renewSecret(id), {
    textOf: ({ secret }) => secret ?? "",
    // The secret of before is gone already. Another try makes another one.
    undo: async () => undefined,
  });
  output.result({ ...clientInfoOf(made.client), secret_file: file }, `the new secret of ${id} is in ${file}`);
}

export async function removeClient(authority: Authority, id: string, output: Output): Promise<void> {
  await authority.clients.remove(id);
  output.result({ client_id: id, removed: true }, `removed ${oneLine(id)}; its sessions ended`);
}

function grantTypeNamed(text: string) {
  const [found] = GrantType.anyOf
    .map(({ const: name }) => name)
    .filter((name) => name.split(":").at(-1) === text || name === text);
  if (found === undefined) throw new UsageError(`there is no grant type ${oneLine(text)}`);
  return found;
}

async function readKeys(file: string): Promise<PublicKeys> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new UsageError(`cannot read ${file}`);
  });
  const keys = publicKeysIn(text);
  if (keys === undefined) throw new UsageError(`${file} is no JWKS`);
  return keys;
}

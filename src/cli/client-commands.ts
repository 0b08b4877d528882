import type { Command } from "commander";

import type { Authority } from "../auth/authority.ts";
import { registrationDefaults } from "../auth/clients/client-record.ts";
import * as clients from "./clients.ts";
import { type CommandContext, configured, type StoreFlags, withAuthority } from "./command-context.ts";
import type { Output } from "./output.ts";

export function addClientCommands(program: Command, context: CommandContext): void {
  const family = program.command("clients").description("applications that are registered (OAuth clients)");
  const using = (flags: StoreFlags, action: (authority: Authority, output: Output) => Promise<void>) =>
    context.runAction(flags.json, (output) =>
      withAuthority(flags, context, (authority) => action(authority, output)),
    );
  configured(family.command("list").description("list registered clients")).action((flags) =>
    using(flags, clients.listClients),
  );
  configured(family.command("add <client-id>").description("register a client"))
    .option("--name <name>", "what people see; the client id by default")
    .option("--redirect-uri <url...>", "where a code may be sent, character by character")
    .option("--grant-type <name...>", "authorization_code and refresh_token by default")
    .option("--scope <name...>", "what its tokens may do at most; openid and profile by default")
    .option("--resource <url...>", "backends that its tokens may be for")
    .option(
      "--secret-file <file>",
      "new file for its secret, which only you can read; without it it has none",
    )
    .option("--keys-file <file>", "file with its public keys (JWKS), for private_key_jwt")
    .option("--system-user <id>", "the system user of client_credentials")
    .option("--logout-uri <url>", "where it is told that its sessions have ended (back-channel logout)")
    .option("--require-pushed-requests", "it must push its authorization requests")
    .action((id, flags) =>
      using(flags, (authority, output) => {
        const request = {
          id,
          name: flags.name ?? id,
          redirectUris: flags.redirectUri ?? [],
          grantTypes: flags.grantType,
          scopes: flags.scope ?? registrationDefaults.scopes,
          resources: flags.resource ?? [],
          secretFile: flags.secretFile,
          keysFile: flags.keysFile,
          userId: flags.systemUser ?? null,
          logoutUri: flags.logoutUri ?? null,
          requiresPushedRequests: flags.requirePushedRequests === true,
        };
        return clients.addClient(authority, request, output);
      }),
    );
  configured(family.command("new-secret <client-id>").description("replace the secret of a client"))
    .requiredOption("--secret-file <file>", "new file for its secret, which only you can read")
    .action((id, flags) =>
      using(flags, (authority, output) => clients.renewSecret(authority, id, flags.secretFile, output)),
    );
  configured(family.command("remove <client-id>").description("remove a client; its sessions end")).action(
    (id, flags) => using(flags, (authority, output) => clients.removeClient(authority, id, output)),
  );
}

import { type Static, Type } from "typebox";

import { groupMappingOption } from "../group-mapping.ts";
import {
  entrySchema,
  type Frozen,
  newUsersOf,
  newUsersOption,
  type ProviderTools,
} from "../provider-type.ts";
import { createBrowserBinding } from "./browser-binding.ts";
import { createOidcProvider, oidcType } from "./provider.ts";
import { createUpstream } from "./upstream.ts";

const defaults = { scopes: ["profile"], nameClaim: "name", groupsClaim: "groups" } as const;

const entry = entrySchema(oidcType, {
  issuer: Type.String({
    minLength: 1,
    maxLength: 512,
    description:
      "The provider's issuer, exactly as its discovery document has it. `https`; `http` only for a provider on this machine.",
  }),
  client_id: Type.String({
    minLength: 1,
    maxLength: 512,
    description: "The client id of this gateway at the provider.",
  }),
  client_secret: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      writeOnly: true,
      description: "The client secret. Without it and without `client_secret_file`: a public client.",
    }),
  ),
  client_secret_file: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      file: "read",
      description:
        "File that holds the client secret. It is read when the provider is asked for its metadata.",
    }),
  ),
  client_auth: Type.Optional(
    Type.Union([Type.Literal("client_secret_basic"), Type.Literal("client_secret_post")], {
      description:
        "How the secret is sent. By default as the provider's metadata says, `client_secret_basic` first.",
    }),
  ),
  scopes: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 128, pattern: "^[!#-\\[\\]-~]+$" }), {
      default: [...defaults.scopes],
      maxItems: 32,
      description:
        "Scopes to ask for beside `openid`. Some providers send groups only with a scope of their own.",
    }),
  ),
  name_claim: Type.Optional(
    Type.String({
      default: defaults.nameClaim,
      minLength: 1,
      maxLength: 256,
      description: "Claim with the display name. It applies to the user at every login.",
    }),
  ),
  groups_claim: Type.Optional(
    Type.String({
      default: defaults.groupsClaim,
      minLength: 1,
      maxLength: 256,
      description:
        "Claim with the person's groups, a list or one text; `realm_access.roles` is a claim in a claim.",
    }),
  ),
  same_address: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        "Accept only browsers that have the address (IPv6: the /64) of the socket that waits. It prevents that somebody is deceived into logging in an app elsewhere, and also logins with a phone on another network.",
    }),
  ),
  ...groupMappingOption,
  ...newUsersOption,
});
type OidcEntry = Frozen<Static<typeof entry>>;

/** Any OpenID provider. */
export const oidcProviderType = {
  entry,
  problem(options: OidcEntry, { publicUrl }: { readonly publicUrl: string | null }): string | undefined {
    if (publicUrl === null)
      return "needs public_url: the provider sends browsers back to that address, which must be registered there";
    if (options.client_secret !== undefined && options.client_secret_file !== undefined)
      return "has client_secret and client_secret_file: give one of the two";
    return issuerProblem(options.issuer);
  },
  create: (options: OidcEntry, tools: ProviderTools) =>
    createOidcProvider({
      id: options.id ?? null,
      name: options.name ?? new URL(options.issuer).hostname,
      clientId: options.client_id,
      nameClaim: options.name_claim ?? defaults.nameClaim,
      groupsClaim: options.groups_claim ?? defaults.groupsClaim,
      groupMapping: options.group_mapping,
      sameAddress: options.same_address ?? false,
      newUsers: newUsersOf(options.new_users),
      sealing: tools.sealing,
      publicUrl: tools.publicUrl,
      binding: createBrowserBinding(tools.sealing),
      upstream: createUpstream({
        issuer: options.issuer,
        clientId: options.client_id,
        clientSecret: options.client_secret,
        clientSecretFile: options.client_secret_file,
        clientAuth: options.client_auth,
        scopes: options.scopes ?? defaults.scopes,
        clock: tools.clock,
      }),
    }),
};

/** Plain HTTP is for a provider on the same machine: anybody on the way could log in as anybody. */
function issuerProblem(issuer: string): string | undefined {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    return "has an issuer that is not a URL with https";
  if (url.protocol === "http:" && !/^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname))
    return "has an issuer with http: only a provider on this machine (127.0.0.1, localhost) may have that";
  if (url.username !== "" || url.password !== "" || /[?#]/.test(issuer))
    return "has an issuer with user, query or fragment";
  return issuer.includes("/.well-known/")
    ? "has the address of a discovery document as its issuer: leave out /.well-known/ and what follows"
    : undefined;
}

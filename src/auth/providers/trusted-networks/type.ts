import { type Static, Type } from "typebox";

import { addressRangeProblem, parseAddressRanges } from "../../../net/address-ranges.ts";
import { type ConfiguredTools, entrySchema, type Frozen } from "../provider-type.ts";
import { createTrustedNetworksProvider, trustedNetworksType as type } from "./provider.ts";

const Group = Type.String({ minLength: 1, maxLength: 64 });
const TrustedUser = Type.Union([
  Type.String({ pattern: "^[0-9a-f]{32}$" }),
  Type.Object(
    { group: Type.Union([Group, Type.Array(Group, { minItems: 1, maxItems: 64 })]) },
    { additionalProperties: false },
  ),
]);

const entry = entrySchema(type, {
  trusted_networks: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
    minItems: 1,
    maxItems: 256,
    description:
      "Addresses and CIDR networks from which people log in without a password. Never the address of a proxy in `trusted_proxies`, nor one that an unknown proxy claims.",
  }),
  trusted_users: Type.Optional(
    Type.Record(
      Type.String({ minLength: 1, maxLength: 64 }),
      Type.Union([TrustedUser, Type.Array(TrustedUser, { minItems: 1, maxItems: 256 })]),
      {
        default: {},
        maxProperties: 256,
        expected:
          "a mapping from networks to users: a user's id (32 hex digits), {group: id}, or a list of these",
        description:
          "Who may be chosen from a network: users' ids and `{group: id}`. The first network that has the address counts; without one, everybody may be chosen.",
      },
    ),
  ),
  allow_bypass_login: Type.Optional(
    Type.Boolean({
      default: false,
      description: "Log in without a question if there is only one user to choose.",
    }),
  ),
});
type Entry = Frozen<Static<typeof entry>>;

/** People on certain networks, who say who they are. */
export const trustedNetworksProviderType = {
  entry,
  problem({ trusted_networks, trusted_users = {} }: Entry): string | undefined {
    for (const [place, network] of trusted_networks.entries()) {
      const problem = addressRangeProblem(network);
      if (problem !== undefined) return `has a wrong trusted_networks: entry ${place + 1} ${problem}`;
    }
    for (const [place, network] of Object.keys(trusted_users).entries()) {
      const problem = addressRangeProblem(network);
      if (problem !== undefined) return `has a wrong trusted_users: key ${place + 1} ${problem}`;
    }
    return undefined;
  },
  create: (given: Entry, { users, trustedProxies }: ConfiguredTools) =>
    createTrustedNetworksProvider({
      id: given.id ?? null,
      name: given.name,
      networks: parseAddressRanges(given.trusted_networks),
      trustedProxies,
      trustedUsers: given.trusted_users ?? {},
      bypassesChoice: given.allow_bypass_login ?? false,
      users,
    }),
};

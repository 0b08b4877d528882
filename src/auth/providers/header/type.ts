import { type Static, Type } from "typebox";

import { addressRangeProblem, parseAddressRanges } from "../../../net/address-ranges.ts";
import { groupMappingOption } from "../group-mapping.ts";
import {
  type ConfiguredOptions,
  entrySchema,
  type Frozen,
  newUsersOf,
  newUsersOption,
} from "../provider-type.ts";
import { createHeaderProvider, headerType as type } from "./provider.ts";

/** Headers that clients, browsers or proxies set for other purposes. */
const others = /^(host|origin|cookie|authorization|connection|upgrade|forwarded|x-forwarded-.*|sec-.*)$/i;

const header = (description: string, more: object = {}) =>
  Type.String({
    minLength: 1,
    maxLength: 64,
    // Without an underscore: servers drop such headers, or take them for those with a hyphen.
    pattern: "^[A-Za-z0-9-]+$",
    expected: "the name of a header, of letters, digits and hyphens",
    description,
    ...more,
  });

const entry = entrySchema(type, {
  proxies: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
    minItems: 1,
    maxItems: 64,
    description:
      "Addresses and CIDR networks from which your proxy connects. Only from there are the headers believed. Whoever can connect from there is whoever they say, so let nobody else in: the proxy must remove these headers from what clients send.",
  }),
  user_header: Type.Optional(header("Header with the person's login name.", { default: "Remote-User" })),
  name_header: Type.Optional(header("Header with the name that is shown.")),
  groups_header: Type.Optional(header("Header with the person's groups.")),
  groups_separator: Type.Optional(
    Type.String({ minLength: 1, maxLength: 8, default: ",", description: "What is between two groups." }),
  ),
  ascii_only: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        "Names of users and groups are ASCII only; others are refused. Needed on the transport `uws`, which cuts other characters off at both ends of a header, so make sure that the proxy has no such names.",
    }),
  ),
  ...groupMappingOption,
  ...newUsersOption,
});
type Entry = Frozen<Static<typeof entry>>;

/** People whom a reverse proxy has authenticated. */
export const headerProviderType = {
  entry,
  problem(given: Entry, { transport }: Pick<ConfiguredOptions, "transport">): string | undefined {
    for (const [place, network] of given.proxies.entries()) {
      const problem = addressRangeProblem(network);
      if (problem !== undefined) return `has wrong proxies: entry ${place + 1} ${problem}`;
    }
    const names = [given.user_header ?? "Remote-User", given.name_header, given.groups_header].filter(
      (name) => name !== undefined,
    );
    if (names.some((name) => others.test(name))) return "uses a header that has another meaning";
    if (new Set(names.map((name) => name.toLowerCase())).size < names.length) return "uses one header twice";
    if (transport === "uws" && given.ascii_only !== true)
      return "needs ascii_only on the transport uws, which cuts other characters off at both ends of a header";
    if ((given.groups_header === undefined) !== (given.group_mapping === undefined))
      return "needs group_mapping exactly if there is a groups_header";
    return undefined;
  },
  create: (given: Entry) =>
    createHeaderProvider({
      id: given.id ?? null,
      name: given.name,
      proxies: parseAddressRanges(given.proxies),
      headers: {
        user: (given.user_header ?? "Remote-User").toLowerCase(),
        name: given.name_header?.toLowerCase(),
        groups: given.groups_header?.toLowerCase(),
        asciiOnly: given.ascii_only ?? false,
        separator: given.groups_separator ?? ",",
      },
      groupMapping: given.group_mapping,
      newUsers: newUsersOf(given.new_users),
    }),
};

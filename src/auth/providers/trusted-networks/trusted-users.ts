import { type AddressRanges, parseAddressRanges } from "../../../net/address-ranges.ts";
import type { User } from "../../model.ts";

/** A user's id, or a group whose members are meant. */
export type TrustedUser = string | { readonly group: string | readonly string[] };
export type TrustedUsers = Readonly<Record<string, TrustedUser | readonly TrustedUser[]>>;

/** Who may log in from an address without a password. */
export interface Choice {
  /** Undefined: it is not known from the configuration who they are, because groups or all users are meant. */
  readonly ids: readonly string[] | undefined;
  includes(user: User): boolean;
}

interface Rule extends Choice {
  readonly network: AddressRanges;
}

const everybody: Choice = { ids: undefined, includes: () => true };

/** As in Home Assistant, the first network that has the address decides; without one, everybody may. */
export function createChoices(trustedUsers: TrustedUsers): (address: string | null) => Choice {
  const rules = Object.entries(trustedUsers).map(([network, who]) => ruleOf(network, listOf(who)));
  return (address) => rules.find(({ network }) => network.includes(address)) ?? everybody;
}

export function userIdsIn(trustedUsers: TrustedUsers): readonly string[] {
  return Object.values(trustedUsers).flatMap((who) => idsIn(listOf(who)));
}

function listOf(who: TrustedUser | readonly TrustedUser[]): readonly TrustedUser[] {
  return isList(who) ? who : [who];
}

function isList(who: TrustedUser | readonly TrustedUser[]): who is readonly TrustedUser[] {
  return Array.isArray(who);
}

function idsIn(users: readonly TrustedUser[]): readonly string[] {
  return users.filter((each) => typeof each === "string");
}

function ruleOf(network: string, users: readonly TrustedUser[]): Rule {
  const ids = idsIn(users);
  const groups = users.flatMap((each) => (typeof each === "string" ? [] : each.group));
  const [known, members] = [new Set(ids), new Set(groups)];
  return {
    network: parseAddressRanges([network]),
    ids: groups.length === 0 ? ids : undefined,
    includes: ({ id, groupIds }) => known.has(id) || groupIds.some((group) => members.has(group)),
  };
}

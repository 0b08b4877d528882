import type { AddressRanges } from "../../../net/address-ranges.ts";
import type { Peer } from "../../model.ts";
import { mappedGroups } from "../group-mapping.ts";
import { profileName } from "../profile-name.ts";
import type { LoginProvider, NewUsers, ProviderStep } from "../provider.ts";
import { shownName } from "../provider-type.ts";
import { type HeaderNames, readIdentity } from "./identity.ts";

export const headerType = "header";

export interface HeaderProviderOptions {
  readonly id: string | null;
  readonly name?: string | undefined;
  /** The proxies that may say who somebody is: the addresses that they connect from. */
  readonly proxies: AddressRanges;
  readonly headers: HeaderNames;
  readonly groupMapping: Readonly<Record<string, string>> | undefined;
  readonly newUsers: NewUsers;
}

/**
 * Believes a reverse proxy that has authenticated the person and says so in headers of the WebSocket's upgrade. It
 * looks at who sent the headers: the TCP peer, whatever address a forwarded header names. The login has no form.
 */
export function createHeaderProvider(options: HeaderProviderOptions): LoginProvider {
  const { headers, proxies } = options;
  const comesFromProxy = ({ upgrade }: Peer) => upgrade !== undefined && proxies.includes(upgrade.address);
  const begin = ({ peer }: { readonly peer: Peer }) =>
    Promise.resolve(comesFromProxy(peer) ? stepFor(options, peer) : aborted("not_allowed"));
  return {
    type: headerType,
    id: options.id,
    name: shownName("Proxy", options),
    supportsMfa: true,
    vouchesOnly: true,
    newUsers: options.newUsers,
    upgradeHeaders: [headers.user, headers.name, headers.groups].filter((name) => name !== undefined),
    isOffered: comesFromProxy,
    begin,
    advance: (_stepId, _input, _state, context) => begin(context),
  };
}

function aborted(reason: string): ProviderStep {
  return { kind: "abort", reason };
}

function stepFor({ headers, groupMapping }: HeaderProviderOptions, { upgrade }: Peer): ProviderStep {
  const identity = upgrade === undefined ? "missing" : readIdentity(upgrade, headers);
  if (identity === "missing" || identity === "invalid") return aborted(`identity_${identity}`);
  const groupIds = headers.groups === undefined ? undefined : mappedGroups(groupMapping, identity.groups);
  const profile = { name: profileName(identity.name), ...(groupIds === undefined ? {} : { groupIds }) };
  return { kind: "done", subject: identity.user, amr: [], profile, evidence: [] };
}

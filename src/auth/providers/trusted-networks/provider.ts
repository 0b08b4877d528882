import type { FormField } from "../../../../protocol/flow.ts";
import type { AddressRanges } from "../../../net/address-ranges.ts";
import type { Peer, User } from "../../model.ts";
import { mayConnectFrom, mayLogIn } from "../../users/account-status.ts";
import type { Users } from "../../users/users.ts";
import type { LoginProvider, ProviderStep } from "../provider.ts";
import { shownName } from "../provider-type.ts";
import { type Choice, createChoices, type TrustedUsers, userIdsIn } from "./trusted-users.ts";

export const trustedNetworksType = "trusted_networks";

export interface TrustedNetworksOptions {
  readonly id: string | null;
  readonly name?: string | undefined;
  readonly networks: AddressRanges;
  /** Proxies speak for others: from their own addresses nobody logs in. */
  readonly trustedProxies: AddressRanges;
  readonly trustedUsers: TrustedUsers;
  /** Log in without a question if there is only one user to choose. */
  readonly bypassesChoice: boolean;
  readonly users: Pick<Users, "read" | "page">;
}

/** Most users in the form, and how many are read at once. */
const mostShown = 500;
const pageSize = 100;

const notAllowed: ProviderStep = { kind: "abort", reason: "not_allowed" };

/**
 * Lets people on trusted networks choose who they are, as Home Assistant's `trusted_networks` does. It proves
 * nothing about the person. It makes no users. Whoever leaves the network cannot use what it gave.
 */
export function createTrustedNetworksProvider(options: TrustedNetworksOptions): LoginProvider {
  const choiceAt = createChoices(options.trustedUsers);
  const read = sharedCandidates(options);
  // A page that nobody knows would act with the address of whoever opened it.
  const admits = ({ address, byUnknownPage }: Peer) =>
    byUnknownPage !== true && options.networks.includes(address) && !options.trustedProxies.includes(address);
  return {
    type: trustedNetworksType,
    id: options.id,
    name: shownName("Trusted Networks", options),
    supportsMfa: false,
    admits,
    async begin({ peer }) {
      if (!admits(peer)) return notAllowed;
      return firstStep(options, await read(choiceAt(peer.address), peer));
    },
    async advance(_stepId, { user: userId }, _state, { peer }) {
      if (!admits(peer) || typeof userId !== "string") return notAllowed;
      const user = (await options.users.read(userId))?.user;
      const mayChoose = user !== undefined && mayLogIn(user, peer) && choiceAt(peer.address).includes(user);
      return mayChoose ? done(userId) : { ...notAllowed, userId };
    },
    warnings: () => unknownUsers(options),
  };
}

function firstStep(
  { bypassesChoice }: TrustedNetworksOptions,
  users: readonly User[] | "too_many",
): ProviderStep {
  if (users === "too_many") return { kind: "abort", reason: "too_many_users" };
  const [only] = users;
  if (only === undefined) return notAllowed;
  if (bypassesChoice && users.length === 1) return done(only.id);
  const options = users.map(({ id, name }): [string, string] => [id, name ?? id]);
  const fields: readonly FormField[] = [{ name: "user", type: "select", required: true, options }];
  return { kind: "form", stepId: "init", fields };
}

function done(userId: string): ProviderStep {
  return { kind: "done", subject: userId, linkTo: userId, amr: [], evidence: [], userId };
}

/**
 * Starts at once share one look at the users, which may be all there are. So strangers on the network cause no
 * more of them than one after another.
 */
function sharedCandidates(options: TrustedNetworksOptions): (choice: Choice, peer: Peer) => Candidates {
  const running = new Map<Choice, { readonly local?: Candidates; readonly remote?: Candidates }>();
  return (choice, peer) => {
    // All that `mayLogIn` knows of an address.
    const side = mayConnectFrom({ localOnly: true }, peer) ? "local" : "remote";
    const found = running.get(choice)?.[side];
    if (found !== undefined) return found;
    const begun = candidates(options, choice, peer).finally(() => {
      running.set(choice, { ...running.get(choice), [side]: undefined });
    });
    running.set(choice, { ...running.get(choice), [side]: begun });
    return begun;
  };
}

type Candidates = Promise<readonly User[] | "too_many">;

/** In the order of their creation. */
async function candidates(
  { users }: TrustedNetworksOptions,
  choice: Choice,
  peer: Peer,
): Promise<readonly User[] | "too_many"> {
  const found: User[] = [];
  for await (const user of choice.ids === undefined ? all(users) : those(users, choice.ids)) {
    if (mayLogIn(user, peer) && choice.includes(user)) found.push(user);
    if (found.length > mostShown) return "too_many";
  }
  return found.sort((a, b) => a.createdAt - b.createdAt);
}

async function* all(users: TrustedNetworksOptions["users"]): AsyncGenerator<User> {
  let after: string | undefined;
  do {
    const page = await users.page({ after, limit: pageSize });
    yield* page.users;
    after = page.next;
  } while (after !== undefined);
}

async function* those(users: TrustedNetworksOptions["users"], ids: readonly string[]): AsyncGenerator<User> {
  for (const id of new Set(ids)) {
    const found = await users.read(id);
    if (found !== undefined) yield found.user;
  }
}

async function unknownUsers({ users, trustedUsers }: TrustedNetworksOptions): Promise<readonly string[]> {
  const warnings: string[] = [];
  for (const id of new Set(userIdsIn(trustedUsers)))
    if ((await users.read(id)) === undefined) warnings.push(`trusted_users names ${id}, which is no user`);
  return warnings;
}

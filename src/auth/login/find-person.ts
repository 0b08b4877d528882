import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Credential, Peer, User } from "../model.ts";
import type { KnownGroups } from "../permissions/known-groups.ts";
import { profileName } from "../providers/profile-name.ts";
import type { NewUsers, Profile } from "../providers/provider.ts";
import type { ProviderRegistry } from "../providers/registry.ts";
import { recordKeys } from "../record-keys.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import { mergeSteps, retryConflicts, type Step, type Store } from "../store.ts";
import { isActive, isPending } from "../users/account-status.ts";
import type { Approval, Approvals } from "../users/approvals.ts";
import { type Credentials, newCredential } from "../users/credentials.ts";
import { type Person, readPerson } from "../users/person.ts";
import { createUserStep } from "../users/user-changes.ts";
import { newUser, type Users } from "../users/users.ts";
import type { Flow } from "./flow-record.ts";
import type { Proof } from "./proof.ts";

export interface PersonTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: LogWriter;
  readonly registry: ProviderRegistry;
  readonly users: Pick<Users, "read" | "update">;
  readonly groups: Pick<KnownGroups, "existing">;
  readonly credentials: Pick<Credentials, "find" | "linkStep">;
  readonly approvals: Pick<Approvals, "wait">;
}

/**
 * Whether the user that a flow waits for is not pending any more: approved, or gone. Then `findPerson` finds
 * nobody else.
 */
export async function isDecided({ users }: Pick<PersonTools, "users">, { waiting }: Flow): Promise<boolean> {
  return waiting !== null && !isPending((await users.read(waiting.userId))?.user);
}

/**
 * The user whose credential was proved. A credential that nobody has yet is linked to the user that the provider
 * names, or makes a new user if the provider has `newUsers`. What the provider says about the person is written
 * before anything is decided on the user. Undefined: nobody has the credential, and it makes no user; or the flow
 * waits for another user. `no_room`: a new user would have to wait for approval, and too many do. `asRead`: the person, if
 * the caller has just read them and checks them in its commit.
 */
export async function findPerson(
  tools: PersonTools,
  flow: Flow,
  proof: Proof,
  peer: Peer,
  asRead?: Person,
): Promise<Person | "no_room" | undefined> {
  const readAgain = () => readPerson(tools, flow.handler, proof.subject);
  const known = asRead ?? (await readAgain());
  if (flow.waiting !== null && known?.credential.userId !== flow.waiting.userId) {
    // The user was refused while the flow waited. The person may have asked again: that user has another code.
    return undefined;
  }
  // The login was linked to another user since the first factor was proved.
  if (flow.factor != null && known?.credential.userId !== flow.factor.userId) return undefined;
  if (known === undefined) {
    const made = await makePerson(tools, flow, proof, peer);
    return made === "made" ? await readAgain() : made;
  }
  const profile = known.credential.linked === true ? undefined : proof.profile;
  const changed = await followProfile(tools, known.versionedUser.user, profile);
  return changed ? await readAgain() : known;
}

async function makePerson(
  tools: PersonTools,
  flow: Flow,
  proof: Proof,
  peer: Peer,
): Promise<"made" | "no_room" | undefined> {
  if (proof.linkTo !== undefined) return await linkToUser(tools, flow, proof, proof.linkTo);
  const newUsers = tools.registry.find(...flow.handler)?.newUsers;
  return newUsers && (await makeUser(tools, flow, proof, newUsers, peer));
}

async function linkToUser(
  { users, credentials, store, clock }: PersonTools,
  flow: Flow,
  { subject }: Proof,
  userId: string,
): Promise<"made" | undefined> {
  const outcome = await retryConflicts<"made" | "not made">(async () => {
    const found = await users.read(userId);
    if (found === undefined || !isActive(found.user) || found.user.systemGenerated) return "not made";
    const credential = newCredential(clock, flow.handler, subject, userId);
    const link = credentials.linkStep(credential);
    const linked = await store.commit(
      mergeSteps(link, { check: [{ key: recordKeys.user(userId), version: found.version }] }),
    );
    if (linked.ok) return "made";
    // Another login linked it, or the user has another credential of this provider.
    return linked.conflict === recordKeys.user(userId) ? undefined : "not made";
  });
  return outcome === "made" ? outcome : undefined;
}

/** User and credential in one commit, with the place among those who wait if the user is not active. */
async function makeUser(
  tools: PersonTools,
  flow: Flow,
  { subject, profile = {} }: Proof,
  newUsers: NewUsers,
  peer: Peer,
): Promise<"made" | "no_room"> {
  const user = newUser({
    name: profile.name ?? profileName(subject) ?? flow.handler[0],
    groupIds: await tools.groups.existing(profile.groupIds ?? newUsers.groups),
    localOnly: profile.localOnly,
    state: newUsers.activate ? "active" : "pending",
    createdAt: tools.clock.now(),
  });
  const credential = newCredential(tools.clock, flow.handler, subject, user.id);
  const creation = mergeSteps(createUserStep(user), tools.credentials.linkStep(credential));
  if (isPending(user)) {
    const approval = await waitForApproval(tools, flow, { credential, user }, peer, creation);
    return approval === undefined ? "no_room" : "made";
  }
  // In conflict with another login of the same person, which has made the user.
  await tools.revocation.commit(creation);
  return "made";
}

/** The user's place among those who wait for approval. Undefined if too many do. */
export async function waitForApproval(
  { approvals }: Pick<PersonTools, "approvals">,
  { handler, clientId, clientName }: Flow,
  { credential, user }: { readonly credential: Credential; readonly user: User },
  peer: Peer,
  also?: Step,
): Promise<Approval | undefined> {
  const { subject } = credential;
  return await approvals.wait(
    {
      userId: user.id,
      name: user.name,
      subject,
      provider: handler,
      clientId,
      clientName,
      address: peer.address,
    },
    also,
  );
}

/** Whether it changed the user. The owner's rights are nobody's to decide. */
async function followProfile(tools: PersonTools, user: User, profile: Profile | undefined): Promise<boolean> {
  if (profile === undefined || user.systemGenerated) return false;
  const groupIds = profile.groupIds && (await tools.groups.existing(profile.groupIds));
  const rights = user.isOwner ? {} : { groupIds, localOnly: profile.localOnly };
  try {
    await tools.users.update(user.id, { name: profile.name, ...rights });
    return true;
  } catch (error) {
    // Removed meanwhile: the person is read again, and not found.
    if (error instanceof AuthError && error.code === "not_found") return true;
    throw error;
  }
}

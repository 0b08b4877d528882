import type { CreateEntryStep } from "../../../protocol/flow.ts";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { AssuranceLevel, Credential, Peer } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { sessionGrantOf } from "../sessions/token-grant.ts";
import type { Step, Store } from "../store.ts";
import { mergeSteps } from "../store.ts";
import type { AuthorizationCodes } from "../tokens/authorization-codes.ts";
import { mayLogIn } from "../users/account-status.ts";
import type { Credentials } from "../users/credentials.ts";
import { userStatusChecks } from "../users/user-record.ts";
import type { Users, VersionedUser } from "../users/users.ts";
import { endFlowStep, type Flow, type VersionedFlow } from "./flow-record.ts";

export interface FinishTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly users: Pick<Users, "read">;
  readonly credentials: Pick<Credentials, "find">;
  readonly sessions: Pick<Sessions, "open">;
  readonly codes: Pick<AuthorizationCodes, "prepare">;
  /** Whether sessions of this client rotate their refresh tokens. */
  readonly rotates: (clientId: string | null) => boolean;
}

/** What all required steps have proved. A login is made only from this. */
export interface Proof {
  readonly subject: string;
  readonly amr: readonly string[];
  readonly assurance: AssuranceLevel;
  readonly authenticatedAt: number;
  /** The records that it was decided on. The commit that opens the session checks each of them. */
  readonly evidence: NonNullable<Step["check"]>;
}

/** The user of the proof, as read now. `credentialVersion` is the version of the credential's record. */
interface Person {
  readonly credential: Credential;
  readonly credentialVersion: number;
  readonly versionedUser: VersionedUser;
}

/**
 * Ends the flow and opens its session or code, in one commit. So a flow gives one session or one code, also if the
 * same step arrives twice, and none if the password, the credential, the user or the user's epoch has changed since
 * it was read. Undefined: this person may not log in (no credential, not active, not from this address), or a record
 * changed; the answer is that of a wrong password. Throws `conflict` if the flow itself was continued or ended
 * elsewhere.
 */
export async function finishLogin(
  tools: FinishTools,
  at: VersionedFlow,
  proof: Proof,
  peer: Peer,
): Promise<CreateEntryStep["result"] | undefined> {
  const person = await findUser(tools, at.flow, proof.subject);
  // A provider that creates pending users will create them here: credential and user in one commit, no session.
  if (person === undefined || !mayLogIn(person.versionedUser.user, peer)) return undefined;
  const key = recordKeys.credential(person.credential.id);
  const decidedOn = { check: [...proof.evidence, { key, version: person.credentialVersion }] };
  const also = mergeSteps(endFlowStep(at), decidedOn);
  try {
    return at.flow.purpose === "code"
      ? await finishWithCode(tools, at.flow, proof, person, also)
      : await finishWithSession(tools, at.flow, proof, person, peer, also);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    if (error.code === "access_denied") return undefined;
    if (error.code !== "conflict" || !(await isUnchanged(tools.store, at))) throw error;
    return undefined;
  }
}

async function findUser(
  { credentials, users }: FinishTools,
  { handler: [type, id] }: Flow,
  subject: string,
): Promise<Person | undefined> {
  const found = await credentials.find(type, id, subject);
  const versionedUser = found && (await users.read(found.credential.userId));
  return (
    found &&
    versionedUser && { credential: found.credential, credentialVersion: found.version, versionedUser }
  );
}

async function finishWithSession(
  { sessions, rotates }: FinishTools,
  { clientId, clientName }: Flow,
  { assurance, amr, authenticatedAt }: Proof,
  { credential, versionedUser }: Person,
  peer: Peer,
  also: Step,
): Promise<CreateEntryStep["result"]> {
  const grant = await sessions.open({
    user: versionedUser.user,
    userVersion: versionedUser.version,
    userEpoch: versionedUser.epoch,
    credential,
    clientId,
    clientName,
    rotates: rotates(clientId),
    assurance,
    amr,
    authenticatedAt,
    peer,
    also,
  });
  return sessionGrantOf(grant);
}

/** Issues no code to a user who is being revoked: its commit has the same checks as that of a session. */
async function finishWithCode(
  { store, codes }: FinishTools,
  { clientId, clientName, redirectUri, codeChallenge }: Flow,
  { assurance, amr, authenticatedAt }: Proof,
  { credential, versionedUser }: Person,
  also: Step,
): Promise<CreateEntryStep["result"]> {
  if (clientId === null) throw new AuthError("invalid_client");
  const { userId, id: credentialId } = credential;
  const { code, step } = codes.prepare({
    userId,
    userEpoch: versionedUser.epoch,
    credentialId,
    clientId,
    clientName,
    redirectUri,
    codeChallenge,
    assurance,
    amr,
    authenticatedAt,
  });
  const outcome = await store.commit(
    mergeSteps(also, { check: userStatusChecks(userId, versionedUser) }, step),
  );
  if (!outcome.ok) throw new AuthError("conflict", { detail: `login: ${outcome.conflict} changed` });
  return code;
}

async function isUnchanged(store: Store, { flow, version }: VersionedFlow): Promise<boolean> {
  const [record] = await store.get([recordKeys.flow(flow.id)]);
  return (record?.version ?? 0) === version;
}

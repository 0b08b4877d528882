import type { CreateEntryStep } from "../../../protocol/flow.ts";
import { clientChecks } from "../clients/client-record.ts";
import { AuthError } from "../errors.ts";
import { type Assurance, type Demand, isBelow } from "../factors/assurance.ts";
import type { FactorDemands } from "../factors/demands.ts";
import type { Factor } from "../factors/factor.ts";
import type { FactorProofs } from "../factors/factor-proofs.ts";
import type { Peer, User } from "../model.ts";
import type { AllowedRequest, RequestTools } from "../oauth/authorization-request.ts";
import { recordKeys } from "../record-keys.ts";
import type { NewSession, Sessions } from "../sessions/sessions.ts";
import { sessionGrantOf } from "../sessions/token-grant.ts";
import { areUnchanged, type Checks, mergeSteps, type Step } from "../store.ts";
import type { AuthorizationCodes } from "../tokens/authorization-codes.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { isPending, mayLogIn } from "../users/account-status.ts";
import type { Approval } from "../users/approvals.ts";
import type { Person } from "../users/person.ts";
import { userStatusChecks } from "../users/user-record.ts";
import { allowedNow, concludedProof } from "./conclude-login.ts";
import { findPerson, type PersonTools, waitForApproval } from "./find-person.ts";
import { finishLink, type LinkOutcome } from "./finish-link.ts";
import { finishStepUp, withLevelOf } from "./finish-step-up.ts";
import { endFlowStep, type Flow, flowChecks, type VersionedFlow } from "./flow-record.ts";
import { giveLinkCode } from "./link-codes.ts";
import type { Proof } from "./proof.ts";

export interface FinishTools extends PersonTools, RequestTools {
  readonly sessions: Pick<Sessions, "open">;
  readonly codes: Pick<AuthorizationCodes, "prepare">;
  readonly assurance: Pick<Assurance, "demandOn">;
  readonly factors: readonly Factor[];
  readonly factorProofs: FactorProofs;
  readonly demands: Pick<FactorDemands, "enforce">;
  readonly sealing: Pick<Sealing, "derive" | "seal" | "open">;
  /** A flow waits for a decision on this user. */
  readonly onWaiting: (flowId: string, userId: string) => void;
  /** The provider has done what it had to do yet. */
  readonly onConcluded?: () => void;
  /** Whether sessions of this client, which nobody registered, rotate their refresh tokens. */
  readonly rotates: (clientId: string | null) => boolean;
}

/**
 * `refused`: this person may not log in (no credential, not active, not from this address), or a record changed;
 * the answer is that of a wrong password. `no_room`: too many users wait for approval. `over`: the flow has ended, with what
 * the provider had to do, and there is no session.
 */
export type LoginOutcome =
  | { readonly kind: "granted"; readonly result: CreateEntryStep["result"] }
  | LinkOutcome
  | { readonly kind: "refused" | "no_room" | "over" }
  /** More is demanded of the user than was proved. */
  | { readonly kind: "below"; readonly user: User; readonly demand: Demand }
  | { readonly kind: "waits"; readonly approval: Approval };

const refused: LoginOutcome = { kind: "refused" };

/** How often a login is decided on, if its user's record changes meanwhile. */
const maxAttempts = 3;

/**
 * Ends the flow and opens its session or code, in one commit. So a flow gives one session or one code, also if the
 * same step arrives twice, and none if the password, the credential or the user's epoch has changed since it was
 * read. If the user has changed, who may log in is decided again, and so it is if policy demands another assurance. The first login of a person may make a user, see
 * `findPerson`. A flow that links opens neither, see `finishLink` and `giveLinkCode`, and neither does a step-up, see `finishStepUp`. Throws `conflict` if the
 * flow itself was continued or ended elsewhere.
 */
export async function finishLogin(
  tools: FinishTools,
  at: VersionedFlow,
  proof: Proof,
  peer: Peer,
): Promise<LoginOutcome> {
  if (at.flow.purpose === "link") return await finishLink(tools, at, proof);
  if (at.flow.purpose === "link_code") return await giveLinkCode(tools, at, proof);
  if (at.flow.purpose === "step_up") return await finishStepUp(tools, at, proof, peer);
  for (let attempt = 1; ; attempt += 1) {
    const person = await findPerson(tools, at.flow, proof, peer, attempt === 1 ? proof.asRead : undefined);
    if (person === "no_room") return { kind: "no_room" };
    if (person === undefined) return refused;
    const { user } = person.versionedUser;
    if (isPending(user)) {
      const approval = await waitForApproval(tools, at.flow, { ...person, user }, peer);
      return approval === undefined ? { kind: "no_room" } : { kind: "waits", approval };
    }
    if (!mayLogIn(user, peer)) return refused;
    const demand = withLevelOf(at.flow, await tools.assurance.demandOn(user.id));
    if (isBelow(proof, demand)) return { kind: "below", user, demand };
    if (proof.pending !== undefined) {
      const outcome = await concludeLogin(tools, at, proof, demand, peer);
      if (outcome !== undefined) return outcome;
      // Perhaps only what is demanded has changed.
      const isProved = await areUnchanged(tools.store, [...proof.evidence, ...flowChecks(at)]);
      if (!isProved || attempt === maxAttempts) return refused;
      continue;
    }
    const decidedOn = [...proof.evidence, credentialCheck(person)];
    try {
      return await finishFor(tools, at, proof, person, peer, { decidedOn, demand });
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      if (error.code === "access_denied") return refused;
      if (error.code !== "conflict" || !(await areUnchanged(tools.store, flowChecks(at)))) throw error;
      const { userId } = person.credential;
      const epoch = { key: recordKeys.userEpoch(userId), version: person.versionedUser.epoch };
      const isProved = await areUnchanged(tools.store, [...decidedOn, epoch]);
      if (!isProved || attempt === maxAttempts) return refused;
    }
  }
}

/**
 * The provider's commit ends the flow too: from then on nobody cancels it or goes on with it. If there is no session then after
 * all, because the store or a decision of somebody else was in between, the flow is over, and the person logs in anew. Undefined:
 * something has changed, and nothing was done.
 */
async function concludeLogin(
  tools: FinishTools,
  at: VersionedFlow,
  proof: Proof,
  demand: Demand,
  peer: Peer,
): Promise<LoginOutcome | undefined> {
  // Nothing is done if more is demanded by then, or a factor that was proved is gone.
  const decidedOn = { check: [...proof.evidence, ...demand.checks] };
  const concluded = await concludedProof(tools, at, proof, mergeSteps(endFlowStep(at), decidedOn), peer);
  if (concluded === undefined) return undefined;
  try {
    const outcome = await finishLogin(tools, { ...at, isOver: true }, concluded, peer);
    return outcome.kind === "granted" ? outcome : { kind: "over" };
  } catch (error) {
    if (error instanceof AuthError) return { kind: "over" };
    throw error;
  }
}

function credentialCheck({ credential, credentialVersion: version }: Person): Checks[number] {
  return { key: recordKeys.credential(credential.id), version };
}

async function finishFor(
  tools: FinishTools,
  at: VersionedFlow,
  proof: Proof,
  person: Person,
  peer: Peer,
  { decidedOn, demand }: { readonly decidedOn: Checks; readonly demand: Demand },
): Promise<LoginOutcome> {
  const allowed = await allowedNow(tools, at.flow);
  const ofClient = allowed.client === undefined ? [] : clientChecks(allowed.client);
  const also = mergeSteps(endFlowStep(at), { check: [...decidedOn, ...demand.checks, ...ofClient] });
  const result =
    at.flow.purpose === "code"
      ? await finishWithCode(tools, at.flow, allowed, proof, person, also)
      : await finishWithSession(tools, at.flow, allowed, proof, person, peer, { demand, also });
  return { kind: "granted", result };
}

async function finishWithSession(
  { sessions, rotates }: FinishTools,
  { clientId, clientName }: Flow,
  { scope, resource, client }: AllowedRequest,
  { assurance, amr, authenticatedAt, providerSession }: Proof,
  { credential, versionedUser }: Person,
  peer: Peer,
  decided: Pick<NewSession, "demand" | "also">,
): Promise<CreateEntryStep["result"]> {
  const grant = await sessions.open({
    user: versionedUser.user,
    userVersion: versionedUser.version,
    userEpoch: versionedUser.epoch,
    credential,
    clientId,
    clientName,
    rotates: client?.rotates ?? rotates(clientId),
    assurance,
    amr,
    authenticatedAt,
    providerSession: providerSession?.name,
    scope,
    resource,
    peer,
    ...decided,
  });
  return sessionGrantOf(grant);
}

/** Issues no code to a user who is being revoked: its commit has the same checks as that of a session. */
async function finishWithCode(
  { store, codes, pushed }: FinishTools,
  { clientId, clientName, redirectUri, codeChallenge, requestUri }: Flow,
  { scope, resource, nonce }: AllowedRequest,
  { assurance, amr, authenticatedAt, providerSession }: Proof,
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
    providerSession,
    scope,
    resource,
    nonce,
  });
  const used = requestUri == null ? undefined : (await pushed.read(requestUri, clientId)).consume;
  const outcome = await store.commit(
    mergeSteps(also, used, { check: userStatusChecks(userId, versionedUser) }, step),
  );
  if (!outcome.ok) throw new AuthError("conflict", { detail: `login: ${outcome.conflict} changed` });
  return code;
}

import { type Policy, policyLimits } from "../../../protocol/policy.ts";
import { isRegisteredId } from "../clients/client-id.ts";
import { AuthError } from "../errors.ts";
import { isBelow } from "../factors/assurance.ts";
import { newId } from "../ids.ts";
import type { Session } from "../model.ts";
import { requirePolicyWithin } from "../permissions/writable-policy.ts";
import { recordKeys } from "../record-keys.ts";
import { mergeSteps, readRecord, retryConflicts, type Step } from "../store.ts";
import { refuseInactive } from "../users/account-status.ts";
import { readUserStatus } from "../users/user-record.ts";
import { type AskingSession, readAskingSession } from "./asking-session.ts";
import { belowDemand, createSessionStep, firstGeneration, type SessionTools } from "./open-session.ts";
import { requireRoomForToken } from "./session-caps.ts";
import { findSession } from "./session-reading.ts";
import { epochChecks, highestEpoch, readEpochs, sessionPut } from "./session-record.ts";

const dayMs = 86_400_000;
/** The longest life that Home Assistant's UI asks for. */
const maxDays = 3650;
const maxNameLength = 128;

export interface LongLivedRequest {
  readonly userId: string;
  readonly clientName: string;
  readonly clientIcon: string | null;
  readonly days: number;
  /** The session that asks for it. Absent for the command line. */
  readonly askedBy?: string;
  /** Narrows the token. */
  readonly policy?: Policy | undefined;
}

type OpeningTools = SessionTools & Parameters<typeof requireRoomForToken>[0];

export async function openLongLived(
  tools: OpeningTools,
  request: LongLivedRequest,
): Promise<{ readonly session: Session; readonly accessToken: string }> {
  checkRequest(request);
  tools.accessTokens.requireIssuer();
  await requireRoomForToken(tools, request.userId);
  const { session, user, epochs } = await retryConflicts(() => createOnce(tools, request));
  const { token } = await tools.accessTokens.mint(session, user, highestEpoch(epochs));
  return { session, accessToken: token };
}

function checkRequest({ days, clientName, policy }: LongLivedRequest): void {
  if (policy !== undefined) requirePolicyWithin(policy, policyLimits.tokenBytes);
  if (!Number.isInteger(days) || days < 1 || days > maxDays)
    throw new AuthError("invalid_format", { publicMessage: `The lifespan is 1 to ${maxDays} days.` });
  if (clientName.trim() === "" || clientName.length > maxNameLength)
    throw new AuthError("invalid_format", { publicMessage: "The client name is empty or too long." });
}

/** Undefined: the user, an epoch or the name record changed meanwhile. */
async function createOnce(tools: SessionTools, request: LongLivedRequest) {
  const userStatus = await readUserStatus(tools.store, request.userId);
  // As in Home Assistant, a system user has no sessions but those of type `system`.
  if (userStatus?.user.systemGenerated === true) throw new AuthError("not_system_user");
  const user = userStatus?.user;
  refuseInactive(user);
  if (userStatus === undefined) return undefined;
  const asking = await askingSession(tools, request);
  const session = longLivedSession(request, asking?.session, tools.clock.now());
  const demand = await tools.assurance.demandOn(request.userId);
  if (isBelow(session, demand)) throw belowDemand("access_denied");
  const { all, client } = await readEpochs(tools.store, session);
  const epochs = { user: userStatus.epoch, all, client };
  const unchanged = { key: recordKeys.user(request.userId), version: userStatus.version };
  const step = mergeSteps(
    { check: [unchanged, ...epochChecks(session, epochs)] },
    { check: [...demand.checks, ...(asking?.checks ?? [])] },
    createSessionStep(session),
    await claimNameStep(tools, session, request.clientName),
  );
  const outcome = await tools.revocation.commit(step);
  return outcome.ok ? { session, user: userStatus.user, epochs } : undefined;
}

/**
 * The commit checks that the asking session is still live. The token is not ended by the revocation of that session,
 * so without this check an attempt that failed on the user's new epoch would succeed when it is retried.
 */
async function askingSession(
  tools: SessionTools,
  { userId, askedBy, policy }: LongLivedRequest,
): Promise<AskingSession | undefined> {
  if (askedBy === undefined) return undefined;
  const asking = await readAskingSession(tools, userId, askedBy);
  // Nothing here can say what two policies leave together.
  if (asking.session.policy !== undefined && policy !== undefined) throw new AuthError("unauthorized");
  return asking;
}

/**
 * A token is never wider than the session that asked for it: it has that session's scopes, policy and assurance, and belongs to the
 * same registered client, whose removal ends it. As in Home Assistant, it belongs to no other client.
 */
function longLivedSession(request: LongLivedRequest, asking: Session | undefined, now: number): Session {
  const policy = request.policy === undefined ? asking?.policy : JSON.stringify(request.policy);
  const clientId = asking?.clientId ?? null;
  const lifeMs = request.days * dayMs;
  return {
    id: newId(),
    userId: request.userId,
    type: "long_lived_access_token",
    clientId: clientId !== null && isRegisteredId(clientId) ? clientId : null,
    clientName: request.clientName,
    clientIcon: request.clientIcon,
    credentialId: null,
    providerType: null,
    createdAt: now,
    lastUsedAt: null,
    lastUsedIp: null,
    expiresAt: now + lifeMs,
    accessTokenTtl: lifeMs,
    rotates: false,
    generation: firstGeneration,
    rotatedAt: now,
    assurance: asking?.assurance ?? 1,
    amr: asking?.amr ?? [],
    authenticatedAt: asking?.authenticatedAt ?? now,
    ...(asking?.scope == null ? {} : { scope: asking.scope }),
    ...(policy === undefined ? {} : { policy }),
  };
}

/** A name is taken while its session is live. The name of a dead session is reused, so names need not be freed. */
async function claimNameStep(tools: SessionTools, session: Session, clientName: string): Promise<Step> {
  const key = recordKeys.clientName(session.userId, clientName);
  const record = await readRecord(tools.store, key);
  const holderId = record?.value.session_id;
  const holder = typeof holderId === "string" ? await findSession(tools, holderId) : undefined;
  if (holder?.state === "live") throw new AuthError("client_name_exists");
  const { expiresAt } = sessionPut(session);
  return {
    check: [{ key, version: record?.version ?? 0 }],
    put: [{ key, value: { session_id: session.id }, expiresAt }],
  };
}

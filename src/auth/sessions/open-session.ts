import { isRegisteredId } from "../clients/client-id.ts";
import { AuthError } from "../errors.ts";
import { type Assurance, isBelow } from "../factors/assurance.ts";
import { newId } from "../ids.ts";
import type { Peer, Session } from "../model.ts";
import type { ProviderAdmission } from "../providers/registry.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import type { Step, Store } from "../store.ts";
import { mergeSteps } from "../store.ts";
import type { AccessTokens } from "../tokens/access-tokens.ts";
import type { RefreshTokens } from "../tokens/refresh-tokens.ts";
import { refuseInactive } from "../users/account-status.ts";
import type { ReadingTools } from "./session-reading.ts";
import {
  createdBefore,
  type Epochs,
  epochChecks,
  highestEpoch,
  parseSession,
  providerOf,
  readEpochs,
  sessionPut,
} from "./session-record.ts";
import type { NewSession, TokenGrant } from "./sessions.ts";

export interface SessionTools extends ReadingTools {
  readonly revocation: LogWriter;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly providers: ProviderAdmission;
  readonly assurance: Assurance;
  readonly accessTokenTtlMs: number;
  readonly sessionIdleMs: number;
}

/** The first refresh token's generation. */
export const firstGeneration = 1;

export async function openSession(
  tools: SessionTools,
  request: NewSession,
): Promise<TokenGrant & { readonly refreshToken: string }> {
  const { user, userVersion, userEpoch, also } = request;
  refuseInactive(user);
  tools.accessTokens.requireIssuer();
  const session = newSession(tools, request);
  refuseUnlessAdmitted(tools.providers, session, request.peer);
  const demand = request.demand ?? (await tools.assurance.demandOf(user));
  // Whoever opens one has asked before. The demand came in between, so it is decided on again.
  if (isBelow(session, demand)) throw belowDemand("conflict");
  const { all, client } = await readEpochs(tools.store, session);
  const epochs = { user: userEpoch, all, client };
  const outcome = await tools.revocation.commit(
    mergeSteps(
      {
        check: [{ key: recordKeys.user(user.id), version: userVersion }, ...epochChecks(session, epochs)],
      },
      request.demand === undefined ? { check: demand.checks } : undefined,
      createSessionStep(session),
      await removeStaleStep(tools.store, session, epochs),
      typeof also === "function" ? also(session.id) : also,
    ),
  );
  if (!outcome.ok) throw new AuthError("conflict", { detail: `open: ${outcome.conflict} changed` });
  const { token, principal } = await tools.accessTokens.mint(session, user, highestEpoch(epochs));
  return {
    session,
    accessToken: token,
    principal,
    refreshToken: tools.refreshTokens.issue(session.id, session.generation),
  };
}

/**
 * Throws `access_denied` if the session's provider is not configured any more, or does not admit the peer, as Home
 * Assistant does at every token.
 */
export function refuseUnlessAdmitted(providers: ProviderAdmission, session: Session, peer: Peer): void {
  const error = admissionError(providers, session, peer);
  if (error !== undefined) throw error;
}

export function admissionError(
  providers: ProviderAdmission,
  session: Session,
  peer: Peer,
): AuthError | undefined {
  const provider = providerOf(session);
  if (provider === undefined || providers.admits(provider, peer)) return undefined;
  return new AuthError("access_denied", { publicMessage: "Not allowed by the login provider" });
}

/** The session would be below what policy demands of its user. */
export function belowDemand(
  code: "conflict" | "invalid_grant" | "invalid_code" | "access_denied",
): AuthError {
  return new AuthError(code, { detail: "a second factor is demanded of the user" });
}

/** As in Home Assistant, a system user's session does not expire and has no client. */
function newSession({ clock, ...tools }: SessionTools, request: NewSession): Session {
  const now = clock.now();
  const { user, credential } = request;
  return {
    id: newId(),
    userId: user.id,
    type: user.systemGenerated ? "system" : "normal",
    clientId: request.clientId,
    clientName: request.clientName,
    clientIcon: null,
    credentialId: credential?.id ?? null,
    providerType: credential?.providerType ?? null,
    providerId: credential?.providerId ?? null,
    createdAt: now,
    lastUsedAt: now,
    lastUsedIp: request.peer.address,
    expiresAt: user.systemGenerated ? null : now + tools.sessionIdleMs,
    accessTokenTtl: tools.accessTokenTtlMs,
    rotates: request.rotates,
    generation: firstGeneration,
    rotatedAt: now,
    assurance: request.assurance,
    amr: request.amr,
    authenticatedAt: request.authenticatedAt,
    ...(request.providerSession == null ? {} : { providerSession: request.providerSession }),
    ...(request.scope == null ? {} : { scope: request.scope }),
    ...(request.policy === undefined ? {} : { policy: JSON.stringify(request.policy) }),
    ...(request.resource == null ? {} : { resource: request.resource }),
  };
}

/** The part of a commit that creates a session. The caller adds the checks of the epochs. */
export function createSessionStep(session: Session): Step {
  return {
    check: [{ key: recordKeys.session(session.id), version: 0 }],
    put: [sessionPut(session)],
    link: [
      { index: indexKeys.sessionsOf(session.userId), member: session.id },
      ...clientLinks(session.userId, session.clientId),
    ],
  };
}

/** Says which clients to tell when all sessions of the user end. */
function clientLinks(userId: string, clientId: string | null): NonNullable<Step["link"]> {
  if (clientId === null || !isRegisteredId(clientId)) return [];
  return [{ index: indexKeys.clientsOf(userId), member: clientId }];
}

/** One login in four looks at sixteen sessions, which costs less than four at each login. */
const staleSampleSize = 16;
const sampling = /^[0-3]/;

/**
 * Removes some of the user's stale sessions: those whose records the store has collected, or that were created before
 * one of these epochs. Sampling some from a random position at some logins keeps their number in proportion to the
 * live sessions, also for a user who never lists them.
 */
async function removeStaleStep(
  store: Store,
  { id, userId, clientId }: Session,
  epochs: Epochs,
): Promise<Step> {
  // Ids are random.
  if (!sampling.test(id)) return {};
  const index = indexKeys.sessionsOf(userId);
  const sample = await store.list(index, { after: newId(), limit: staleSampleSize });
  if (sample.length === 0) return {};
  const records = await store.get(sample.map(recordKeys.session));
  const dead = sample.filter((_, place) => {
    const record = records[place];
    if (record === undefined) return true;
    const isSameClient = parseSession(record)?.clientId === clientId;
    return createdBefore(record, highestEpoch({ ...epochs, client: isSameClient ? epochs.client : 0 }));
  });
  return {
    remove: dead.map(recordKeys.session),
    unlink: dead.map((member) => ({ index, member })),
  };
}

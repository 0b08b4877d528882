import { randomBytes } from "node:crypto";
import { addressShare } from "../../net/address-share.ts";
import type { RegisteredClient } from "../clients/client-record.ts";
import { newComparisonCode } from "../comparison-code.ts";
import { AuthError } from "../errors.ts";
import type { EventBus } from "../event-bus.ts";
import type { Peer } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { askingSessionChecks } from "../sessions/asking-session.ts";
import { type CodeExchangeTools, openForGrant } from "../sessions/code-exchange.ts";
import { epochChecks, readEpochs } from "../sessions/session-record.ts";
import type { Sessions, TokenGrant } from "../sessions/sessions.ts";
import { type Checks, retryConflicts } from "../store.ts";
import { RateLimiter } from "../throttling/rate-limiter.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { refuseBlockedUser } from "../users/account-status.ts";
import { requireGrantType, wishesOf } from "./authorization-request.ts";
import {
  createDeviceDecisions,
  type DeviceDecisionOptions,
  type DeviceDecisions,
} from "./device-decisions.ts";
import {
  type Approval,
  beginStep,
  type Device,
  deviceAt,
  deviceGrantType,
  devicePut,
  readDevice,
  unknownDeviceCode,
  userCodeKeys,
  type VersionedDevice,
} from "./device-record.ts";
import { DeviceWaiters } from "./device-waiters.ts";

/** What a device shows, and what it asks with. */
export interface DeviceAuthorization {
  /** The device's secret. */
  readonly deviceCode: string;
  /** What the person types, `BCDF-GHJK`. */
  readonly userCode: string;
  /** The page on which the person types it. */
  readonly verificationUri: string;
  /** The same with the code in it. */
  readonly verificationUriComplete: string;
  readonly expiresInMs: number;
  /** The least time between two polls, ms. */
  readonly intervalMs: number;
}

/**
 * Device authorization (RFC 8628): a device without a keyboard shows a code, a person who is logged in elsewhere types
 * it and decides, and the device gets a session of that person.
 */
export interface DeviceAuthorizations extends DeviceDecisions {
  /**
   * NOT checked: whether it is the client; see `ClientAuthentication`. Throws `unauthorized_client`, `invalid_scope`,
   * `invalid_target`, `rate_limited`, `overloaded`.
   */
  begin(
    client: RegisteredClient,
    wishes: { readonly scope: string | null; readonly resource: string | null },
    peer: Peer,
  ): Promise<DeviceAuthorization>;
  /**
   * Opens the session once a person has approved. Of several calls one gets it. Throws `authorization_pending`,
   * `slow_down` (the next poll has to wait 5 s longer), `device_refused`, `expired_token` (also if what was approved does
   * not hold any more: an approval ends with the session that gave it), `invalid_grant` (unknown, used, or another
   * client's). A poll with a used code ends the session that the code opened, as for authorization codes (RFC 6749
   * section 4.1.2): the code has two holders. A socket ends nothing: of several that wait for one device, all look.
   */
  redeem(request: {
    readonly client: RegisteredClient;
    readonly deviceCode: string;
    readonly peer: Peer;
    /** False for a socket, which is told when to ask. */
    readonly polls: boolean;
  }): Promise<TokenGrant & { readonly refreshToken: string }>;
  /**
   * Throws `invalid_target` for a device that asked for a token for a backend, which cannot authenticate a socket. A code
   * that is unknown, or another client's, throws nothing: `redeem` says so.
   */
  requireForSocket(client: RegisteredClient, deviceCode: string): Promise<void>;
  /** Calls `onDecided` whenever there may be a decision, on whatever node it was made. Must not throw. */
  watch(deviceCode: string, onDecided: () => void): () => void;
  close(): void;
}

export interface DeviceAuthorizationOptions extends DeviceDecisionOptions, Omit<CodeExchangeTools, "codes"> {
  readonly events: EventBus;
  readonly sessions: Pick<Sessions, "open" | "get">;
  readonly revocation: Pick<Revocation, "revoke">;
  readonly sealing: Pick<Sealing, "derive">;
  /** Without a trailing slash. */
  readonly publicUrl: () => string;
}

const lifeMs = 10 * 60_000;
const intervalMs = 5_000;
const slowerMs = 5_000;
/** A poll that is early by less than this is a clock's, or the network's, doing. */
const earlyMs = 500;
/** Devices of one address that begin within a time. */
const beginLimits = { limit: 60, windowMs: lifeMs };

export function createDeviceAuthorizations(options: DeviceAuthorizationOptions): DeviceAuthorizations {
  const { store, clock, events } = options;
  const begins = new RateLimiter({ ...beginLimits, clock });
  const waiters = new DeviceWaiters(events);
  const userCodeKey = userCodeKeys(options.sealing);
  return {
    async begin(client, wishes, peer) {
      requireGrantType(client, deviceGrantType);
      const granted = wishesOf(client, wishes);
      begins.charge(addressShare(peer.address));
      const deviceCode = randomBytes(32).toString("base64url");
      const userCode = newComparisonCode();
      const device = newDevice(client, granted, peer, clock.now() + lifeMs);
      const outcome = await store.commit(beginStep(deviceCode, userCodeKey(userCode), device));
      if (!outcome.ok) throw new AuthError("overloaded", { detail: "the user code is taken" });
      const verificationUri = `${options.publicUrl()}/device`;
      const verificationUriComplete = `${verificationUri}?user_code=${userCode}`;
      const uris = { verificationUri, verificationUriComplete };
      return { deviceCode, userCode, ...uris, expiresInMs: lifeMs, intervalMs };
    },
    async redeem({ client, deviceCode, peer, polls }) {
      const found = await readDevice(store, deviceCode, client.id);
      const { device } = found;
      if (device.state === "used") {
        if (polls) await endOpened(options, device);
        throw unknownDeviceCode();
      }
      if (device.state === "refused") throw new AuthError("device_refused");
      if (clock.now() >= device.endsAt) throw new AuthError("expired_token");
      if (device.approval === null) throw polls ? await pollVerdict(options, found) : pending();
      // A socket cannot be authenticated by a token for somebody else.
      if (!polls && device.resource !== null) throw new AuthError("invalid_target");
      const opened = await openSession(options, client, found, device.approval, { peer, polls });
      // Who else waits for this device learns that it waits for nothing.
      waiters.announce(found.key);
      return opened;
    },
    async requireForSocket(client, deviceCode) {
      const found = await deviceAt(store, recordKeys.device(deviceCode));
      if (found?.device.clientId === client.id && found.device.resource !== null)
        throw new AuthError("invalid_target");
    },
    watch: (deviceCode, onDecided) => waiters.watch(recordKeys.device(deviceCode), onDecided),
    ...createDeviceDecisions(options, { waiters, userCodeKey }),
    close: () => waiters.close(),
  };
}

function newDevice(
  { id: clientId, name: clientName }: RegisteredClient,
  granted: Pick<Device, "scope" | "resource">,
  { address }: Peer,
  endsAt: number,
): Device {
  const waits = { askedAt: 0, state: "waiting", approval: null, openedSession: null } as const;
  return { clientId, clientName, ...granted, address, endsAt, intervalMs, ...waits };
}

function pending(): AuthError {
  return new AuthError("authorization_pending");
}

/** Remembers the poll. One that comes too early makes all later ones wait longer (RFC 8628 section 3.5). */
async function pollVerdict(
  { store, clock }: Pick<DeviceAuthorizationOptions, "store" | "clock">,
  { key, device, version }: VersionedDevice,
): Promise<AuthError> {
  const now = clock.now();
  const early = now - device.askedAt < device.intervalMs - earlyMs;
  const next = { ...device, askedAt: now, intervalMs: device.intervalMs + (early ? slowerMs : 0) };
  const outcome = await store.commit({ check: [{ key, version }], put: [devicePut(key, next)] });
  // Another poll, or the person's decision, was first.
  if (!outcome.ok) return pending();
  return early ? new AuthError("slow_down") : pending();
}

async function openSession(
  options: DeviceAuthorizationOptions,
  client: RegisteredClient,
  found: VersionedDevice,
  approval: Approval,
  { peer, polls }: { readonly peer: Peer; readonly polls: boolean },
): Promise<TokenGrant & { readonly refreshToken: string }> {
  const { key, version } = found;
  try {
    return await retryConflicts(async () => {
      try {
        return await openOnce(options, client, found, approval, peer);
      } catch (error) {
        if (!(error instanceof AuthError) || error.code !== "conflict") throw error;
        // Another call was faster. One that polls asks again, and learns it then.
        const now = await deviceAt(options.store, key);
        if (now?.version !== version)
          throw now?.device.state === "used" && !polls ? unknownDeviceCode() : pending();
        // What was read has changed, as the session that approved does with each use.
        return undefined;
      }
    });
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    const isOver = error.code === "invalid_code" || error.code === "unauthorized";
    throw isOver ? new AuthError("expired_token", { cause: error }) : error;
  }
}

/** Throws `conflict`, and `invalid_code` or `unauthorized` if what was approved does not hold any more. */
async function openOnce(
  options: DeviceAuthorizationOptions,
  client: RegisteredClient,
  { key, device, version }: VersionedDevice,
  approval: Approval,
  peer: Peer,
): Promise<TokenGrant & { readonly refreshToken: string }> {
  const { providerSession, sessionId: approvedBy, ...who } = approval;
  // The client may do less since the device began.
  const { scope, resource } = wishesOf(client, device);
  const epochs = await readEpochs(options.store, { userId: who.userId, clientId: client.id });
  // The decision was the last write of the record.
  if (version < Math.max(epochs.all, epochs.client))
    throw new AuthError("expired_token", {
      detail: "all sessions of the client or the installation ended since",
    });
  const unchanged = [
    { key, version },
    ...epochChecks({ userId: who.userId, clientId: client.id }, epochs),
    ...(await approverChecks(options, who.userId, approvedBy, peer)),
  ];
  return await openForGrant(options, {
    grant: { ...who, clientId: client.id, clientName: client.name, scope, resource },
    providerSession,
    rotates: client.rotates,
    peer,
    consume: (openedSession) => ({
      check: unchanged,
      put: [devicePut(key, { ...device, state: "used", openedSession })],
    }),
  });
}

/** Throws `access_denied` for a user who may not log in, which says more, and `unauthorized` if the session has ended. */
async function approverChecks(
  options: DeviceAuthorizationOptions,
  userId: string,
  sessionId: string,
  peer: Peer,
): Promise<Checks> {
  const found = await options.users.read(userId);
  if (found !== undefined) refuseBlockedUser(found.user, peer);
  return await askingSessionChecks(options, userId, sessionId);
}

async function endOpened(
  { revocation }: DeviceAuthorizationOptions,
  { approval, openedSession }: Device,
): Promise<void> {
  if (approval === null || openedSession === null) return;
  const { userId } = approval;
  await revocation.revoke({ kind: "sessions", userId, sessionIds: [openedSession] }, "token_reused");
}

import { clientChecks, type RegisteredClient } from "../clients/client-record.ts";
import type { RegisteredClients } from "../clients/registered-clients.ts";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Principal } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { askingSessionChecks } from "../sessions/asking-session.ts";
import { requireOwnSession } from "../sessions/raise-session.ts";
import type { StepUps } from "../sessions/recent-login.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { type RecordKey, readRecord, retryConflicts, type Step, type Store } from "../store.ts";
import { createAttempts } from "../throttling/attempts.ts";
import { userCodeBudget } from "../throttling/budget.ts";
import { counterOf } from "../throttling/counter-record.ts";
import type { Users } from "../users/users.ts";
import {
  type Approval,
  type Device,
  deviceAt,
  deviceGrantType,
  devicePut,
  isUserCode,
  type VersionedDevice,
} from "./device-record.ts";
import type { DeviceWaiters } from "./device-waiters.ts";

/** What a person sees of a device before deciding. */
export interface WaitingDevice {
  readonly clientId: string;
  readonly clientName: string;
  readonly scope: string | null;
  /** The backend that its tokens are for alone; null: they are for this server. */
  readonly resource: string | null;
  /** Of the device, when it asked; null: not known. */
  readonly address: string | null;
  readonly expiresInMs: number;
}

/** What people decide on devices that show a code. */
export interface DeviceDecisions {
  /**
   * Throws `not_found`, the same for unknown, ended and decided devices, and `rate_limited` after ten such tries on all nodes
   * together.
   */
  find(userCode: string, by: Principal): Promise<WaitingDevice>;
  /**
   * Throws like `find`, `recent_login_required`, `unauthorized` for a session that has ended, and `insufficient_scope` for
   * one that has scopes or belongs to a registered client: an app would get a session that is not narrowed, and does not
   * end with the app. The device gets a session of the principal's user.
   */
  approve(userCode: string, by: Principal): Promise<WaitingDevice>;
  /** Throws like `find`, `unauthorized` and `insufficient_scope`. */
  refuse(userCode: string, by: Principal): Promise<WaitingDevice>;
}

export interface DeviceDecisionOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly users: Pick<Users, "read">;
  readonly clients: Pick<RegisteredClients, "find">;
  readonly sessions: Pick<Sessions, "get">;
  readonly stepUps: StepUps;
}

export function createDeviceDecisions(
  options: DeviceDecisionOptions,
  {
    waiters,
    userCodeKey,
  }: { readonly waiters: DeviceWaiters; readonly userCodeKey: (userCode: string) => RecordKey },
): DeviceDecisions {
  const { store, clock } = options;
  const charge = createAttempts({ store, clock, budget: userCodeBudget });
  const byUserCode = async (userCode: string, { userId }: Principal) => {
    const attempt = await charge(counterOf.userCode(userId));
    const found = await waitingDevice(options, isUserCode(userCode) ? userCodeKey(userCode) : undefined);
    // Only this try is given back: anybody can get one valid code, and would otherwise reset the count with it.
    await attempt.refund();
    return found;
  };
  const decide = async (
    userCode: string,
    by: Principal,
    change: (device: Device) => Promise<Device>,
  ): Promise<WaitingDevice> => {
    requireOwnSession(by);
    const { key } = await byUserCode(userCode, by);
    return await retryConflicts(async () => {
      const { device, version, client } = await stillWaiting(options, key);
      const whoAsks = await askingSessionChecks(options, by.userId, by.sessionId);
      const write: Step = {
        check: [{ key, version }, ...whoAsks, ...clientChecks(client)],
        put: [devicePut(key, await change(device))],
      };
      const outcome = await store.commit(write);
      // The device has polled, or the session was refreshed; or somebody else has decided: then it is not found.
      if (!outcome.ok) return undefined;
      waiters.announce(key);
      return shown(device, clock);
    });
  };
  return {
    find: async (userCode, by) => shown((await byUserCode(userCode, by)).device, clock),
    async approve(userCode, by) {
      requireOwnSession(by);
      await options.stepUps.require("device_approval", by);
      return await decide(userCode, by, async (device) => ({
        ...device,
        state: "approved",
        approval: await approvalOf(options, by),
      }));
    },
    refuse: (userCode, by) => decide(userCode, by, async (device) => ({ ...device, state: "refused" })),
  };
}

type FindingTools = Pick<DeviceDecisionOptions, "store" | "clock" | "clients">;
type FoundDevice = VersionedDevice & { readonly client: RegisteredClient };

async function waitingDevice(tools: FindingTools, codeKey: RecordKey | undefined): Promise<FoundDevice> {
  const pointer = codeKey && (await readRecord(tools.store, codeKey));
  const hash = pointer?.value.device;
  return await stillWaiting(tools, typeof hash === "string" ? recordKeys.deviceOfHash(hash) : undefined);
}

/** A device of a client that was removed, or may not log in devices any more, waits for nothing. */
async function stillWaiting(
  { store, clock, clients }: FindingTools,
  key: RecordKey | undefined,
): Promise<FoundDevice> {
  const found = key && (await deviceAt(store, key));
  const waits = found?.device.state === "waiting" && clock.now() < found.device.endsAt;
  const client = waits ? await clients.find(found.device.clientId) : undefined;
  if (found === undefined || client?.grantTypes.includes(deviceGrantType) !== true)
    throw new AuthError("not_found", { publicMessage: "No device waits with this code" });
  return { ...found, client };
}

/** The login of the person who approves: the device's session is as good as that one, and ends with its credential. */
async function approvalOf(
  { sessions, users }: Pick<DeviceDecisionOptions, "sessions" | "users">,
  { userId, sessionId }: Principal,
): Promise<Approval> {
  const session = await sessions.get(sessionId);
  const found = await users.read(userId);
  if (session === undefined || found === undefined || session.credentialId === null)
    throw new AuthError("recent_login_required", {
      detail: "the approving session has ended, or has no credential",
    });
  return {
    userId,
    sessionId,
    userEpoch: found.epoch,
    credentialId: session.credentialId,
    // The session may have been raised since its token was issued.
    assurance: session.assurance,
    amr: [...session.amr],
    authenticatedAt: session.authenticatedAt,
    providerSession: session.providerSession ?? null,
  };
}

function shown({ endsAt, ...device }: Device, clock: Clock): WaitingDevice {
  const { clientId, clientName, scope, resource, address } = device;
  return { clientId, clientName, scope, resource, address, expiresInMs: Math.max(0, endsAt - clock.now()) };
}

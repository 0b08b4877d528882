import type { Authority } from "../auth/authority.ts";
import type { Clock } from "../auth/clock/clock.ts";
import type { RevocationPolicy } from "../auth/revocation/revocation.ts";
import type { DisabledSafeguards } from "../auth/safeguards.ts";
import { LoopTurns } from "../auth/scheduling/loop-turns.ts";
import type { Codec } from "../codec/codec.ts";
import { type LoopBudget, unlimitedLoopBudget } from "../net/loop-budget.ts";
import { createOriginPolicy, createPageTrust } from "../net/origin.ts";
import type { Dispatch } from "./command.ts";
import { Connection } from "./connection.ts";
import type { ConnectionParts, PresenceNotes } from "./connection-parts.ts";
import { ConnectionRegistry, type ConnectionRegistryLimits } from "./connection-registry.ts";
import { createHub, type Hub, type HubLimits } from "./hub.ts";
import { UserMessageRates } from "./message-rate.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import { EndOfTickBatch, outboxLimits } from "./outbox.ts";
import type { CheckUpgrade, UpgradeRequest } from "./socket.ts";
import { Suspension } from "./suspension.ts";
import { createTimerWheel, type TimerWheel } from "./timer-wheel.ts";
import { createUpgradeChecks } from "./upgrade-checks.ts";
import { createUserEvents } from "./user-events.ts";
import { createWireFormat, type PhaseLimits, protocolPhaseLimits } from "./wire-format.ts";

export interface ConnectionLimits extends ConnectionRegistryLimits, HubLimits, PhaseLimits {
  /** Messages that an authenticated socket may send, on average. */
  readonly messagesPerSecond: number;
  /** Of all sockets of one user. */
  readonly messagesPerSecondPerUser: number;
  /** Bytes that may wait for a slow client, beside one message of any size. If more wait, its socket closes. */
  readonly outboxBytes: number;
}

export interface ConnectionsOptions {
  readonly authority: Pick<
    Authority,
    | "approvals"
    | "authentication"
    | "clients"
    | "devices"
    | "logins"
    | "sessions"
    | "onboarding"
    | "permissions"
    | "revocation"
    | "users"
  >;
  /** The first one is the default. */
  readonly codecs: readonly [Codec, ...Codec[]];
  /** The commands of authenticated clients; see src/commands/. */
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly log: ConnectionLog;
  readonly metrics: ConnectionObserver;
  /** Web origins beside the gateway's own; `*` for all. */
  readonly origins?: readonly string[];
  readonly limits?: Partial<ConnectionLimits> | undefined;
  readonly commandTurns?: LoopTurns | undefined;
  readonly loginTurns?: LoopTurns | undefined;
  /** Default: a timer wheel of its own on `clock`. */
  readonly wheel?: TimerWheel;
  /** What happens to sockets while the revocation view is not trusted. Default: `suspend`. */
  readonly policy?: RevocationPolicy | undefined;
  /** Event-loop time of unauthenticated clients, shared with HTTP. Default: nothing is refused. */
  readonly loopBudget?: LoopBudget | undefined;
  /** Event-loop time that a connection has cost before its upgrade, ms. Default: 0. */
  readonly handshakeMs?: number;
  /** For negative controls of the tests. */
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
  /** The gateway's own web origin, if it is configured. Otherwise it is taken from the Host header. */
  readonly ownOrigin?: string | undefined;
  /**
   * Default: the TCP peer's address. Behind proxies: the one that the trusted proxy names. Null if the address is not
   * known.
   */
  readonly addressOf?: (request: UpgradeRequest) => string | null;
  /** Whether the TCP peer is the client, and no trusted proxy. Default: it is. */
  readonly isDirect?: (request: UpgradeRequest) => boolean;
  /** Default: nobody takes notes. */
  readonly presence?: PresenceNotes | undefined;
  /** Lower-case names of headers of the upgrade that login providers read. Default: none. */
  readonly upgradeHeaders?: readonly string[] | undefined;
}

export interface Connections {
  /** For the transport. */
  readonly checkUpgrade: CheckUpgrade;
  /** Register it: `revocation.onSecurityEvent((event) => hub.apply(event))`. */
  readonly hub: Hub;
  readonly count: {
    readonly sockets: number;
    readonly unauthenticated: number;
    readonly suspended: number;
  };
  /**
   * Accepts no socket and no command any more, and closes every socket with `going_away`. The closes are spread
   * evenly over `spreadMs`, so that clients do not reconnect elsewhere all at once. A socket that waits for answers
   * is closed after them, or once `withinMs` have passed. Resolves when all close frames were sent.
   */
  drain(spreadMs?: number, withinMs?: number): Promise<void>;
  /** Closes the remaining sockets at once and cancels every timer. */
  close(): void;
}

const defaultLimits: ConnectionLimits = {
  ...protocolPhaseLimits,
  sockets: 100_000,
  unauthenticated: 20_000,
  unauthenticatedPerAddress: 256,
  socketsPerSession: 1000,
  socketsPerUser: 10_000,
  messagesPerSecond: 200,
  messagesPerSecondPerUser: 2_000,
  outboxBytes: outboxLimits.bytes,
};

/** Event-loop time of an upgrade and a close, ms. */
const upgradeMs = 0.1;
/** The interval at which a drain closes sockets, ms. */
const drainStepMs = 50;

/** All sockets of one gateway. Two gateways in one process share nothing. */
export function createConnections(options: ConnectionsOptions): Connections {
  const limits = { ...defaultLimits, ...options.limits };
  const registry = new ConnectionRegistry<Connection>(limits);
  let draining = false;
  const stopping = () => draining;
  const { parts, hub } = composeParts(options, limits, { registry, stopping });
  const { authority, clock } = options;
  const stopTelling = authority.approvals.onRequest((approval) => parts.events.publishApproval(approval));
  const [first, ...rest] = options.codecs;
  const checkUpgrade = createUpgradeChecks({
    wires: [createWireFormat(first), ...rest.map(createWireFormat)],
    originAllowed: createOriginPolicy(options.origins ?? [], options.ownOrigin),
    pageTrusted: createPageTrust(options.origins ?? [], options.ownOrigin),
    roomFor: (addressKey) => registry.roomFor(addressKey),
    draining: stopping,
    loopBudget: parts.loopBudget,
    addressOf: options.addressOf ?? ((request) => request.address),
    isDirect: options.isDirect ?? (() => true),
    upgradeHeaders: [...new Set(options.upgradeHeaders)],
    observer: options.metrics,
    open: (socket, wire, peer, addressKey) => new Connection(parts, socket, wire, peer, addressKey),
  });
  return {
    checkUpgrade,
    hub,
    count: {
      get sockets() {
        return registry.sockets;
      },
      get unauthenticated() {
        return registry.unauthenticated;
      },
      get suspended() {
        return parts.suspension.sockets;
      },
    },
    async drain(spreadMs = 5000, withinMs = spreadMs) {
      draining = true;
      const members = registry.members();
      const steps = Math.max(1, Math.ceil(spreadMs / drainStepMs));
      const perStep = Math.ceil(members.length / steps);
      const began = clock.monotonic();
      let busy: Connection[] = [];
      for (let at = 0; at < members.length || busy.length > 0; at += perStep) {
        if (at > 0) await new Promise((resolve) => setTimeout(resolve, drainStepMs));
        if (clock.monotonic() - began >= withinMs) break;
        const turn = [...busy, ...members.slice(at, at + perStep)];
        busy = turn.filter((member) => member.live && member.busy);
        for (const member of turn) if (!member.busy) member.end("going_away");
      }
      for (const member of registry.members()) member.end("going_away");
    },
    close() {
      draining = true;
      for (const member of registry.members()) member.end("going_away");
      stopTelling();
      parts.wheel.stop();
    },
  };
}

function composeParts(
  options: ConnectionsOptions,
  limits: ConnectionLimits,
  {
    registry,
    stopping,
  }: { readonly registry: ConnectionRegistry<Connection>; readonly stopping: () => boolean },
): { readonly parts: ConnectionParts; readonly hub: Hub } {
  const { authority, clock, log, metrics } = options;
  const onError = (error: unknown) => log.error({ err: error }, "connection task failed");
  const wheel = options.wheel ?? createTimerWheel({ clock, onError });
  const { users, approvals, permissions } = authority;
  const events = createUserEvents({ users, approvals, permissions, clock, log });
  const hub = createHub({
    users: authority.users,
    limits,
    wheel,
    log,
    onEvent: (event) => events.publish(event),
  });
  let lastNumber = 0;
  const parts: ConnectionParts = {
    authentication: authority.authentication,
    logins: authority.logins,
    sessions: authority.sessions,
    clients: authority.clients,
    devices: authority.devices,
    onboarding: authority.onboarding,
    revocation: authority.revocation,
    dispatch: options.dispatch,
    clock,
    log,
    observer: metrics,
    stepUps: { ...authority, clock, wheel, log, observer: metrics },
    events,
    hub,
    nextNumber: () => {
      lastNumber += 1;
      return lastNumber;
    },
    presence: options.presence ?? { entered: () => undefined, left: () => undefined },
    wheel,
    turns: new EndOfTickBatch(onError),
    loopBudget: options.loopBudget ?? unlimitedLoopBudget(),
    openingMs: upgradeMs + (options.handshakeMs ?? 0),
    registry,
    suspension: composeSuspension(options, limits, { registry, wheel }),
    times: limits,
    stopping,
    messagesPerSecond: limits.messagesPerSecond,
    userRates: new UserMessageRates(limits.messagesPerSecondPerUser),
    commandTurns: options.commandTurns ?? new LoopTurns(),
    loginTurns: options.loginTurns ?? new LoopTurns(),
    outboxBytes: limits.outboxBytes,
  };
  return { parts, hub };
}

function composeSuspension(
  options: ConnectionsOptions,
  limits: ConnectionLimits,
  { registry, wheel }: { readonly registry: ConnectionRegistry<Connection>; readonly wheel: TimerWheel },
): Suspension {
  const { authority, clock, log, metrics } = options;
  return new Suspension({
    clock,
    log,
    wheel,
    observer: metrics,
    view: authority.revocation.view,
    authentication: authority.authentication,
    members: () => registry.members(),
    count: () => registry.sockets,
    policy: options.policy ?? "suspend",
    suspensionMs: limits.suspensionMs,
    disabledSafeguards: options.disabledSafeguards ?? new Set(),
  });
}

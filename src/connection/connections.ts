import type { Authority } from "../auth/authority.ts";
import type { Clock } from "../auth/clock/clock.ts";
import type { RevocationPolicy } from "../auth/revocation/revocation.ts";
import type { DisabledSafeguards } from "../auth/safeguards.ts";
import type { Codec } from "../codec/codec.ts";
import { type LoopBudget, unlimitedLoop } from "../net/loop-budget.ts";
import type { Dispatch } from "./command.ts";
import { Connection } from "./connection.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import { ConnectionRegistry, type ConnectionRegistryLimits } from "./connection-registry.ts";
import { createHub, type Hub, type HubLimits } from "./hub.ts";
import { UserMessageRates } from "./message-rate.ts";
import type { ConnectionLog, ConnectionObserver } from "./observer.ts";
import { createOriginPolicy } from "./origin.ts";
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
  /** Bytes that wait for a slow client, beside one message of any size; more closes its socket. */
  readonly outboxBytes: number;
}

export interface ConnectionsOptions {
  readonly authority: Pick<
    Authority,
    "authentication" | "logins" | "sessions" | "onboarding" | "revocation" | "users"
  >;
  /** The first is the default. */
  readonly codecs: readonly [Codec, ...Codec[]];
  /** The commands of authenticated clients; see src/commands/. */
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly log: ConnectionLog;
  readonly metrics: ConnectionObserver;
  /** Web origins beside the gateway's own; `*` for all. */
  readonly origins?: readonly string[];
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** Default: one of its own on `clock`. */
  readonly wheel?: TimerWheel;
  /** What becomes of sockets while nobody knows what was revoked. Default: `suspend`. */
  readonly policy?: RevocationPolicy | undefined;
  /** Of strangers, shared with HTTP. Default: nothing is refused. */
  readonly loopBudget?: LoopBudget | undefined;
  /** Milliseconds of the loop that a connection has cost before its upgrade; 0 by default. */
  readonly handshakeMs?: number;
  /** Protections that a negative control switches off. */
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
  /** The gateway's own web origin if it is configured; otherwise the Host header says it. */
  readonly ownOrigin?: string | undefined;
  /** Default: the TCP peer's. Behind proxies: what the trusted one says; null if the address is not known. */
  readonly addressOf?: (request: UpgradeRequest) => string | null;
}

export interface Connections {
  /** For the transport. */
  readonly admit: CheckUpgrade;
  /** For `revocation.onRevocation((cut) => hub.apply(cut))`. */
  readonly hub: Hub;
  readonly count: {
    readonly sockets: number;
    readonly unauthenticated: number;
    readonly suspended: number;
  };
  /**
   * Admits nobody any more, begins no command, and closes every socket with `going_away`, spread evenly over `spreadMs`, so
   * that clients do not come back elsewhere all at once. A socket whose answers are still owed is closed after them, or
   * when `withinMs` are over. Resolves when all close frames are out.
   */
  drain(spreadMs?: number, withinMs?: number): Promise<void>;
  /** Closes what is left, at once, and forgets every timer. */
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

/** Milliseconds of the loop for an upgrade and a close. */
const upgradeMs = 0.1;
/** How often a drain closes some. */
const drainStepMs = 50;

/** All sockets of one gateway. Two in one process do not know of each other. */
export function createConnections(options: ConnectionsOptions): Connections {
  const limits = { ...defaultLimits, ...options.limits };
  const registry = new ConnectionRegistry<Connection>(limits);
  let draining = false;
  const stopping = () => draining;
  const { parts, hub } = composeParts(options, limits, { registry, stopping });
  const { clock } = options;
  const [first, ...rest] = options.codecs;
  const admit = createUpgradeChecks({
    wires: [createWireFormat(first), ...rest.map(createWireFormat)],
    originAllowed: createOriginPolicy(options.origins ?? [], options.ownOrigin),
    roomFor: (addressKey) => registry.roomFor(addressKey),
    draining: stopping,
    loopBudget: parts.loopBudget,
    addressOf: options.addressOf ?? ((request) => request.address),
    observer: options.metrics,
    open: (socket, wire, peer, addressKey) => new Connection(parts, socket, wire, peer, addressKey),
  });
  return {
    admit,
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
  const events = createUserEvents({ users: authority.users, clock, log });
  const hub = createHub({
    users: authority.users,
    limits,
    wheel,
    log,
    onUserChanged: (userId, change) => events.publish(userId, change),
  });
  const parts: ConnectionParts = {
    authentication: authority.authentication,
    logins: authority.logins,
    sessions: authority.sessions,
    onboarding: authority.onboarding,
    revocation: authority.revocation,
    dispatch: options.dispatch,
    clock,
    log,
    observer: metrics,
    events,
    hub,
    wheel,
    turns: new EndOfTickBatch(onError),
    loopBudget: options.loopBudget ?? unlimitedLoop(),
    openingMs: upgradeMs + (options.handshakeMs ?? 0),
    registry,
    suspension: composeSuspension(options, limits, { registry, wheel }),
    times: limits,
    stopping,
    messagesPerSecond: limits.messagesPerSecond,
    userRates: new UserMessageRates(limits.messagesPerSecondPerUser),
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

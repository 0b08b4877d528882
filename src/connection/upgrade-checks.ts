import { type ErrorName, errorCodes } from "../../protocol/errors.ts";
import { SOCKET_PATH } from "../../protocol/features.ts";
import { hasSecretParameter } from "../../protocol/secret-parameters.ts";
import type { Peer, UpgradeHeaders } from "../auth/model.ts";
import { addressShare } from "../net/address-share.ts";
import type { LoopBudget } from "../net/loop-budget.ts";
import type { OriginPolicy } from "../net/origin.ts";
import { chooseSubprotocol } from "./choose-subprotocol.ts";
import type { Room } from "./connection-registry.ts";
import type { ConnectionObserver } from "./observer.ts";
import type { CheckUpgrade, Socket, SocketHandler, UpgradeDecision, UpgradeRequest } from "./socket.ts";
import type { WireFormat } from "./wire-format.ts";

export interface UpgradeChecksOptions {
  /** The first one is the default, for clients that offer no subprotocol that the server has. */
  readonly wires: readonly [WireFormat, ...WireFormat[]];
  readonly originAllowed: OriginPolicy;
  /** See `createPageTrust`. */
  readonly pageTrusted: OriginPolicy;
  readonly roomFor: (addressKey: string) => Room;
  readonly draining: () => boolean;
  readonly loopBudget: LoopBudget;
  /** The address that counts: the TCP peer's, or the one that a trusted proxy names. */
  readonly addressOf: (request: UpgradeRequest) => string | null;
  /** Whether the TCP peer is the client, and no proxy that ends the client's TLS. */
  readonly isDirect: (request: UpgradeRequest) => boolean;
  /** Lower-case names of headers that login providers read; empty: none is kept. */
  readonly upgradeHeaders: readonly string[];
  readonly observer: ConnectionObserver;
  readonly open: (socket: Socket, wire: WireFormat, peer: Peer, addressKey: string) => SocketHandler;
}

type Refusal = Extract<UpgradeDecision, { accept: false }>;

/** The checks of an upgrade, in order. Each refuses with a code, before the 101. */
export function createUpgradeChecks(options: UpgradeChecksOptions): CheckUpgrade {
  const checks: readonly ((request: UpgradeRequest, addressKey: string) => ErrorName | undefined)[] = [
    ({ path }) => (path === SOCKET_PATH ? undefined : "not_found"),
    ({ query }) => (query !== "" && hasSecretParameter(query) ? "token_in_url" : undefined),
    (request) =>
      options.originAllowed(request.header("origin"), request.header("host")) ? undefined : "invalid_origin",
    () => (options.draining() ? "unavailable" : undefined),
    (_, addressKey) => refusalOf[options.roomFor(addressKey)],
  ];
  const { upgradeHeaders: kept } = options;
  const peerOf = (request: UpgradeRequest): Peer => {
    const address = options.addressOf(request);
    const isKnown = options.pageTrusted(request.header("origin"), request.header("host"));
    let peer: Peer = isKnown ? { address } : { address, byUnknownPage: true };
    const { channelBinding } = request;
    if (channelBinding !== undefined && options.isDirect(request)) peer = { ...peer, channelBinding };
    return kept.length === 0 ? peer : { ...peer, upgrade: keptHeaders(request, kept) };
  };
  return (request) => {
    const peer = peerOf(request);
    const addressKey = addressShare(peer.address);
    for (const check of checks) {
      const code = check(request, addressKey);
      if (code === undefined) continue;
      options.observer.upgradeRefused(code, peer.address, request.header("origin"));
      return refusal(code);
    }
    const waitSeconds = options.loopBudget.refusal(addressKey, "upgrade");
    if (waitSeconds !== undefined) {
      options.observer.upgradeRefused("rate_limited", peer.address, request.header("origin"));
      return refusal("rate_limited", waitSeconds);
    }
    const { wire, subprotocol } = chooseSubprotocol(options.wires, request.subprotocols);
    return {
      accept: true,
      subprotocol,
      handler: (socket) => options.open(socket, wire, peer, addressKey),
    };
  };
}

function keptHeaders(request: UpgradeRequest, names: readonly string[]): UpgradeHeaders {
  const headers = new Map<string, readonly string[]>();
  for (const name of names) {
    const values = request.headerValues(name);
    if (values.length > 0) headers.set(name, values);
  }
  return { address: request.address, headers };
}

const refusalOf: Record<Room, ErrorName | undefined> = {
  free: undefined,
  full: "overloaded",
  address_full: "rate_limited",
};

function refusal(code: ErrorName, waitSeconds = 5): Refusal {
  const entry = errorCodes[code];
  const retry: Record<string, string> = "retryable" in entry ? { "retry-after": String(waitSeconds) } : {};
  return {
    accept: false,
    status: entry.status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...retry },
    body: JSON.stringify({ message: entry.text, code }),
  };
}

import { limits } from "../../protocol/features.ts";
import type { QuorumClock } from "../auth/clock/quorum-clock.ts";
import { failClosed } from "../auth/fail-closed.ts";
import type { PermissionsReader } from "../auth/permissions/permissions.ts";
import type { DisabledSafeguards } from "../auth/safeguards.ts";
import { createJsonCodec } from "../codec/json.ts";
import { createMsgpackCodec } from "../codec/msgpack.ts";
import { createDispatch } from "../commands/registry.ts";
import { type Connections, createConnections } from "../connection/connections.ts";
import type { Hub } from "../connection/hub.ts";
import type { HttpGate, HttpHandler } from "../http/endpoint.ts";
import type { RevocationReport } from "../http/health.ts";
import { createHttpHandler } from "../http/http-handler.ts";
import type { PageFile } from "../http/pages.ts";
import { createRequestGate } from "../http/request-gate.ts";
import { parseAddressRanges } from "../net/address-ranges.ts";
import type { ClientAddress } from "../net/client-address.ts";
import { LoopBudget } from "../net/loop-budget.ts";
import type { Audit } from "../observability/audit.ts";
import { auditedAuthority } from "../observability/audited-authority.ts";
import { clockProblems } from "../observability/clock-logger.ts";
import type { Log } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import { connectionObserver, httpObserver } from "../observability/observers.ts";
import { LocalPresenceDirectory } from "../presence/local-directory.ts";
import { NodePresence, type Presence } from "../presence/presence.ts";
import type { PresenceDirectory } from "../presence/presence-directory.ts";
import type { TopicBroker } from "../topics/broker.ts";
import { createTopics, type Topics } from "../topics/topics.ts";
import type { PeerAccounting, Transport } from "../transport/transport.ts";
import { type ClientOf, createClientOf } from "./client-addresses.ts";
import type { Config } from "./config/schema.ts";
import { createGatewayHealth, type GatewayHealth } from "./gateway-health.ts";
import type { OpenAuthority } from "./open-authority.ts";
import { packageVersion } from "./package-version.ts";
import { createPeerAccounting, handshakeMs } from "./peer-accounting.ts";
import type { RevocationBound } from "./revocation-bound.ts";

/** How long JWKS readers may cache it: a third of the time for which a new key is published before it signs. */
const jwksMaxAgeSeconds = 300;

/** The dependencies of every part of a gateway. */
export interface GatewayDeps {
  readonly config: Config;
  readonly clock: QuorumClock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly audit: Audit;
  readonly opened: OpenAuthority;
  readonly disabledSafeguards: DisabledSafeguards;
  readonly bound: RevocationBound;
  /** The list of live connections that the nodes share. Undefined if there is one node. */
  readonly sharedPresence: PresenceDirectory | undefined;
  readonly topicBroker: TopicBroker;
}

/** The parts of a gateway, connected; nothing runs yet. */
export interface Components {
  readonly connections: Connections;
  readonly presence: Presence;
  readonly topics: Topics;
  readonly http: HttpHandler;
  readonly httpGate: HttpGate;
  readonly accounting: PeerAccounting;
  readonly health: GatewayHealth;
}

export function createComponents(
  deps: GatewayDeps,
  transport: Transport,
  pages: readonly PageFile[],
): Components {
  const { config, opened } = deps;
  const decoding = { maxMembers: limits.members };
  const codecs = [createJsonCodec(decoding), createMsgpackCodec(decoding)] as const;
  const loopBudget = createLoopBudget(deps);
  const health = createGatewayHealth({
    live: {
      version: packageVersion(),
      transport: transport.name,
      store: opened.store.kind,
      codecs: codecs.map(({ name }) => name),
    },
    store: opened.store,
    revocationTrusted: () => opened.authority.revocation.view.trusted,
    driftMs: () => opened.authority.revocation.lease.driftMs,
    revocation: () => revocationReport(deps),
  });
  const clientOf = createClientOf(deps);
  const presence = composePresence(deps, () => connections.hub);
  const topics = composeTopics(deps);
  const parts = { clientOf, loopBudget, presence, topics };
  const connections: Connections = composeConnections(deps, codecs, parts);
  const http = createHttpHandler({
    authority: failClosed(opened.authority),
    clock: deps.clock,
    health,
    jwksMaxAgeSeconds,
    issuer: opened.issuer,
    publicUrl: opened.publicUrl,
    observer: httpObserver(deps),
    metrics: metricsSource(deps),
    pages,
    maxBodyBytes: config.limits.http_body_bytes,
    topics,
    decodeJson: (text) => codecs[0].decode(text),
    rotates: (clientId) => config.tokens.rotate_for.includes(clientId),
    origins: config.origins,
    ownOrigin: ownOriginOf(config),
    clientOf,
    loopBudget,
  });
  const httpGate = createRequestGate({
    clientOf,
    loopBudget,
    requestsPerAddress: config.limits.http_requests_per_address,
    onFull: () => deps.metrics.strangerRefused("request", "requests"),
  });
  return {
    connections,
    presence,
    topics,
    http,
    httpGate,
    health,
    accounting: createPeerAccounting(config, loopBudget),
  };
}

function ownOriginOf({ public_url: url }: Config): string | undefined {
  return url === null ? undefined : new URL(url).origin;
}

function createLoopBudget({ config, clock, metrics }: GatewayDeps): LoopBudget {
  return new LoopBudget({
    msPerSecond: config.limits.unauthenticated_loop_ms_per_second,
    now: () => clock.monotonic(),
    onRefused: (work) => metrics.strangerRefused(work, "loop_time"),
  });
}

function revocationReport({ config, opened, bound, clock }: GatewayDeps): RevocationReport {
  const { view, lease } = opened.authority.revocation;
  const age = lease.ageMs();
  return {
    revocation_bound_s: config.revocation.policy === "serve_until_exp" ? null : bound.seconds(),
    problems: [...clockProblems(clock.disagreement), ...bound.problems()],
    revocation: {
      trusted: view.trusted,
      policy: config.revocation.policy,
      lease_age_ms: Number.isFinite(age) ? Math.round(age) : null,
      nodes: lease.nodes,
    },
  };
}

function composePresence({ opened, sharedPresence }: GatewayDeps, hub: () => Hub): Presence {
  const { node } = opened.authority.revocation;
  const directory = sharedPresence ?? new LocalPresenceDirectory({ node, hub });
  return new NodePresence({ directory, node, members: () => hub().members() });
}

function composeTopics(deps: GatewayDeps): Topics {
  const { config, clock, log, metrics, opened, topicBroker, disabledSafeguards } = deps;
  const { permissions, revocation } = failClosed(opened.authority);
  const { message_bytes, queue_messages, queue_bytes, subscriptions, subscriptions_per_user } = config.topics;
  return createTopics({
    permissions: disabledSafeguards.has("topic_rights") ? withoutChanges(permissions) : permissions,
    progress: revocation.progress,
    broker: topicBroker,
    clock,
    observer: metrics.topics,
    limits: {
      requestsPerUser: config.limits.messages_per_second_per_user,
      messageBytes: message_bytes,
      outlet: { messages: queue_messages, bytes: queue_bytes },
      subscriptions,
      subscriptionsPerUser: subscriptions_per_user,
    },
    onFault: (error) => {
      metrics.defect("topics");
      log.error({ err: error }, "defect in topics");
    },
  });
}

/** For the negative control of the tests: whoever watches keeps the rights that they had. */
function withoutChanges({ of, watch }: PermissionsReader): PermissionsReader {
  return {
    of,
    async watch(principal) {
      const { permissions, end } = await watch(principal, () => undefined);
      return { permissions, end };
    },
  };
}

function composeConnections(
  deps: GatewayDeps,
  codecs: Parameters<typeof createConnections>[0]["codecs"],
  {
    clientOf,
    loopBudget,
    presence,
    topics,
  }: {
    readonly clientOf: ClientOf;
    readonly loopBudget: LoopBudget;
    readonly presence: Presence;
    readonly topics: Topics;
  },
): Connections {
  const { config, clock, log, audit, opened, disabledSafeguards } = deps;
  const proxies = parseAddressRanges(config.trusted_proxies);
  const authority = auditedAuthority(failClosed(opened.authority), audit, deps.metrics.login);
  return createConnections({
    authority,
    codecs,
    clock,
    log,
    disabledSafeguards,
    loopBudget,
    policy: config.revocation.policy,
    handshakeMs: config.tls_cert_file === null ? 0 : handshakeMs,
    presence,
    dispatch: createDispatch(authority, { presence, topics }),
    metrics: connectionObserver(deps),
    origins: config.origins,
    limits: {
      sockets: config.limits.sockets,
      unauthenticated: config.limits.unauthenticated,
      unauthenticatedPerAddress: config.limits.unauthenticated_per_address,
      socketsPerSession: config.limits.sockets_per_session,
      socketsPerUser: config.limits.sockets_per_user,
      messagesPerSecond: config.limits.messages_per_second,
      messagesPerSecondPerUser: config.limits.messages_per_second_per_user,
      outboxBytes: config.limits.outbox_bytes,
    },
    upgradeHeaders: opened.providers.flatMap(({ upgradeHeaders = [] }) => upgradeHeaders),
    ownOrigin: ownOriginOf(config),
    isDirect: ({ address }) => !proxies.includes(address),
    addressOf: (request) => clientOf(request.address, (name) => request.header(name)).address,
  });
}

function metricsSource({ config, metrics }: GatewayDeps) {
  if (!config.metrics.enabled) return undefined;
  const readers = parseAddressRanges(config.metrics.readers);
  return {
    render: metrics.render,
    mayRead: ({ address }: ClientAddress) => readers.includes(address),
  };
}

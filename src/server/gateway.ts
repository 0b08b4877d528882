import { Registry } from "prom-client";

import { limits, SOCKET_PATH } from "../../protocol/features.ts";
import type { Authority } from "../auth/authority.ts";
import type { Clock } from "../auth/clock/clock.ts";
import { createLogoutNotices, type LogoutNotices } from "../auth/oauth/logout-notices.ts";
import type { SecurityEvent } from "../auth/revocation/security-events.ts";
import type { DisabledSafeguards } from "../auth/safeguards.ts";
import type { Health } from "../http/health.ts";
import type { PageFile } from "../http/pages.ts";
import { auditLog, createAudit } from "../observability/audit.ts";
import { createClockLogger } from "../observability/clock-logger.ts";
import { createLog, type Log } from "../observability/log.ts";
import { createMetrics, type Metrics } from "../observability/metrics.ts";
import { createRevocationLogger, warnOfWeakPolicy } from "../observability/revocation-logger.ts";
import { openPresence } from "../store/open-presence.ts";
import type { Listener, Transport } from "../transport/transport.ts";
import { type Components, createComponents, type GatewayDeps } from "./components.ts";
import type { Config } from "./config/schema.ts";
import type { ProvidersOf } from "./configured-providers.ts";
import { startDemandUpkeep } from "./demand-upkeep.ts";
import { agreeOnIssuer } from "./issuer.ts";
import { sendLogoutToken } from "./logout-sender.ts";
import { type OpenAuthority, openAuthority, systemClock } from "./open-authority.ts";
import { openFilesWarnings } from "./open-files.ts";
import { openTopicBroker } from "./open-topic-broker.ts";
import { readPages } from "./pages.ts";
import { fileWarnings, providerWarnings } from "./provider-warnings.ts";
import { createRevocationBound, type RevocationBound } from "./revocation-bound.ts";
import { type RevocationFeed, startRevocationFeed } from "./revocation-feed.ts";
import { retryAtStartup } from "./startup-retry.ts";
import { readTlsFiles, type TlsFiles } from "./tls-files.ts";
import { createTlsRenewal } from "./tls-renewal.ts";
import { warnOfCertificateEnd, warnOfCleartext } from "./tls-warnings.ts";
import { loadTransport } from "./transports.ts";

export interface Started {
  /** How clients reach it, without a trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Set while there is no owner: the page that creates one. For the console only, because it holds the set-up code. */
  readonly setupLink?: string | undefined;
}

/** One gateway. Two gateways in one process share nothing. */
export interface Gateway {
  readonly authority: Authority;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Reads the revocation log up to the present, then listens. If it cannot, it closes everything and rejects. */
  start(): Promise<Started>;
  /**
   * Reads the files of the TLS certificate again. Later handshakes use it; open connections continue. If the files
   * cannot be used, that is logged and the current certificate stays. Without TLS, and after a stop, nothing changes.
   * Never rejects.
   */
  renewTls(): Promise<void>;
  /**
   * Reports not ready, accepts no connections and starts no commands. Closes sockets with `going_away`, spread over
   * half of `graceMs`. Sockets with running commands are closed after their answers, within nine tenths of it. The rest
   * of the time is for HTTP requests; then the store is closed. A second call waits for the first. Never rejects.
   */
  stop(graceMs?: number): Promise<void>;
}

/** What an embedding program, or a test, may replace. */
export interface GatewayParts {
  readonly clock?: Clock | undefined;
  readonly log?: Log;
  /** Replaces the configured one. */
  readonly transport?: Transport;
  /** Returns the login providers to use, given the configured ones: a program may add its own. */
  readonly providers?: ProvidersOf;
  /** Files that are served as pages. Default: those beside the compiled code. */
  readonly pages?: readonly PageFile[];
  /** For tests that show what a safeguard prevents. */
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
}

/**
 * Opens store and domain as configured, and connects all parts; nothing listens yet. Rejects with an error that an
 * operator can read (see `openAuthority`). If the TLS certificate cannot be used, it rejects with `ConfigError` before
 * anything is opened.
 */
export async function createGateway(config: Config, parts: GatewayParts = {}): Promise<Gateway> {
  const log = parts.log ?? createLog({ level: config.log.level });
  const metrics = createMetrics(new Registry());
  const audit = createAudit(auditLog(log, config.log.audit));
  const fault = (where: string) => (error: unknown) => {
    metrics.defect(where);
    log.error({ err: error }, `defect in ${where}`);
  };
  try {
    return await assembleGateway(config, parts, { log, metrics, audit, fault });
  } catch (error) {
    metrics.close();
    throw error;
  }
}

interface Reporting extends Pick<GatewayDeps, "log" | "metrics" | "audit"> {
  readonly fault: (where: string) => (error: unknown) => void;
}

async function assembleGateway(config: Config, parts: GatewayParts, reporting: Reporting): Promise<Gateway> {
  const { clock: machineClock = systemClock, disabledSafeguards = new Set() } = parts;
  const { fault, ...observability } = reporting;
  const tls = await readTlsFiles(config);
  let listener: Listener | undefined;
  let bound: RevocationBound | undefined;
  const opened = await openAuthority(config, {
    role: "gateway",
    clock: machineClock,
    onClock: createClockLogger(observability.log, observability.metrics),
    onStoreCall: observability.metrics.storeCall,
    onFault: fault("revocation"),
    disabledSafeguards,
    providers: parts.providers,
    log: observability.log,
    port: () => listener?.port ?? config.port,
    revocation: {
      policy: config.revocation.policy,
      stalePrimaryWindowMs: () => bound?.stalePrimaryWindowMs() ?? Number.POSITIVE_INFINITY,
      observer: createRevocationLogger(observability.log, observability.metrics),
    },
  });
  try {
    const transport = parts.transport ?? (await loadTransport(config.transport, fault("transport")));
    bound = createRevocationBound(opened.store, observability.log, config.store_timeout_ms);
    const sharedPresence = await sharedPresenceOf(config, opened, observability.log);
    const { clock } = opened;
    const topicBroker = await openTopicBroker(config, opened.store, clock, observability.log);
    const own = { config, clock, opened, disabledSafeguards, bound, sharedPresence, topicBroker };
    const deps = { ...observability, ...own };
    const components = createComponents(deps, transport, parts.pages ?? (await readPages()));
    const listening = (started: Listener) => {
      listener = started;
    };
    return new RunningGateway({ ...deps, ...components, transport, tls, listening });
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Undefined if there is one node. */
async function sharedPresenceOf({ store }: Config, { authority, events }: OpenAuthority, log: Log) {
  if (store === null) return undefined;
  const { node } = authority.revocation;
  const onFault = (error: unknown) =>
    log.warn({ err: error }, "the list of live connections was not written; trying again");
  return await openPresence({ url: store, node, events, onFault });
}

interface RunningParts extends GatewayDeps, Components {
  readonly transport: Transport;
  readonly tls: TlsFiles | undefined;
  readonly listening: (listener: Listener) => void;
}

class RunningGateway implements Gateway {
  readonly authority: Authority;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly renewTls: () => Promise<void>;
  readonly #parts: RunningParts;
  #listener: Listener | undefined;
  #feed: RevocationFeed | undefined;
  readonly #logoutNotices: LogoutNotices;
  #stopListening: (() => void) | undefined;
  #demandUpkeep: ReturnType<typeof startDemandUpkeep> | undefined;
  #starting: Promise<Started> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(parts: RunningParts) {
    this.#parts = parts;
    this.authority = parts.opened.authority;
    this.health = parts.health;
    this.metrics = parts.metrics;
    this.log = parts.log;
    this.#logoutNotices = createLogoutNotices({
      ...parts.opened,
      ...parts.opened.authority,
      send: sendLogoutToken,
      onFault: (error, clientId) =>
        parts.log.warn({ err: error, client_id: clientId }, "a client was not told of a logout"),
    });
    this.renewTls = createTlsRenewal({ ...parts, listener: () => this.#serving() });
  }

  async start(): Promise<Started> {
    try {
      this.#starting = this.#start();
      return await this.#starting;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  stop(graceMs = this.#parts.config.limits.shutdown_grace_ms): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #start(): Promise<Started> {
    const { config, connections, health, transport, tls, opened, log } = this.#parts;
    const { http, httpGate, accounting, presence } = this.#parts;
    this.#stopListening = this.authority.revocation.onSecurityEvent((event) =>
      this.#applySecurityEvent(event),
    );
    this.#feed = await startRevocationFeed({
      store: opened.store,
      clock: this.#parts.clock,
      revocation: this.authority.revocation,
      longestTokenMs: config.tokens.access_ttl_seconds * 1000,
    });
    const ended = await retryAtStartup("compare the clients of the configuration", log, () =>
      this.authority.clients.endWhatConfigurationTook(),
    );
    if (ended.length > 0)
      log.info({ client_ids: ended }, "the configuration removed or narrowed clients: their sessions ended");
    await this.#parts.bound.start();
    this.#observe(this.#feed);
    const agree = () =>
      retryAtStartup("agree on the issuer", log, () =>
        agreeOnIssuer(opened.store, opened.issuer(), this.authority.revocation.lease),
      );
    // Nobody is served under an issuer that other nodes do not have. A port that the system chooses is known only afterwards.
    const isIssuerKnown = config.port !== 0 || config.public_url !== null || config.tokens.issuer !== null;
    if (isIssuerKnown) await agree();
    this.#listener = await transport.listen({
      host: config.host,
      port: config.port,
      socketPath: SOCKET_PATH,
      http,
      httpGate,
      accounting,
      checkUpgrade: connections.checkUpgrade,
      maxMessageBytes: limits.frame,
      maxBodyBytes: config.limits.http_body_bytes,
      keepAliveMs: config.limits.http_keep_alive_ms,
      ...(tls === undefined ? {} : { tls: tls.pair }),
    });
    this.#parts.listening(this.#listener);
    if (!isIssuerKnown) await agree();
    presence.start();
    this.#demandUpkeep = startDemandUpkeep({ ...this.authority, hub: connections.hub, log });
    health.enter("serving");
    void this.authority.localLogins
      .retireParameters()
      .catch((error: unknown) => log.warn({ err: error }, "unused scrypt parameters were kept"));
    void this.#warnOfSurroundings();
    const { port } = this.#listener;
    log.info({ ...health.live(), host: config.host, port }, "serving");
    warnOfWeakPolicy(log, config.revocation.policy);
    if (tls === undefined) warnOfCleartext(log, config);
    else warnOfCertificateEnd(log, tls.endsAt, this.#parts.clock.now());
    const url = opened.publicUrl();
    const setupLink = await retryAtStartup("look for an owner", log, () => this.#setupLink(url));
    return { url, port, setupLink };
  }

  async #warnOfSurroundings(): Promise<void> {
    const { config, opened, log } = this.#parts;
    for (const warning of await openFilesWarnings(config)) log.warn({}, warning);
    try {
      const ofFiles = await fileWarnings(config);
      const ofProviders = await providerWarnings(this.authority, opened.providers);
      const ofFactors = await this.authority.secondFactors.warnings();
      for (const warning of [...ofFiles, ...ofProviders, ...ofFactors]) log.warn({}, warning);
    } catch (error) {
      if (this.#stopped === undefined)
        log.warn({ err: error }, "the logins of the providers, and the second factors, were not checked");
    }
  }

  /** The listener, once a start in progress has ended; undefined if nothing listens. */
  async #serving(): Promise<Listener | undefined> {
    await this.#starting?.catch(() => undefined);
    return this.#stopped === undefined ? this.#listener : undefined;
  }

  /** The code is in the fragment, so no request and no log of a server or proxy ever holds it. */
  async #setupLink(url: string): Promise<string | undefined> {
    const { onboarding } = this.authority;
    if (!(await onboarding.required())) return undefined;
    return `${url}/setup#code=${encodeURIComponent(await onboarding.setupCode())}`;
  }

  #applySecurityEvent(event: SecurityEvent): number {
    const { connections, metrics, audit } = this.#parts;
    const closed = connections.hub.apply(event);
    // What the log delivers at the start happened before; another audit record may report it already.
    const replayed = this.#feed === undefined;
    if (!replayed && event.kind !== "audited")
      metrics.revocation(event.kind, "cause" in event ? event.cause : "none", closed);
    audit.cut(event, closed, replayed);
    if (!replayed) this.#logoutNotices.heard(event);
    return closed;
  }

  #observe(feed: RevocationFeed): void {
    const { connections, topics, metrics, health } = this.#parts;
    metrics.observe({
      sockets: () => connections.count.sockets,
      unauthenticatedSockets: () => connections.count.unauthenticated,
      suspendedSockets: () => connections.count.suspended,
      topicSubscriptions: () => topics.subscriptions,
      storeUp: () => health.storeUp(),
      feedFollowing: () => feed.following,
      clockDoubted: () => this.#parts.clock.disagreement !== undefined,
      leaseAgeMs: this.authority.revocation.lease.ageMs,
      passwordsWaiting: () => this.authority.load.passwordsWaiting,
    });
  }

  async #stop(graceMs: number): Promise<void> {
    const { connections, topics, health, opened, metrics, log } = this.#parts;
    const began = performance.now();
    health.enter("draining");
    // Let a start in progress end first: what it opens after a stop would stay open.
    await this.#starting?.catch(() => undefined);
    this.#listener?.stopAccepting();
    const left = () => Math.max(0, graceMs - (performance.now() - began));
    // In this order: each part is closed before the parts that it depends on.
    await this.#attempt("sockets", () => connections.drain(graceMs / 2, graceMs * 0.9));
    await this.#attempt("listener", async () => this.#listener?.close(left()));
    await this.#attempt("connections", async () => connections.close());
    await this.#attempt("topics", () => topics.close());
    this.#parts.bound.stop();
    this.#demandUpkeep?.stop();
    this.#logoutNotices.close();
    await this.#attempt("presence", () => this.#parts.presence.stop());
    await this.#attempt("revocation feed", async () => this.#feed?.stop());
    this.#stopListening?.();
    await this.#attempt("store", () => opened.close());
    metrics.close();
    log.info({ took_ms: Math.round(performance.now() - began) }, "stopped");
    await log.flush();
  }

  /** A failure to close one part does not keep the others open. */
  async #attempt(what: string, close: () => Promise<void>): Promise<void> {
    try {
      await close();
    } catch (error) {
      this.#parts.log.error({ err: error }, `could not close ${what}`);
    }
  }
}

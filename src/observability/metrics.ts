import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

import type { ConnectionObserver } from "../connection/observer.ts";
import type { HttpAnswered, HttpDecision } from "../http/observer.ts";
import type { UnauthenticatedWork } from "../net/loop-budget.ts";
import type { TopicsObserver } from "../topics/observer.ts";
import { buckets, counters, gauges, histograms, type MetricRow } from "./metric-table.ts";
import { createSocketCounters, type SocketCounters } from "./socket-counters.ts";

/** What metrics read at scrape time. */
export interface MetricSources {
  readonly sockets: () => number;
  readonly unauthenticatedSockets: () => number;
  readonly suspendedSockets: () => number;
  readonly topicSubscriptions: () => number;
  readonly storeUp: () => Promise<boolean>;
  readonly feedFollowing: () => boolean;
  readonly leaseAgeMs: () => number;
  readonly clockDoubted: () => boolean;
  readonly passwordsWaiting: () => number;
}

/** The numbers of one gateway, in a registry of its own. No label ever holds input. */
export interface Metrics {
  readonly connections: ConnectionObserver;
  readonly topics: TopicsObserver;
  http(answer: HttpAnswered): void;
  token(decision: HttpDecision): void;
  /** `result`: `ok`, or a code or reason of ours. */
  login(result: string): void;
  strangerRefused(work: UnauthenticatedWork, share: "loop_time" | "requests"): void;
  revocation(kind: string, cause: string, socketsClosed: number): void;
  clockDoubted(): void;
  badMac(): void;
  logBreak(kind: string): void;
  leaseLapsed(): void;
  reasserted(revocations: number): void;
  storeCall(operation: string, seconds: number, failed: boolean): void;
  forwardingIgnored(): void;
  defect(where: string): void;
  /** Call once everything is there that the gauges read. */
  observe(sources: MetricSources): void;
  render(): Promise<{ readonly body: string; readonly contentType: string }>;
  close(): void;
}

export type Counters = { readonly [Name in keyof typeof counters]: Counter };
export type Histograms = { readonly [Name in keyof typeof histograms]: Histogram };

export function createMetrics(registry: Registry): Metrics {
  const count = mapRows(counters, (row) => new Counter({ ...definition(row), registers: [registry] }));
  const time = mapRows(
    histograms,
    (row) => new Histogram({ ...definition(row), buckets: [...buckets], registers: [registry] }),
  );
  const tallies = createSocketCounters(count, time);
  const process = watchProcess(registry);
  return {
    connections: connectionObserver(count, tallies),
    topics: topicsObserver(count),
    http({ method, route, status, durationMs }) {
      count.httpRequests.inc({ method: knownMethod(method), route, status });
      time.httpSeconds.observe({ route }, durationMs / 1000);
    },
    token({ event, grant, reason }) {
      if (grant !== undefined)
        count.tokens.inc({ grant, result: event === "token_granted" ? "ok" : (reason ?? "unknown_error") });
    },
    login: (result) => count.logins.inc({ result }),
    strangerRefused: (work, share) => count.strangersRefused.inc({ work, share }),
    revocation(kind, cause, socketsClosed) {
      count.revocations.inc({ kind, cause });
      count.socketsCut.inc(socketsClosed);
    },
    clockDoubted: () => count.clockDoubts.inc(),
    badMac: () => count.logEntriesRefused.inc(),
    logBreak: (kind) => count.logBreaks.inc({ break: kind }),
    leaseLapsed: () => count.leaseLapses.inc(),
    reasserted: (revocations) => count.revocationsReasserted.inc(revocations),
    storeCall(operation, seconds, failed) {
      time.storeSeconds.observe({ operation }, seconds);
      if (failed) count.storeErrors.inc({ operation });
    },
    forwardingIgnored: () => count.forwardingIgnored.inc(),
    defect: (where) => count.defects.inc({ where }),
    observe: (sources) => addGauges(registry, sources),
    render: async () => {
      tallies.flush();
      return { body: await registry.metrics(), contentType: registry.contentType };
    },
    close: () => {
      process.stop();
      registry.clear();
    },
  };
}

function connectionObserver(count: Counters, tallies: SocketCounters): ConnectionObserver {
  return {
    upgradeRefused: (reason) => count.upgradesRefused.inc({ reason }),
    opened: (codec) => tallies.opened[codec].add(),
    authenticated(_principal, _peer, elapsedMs) {
      tallies.authenticated.add();
      tallies.authenticationSeconds.add(elapsedMs / 1000);
    },
    authRefused: (_close, reason) => count.authentications.inc({ result: reason }),
    answered: (type, outcome) => count.commands.inc({ type: type ?? "unknown", outcome }),
    stepUp: (result) => count.stepUps.inc({ result }),
    lapsed: () => count.lapses.inc(),
    reviewed(sockets, closed) {
      count.socketsReviewed.inc({ result: "resumed" }, sockets - closed);
      count.socketsReviewed.inc({ result: "closed" }, closed);
    },
    closed: (close, _code, authenticated) => tallies.closed(close ?? "peer", authenticated).add(),
  };
}

/** Called for a whole group of sockets, or for a socket that does not keep up. */
function topicsObserver(count: Counters): TopicsObserver {
  return {
    published: (messages) => count.topicMessagesPublished.inc(messages),
    delivered: (messages) => count.topicMessagesDelivered.inc(messages),
    lost: (messages) => count.topicMessagesDropped.inc({ why: "lost" }, messages),
    conflated: () => count.topicMessagesDropped.inc({ why: "conflated" }),
    gapTold: () => count.topicGaps.inc(),
    permissionLost: () => count.topicPermissionsLost.inc(),
  };
}

function addGauges(registry: Registry, sources: MetricSources): void {
  const read: readonly (readonly [MetricRow, () => number | Promise<number>])[] = [
    [gauges.sockets, sources.sockets],
    [gauges.authenticatedSockets, () => sources.sockets() - sources.unauthenticatedSockets()],
    [gauges.suspendedSockets, sources.suspendedSockets],
    [gauges.topicSubscriptions, sources.topicSubscriptions],
    [gauges.storeUp, async () => Number(await sources.storeUp())],
    [gauges.feedFollowing, () => Number(sources.feedFollowing())],
    [gauges.clockDoubted, () => Number(sources.clockDoubted())],
    [gauges.leaseAgeSeconds, () => sources.leaseAgeMs() / 1000],
    [gauges.passwordsWaiting, sources.passwordsWaiting],
  ];
  for (const [row, value] of read) addGauge(registry, row, value);
}

function watchProcess(registry: Registry): { stop(): void } {
  // Each look wakes an idle process up. Delays that matter to a lease of seconds are seen at this pace too.
  const delay = monitorEventLoopDelay({ resolution: 200 });
  delay.enable();
  addGauge(registry, gauges.residentBytes, () => process.memoryUsage.rss());
  addGauge(registry, gauges.cpuSeconds, () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  addGauge(registry, gauges.loopDelaySeconds, () => {
    const seconds = delay.count === 0 ? 0 : delay.percentile(99) / 1e9;
    delay.reset();
    return seconds;
  });
  return { stop: () => delay.disable() };
}

function addGauge(registry: Registry, row: MetricRow, value: () => number | Promise<number>): void {
  new Gauge({
    ...definition(row),
    registers: [registry],
    async collect() {
      this.set(await value());
    },
  });
}

/** A method is input: one that HTTP does not define is counted as one. */
function knownMethod(method: string): string {
  return ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].includes(method) ? method : "other";
}

function definition({ name, help, labels }: MetricRow) {
  return { name, help, labelNames: [...labels] };
}

function mapRows<Rows extends Record<string, MetricRow>, T>(
  rows: Rows,
  make: (row: MetricRow) => T,
): { readonly [Name in keyof Rows]: T } {
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, make(row)])) as {
    [Name in keyof Rows]: T;
  };
}

import type { ConnectionObserver } from "../connection/observer.ts";
import type { HttpObserver } from "../http/observer.ts";
import type { Audit } from "./audit.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

export interface Watchers {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly audit: Audit;
}

/** What sockets tell goes to metrics, and decisions to the audit log. */
export function connectionObserver({ metrics, audit }: Watchers): ConnectionObserver {
  const { connections } = metrics;
  return {
    ...connections,
    authenticated(principal, peer, elapsedMs) {
      connections.authenticated(principal, peer, elapsedMs);
      audit.accepted(principal, peer);
    },
    authRefused(close, reason, peer) {
      connections.authRefused(close, reason, peer);
      audit.refused(close, reason, peer);
    },
  };
}

/** What HTTP tells goes to log, metrics and the audit log. */
export function httpObserver({ log, metrics, audit }: Watchers): HttpObserver {
  const warned = new Set<string>();
  return {
    answered(answer) {
      metrics.http(answer);
      const { status } = answer;
      if (status >= 500) log.warn({ http: answer }, "request failed");
      else log.debug({ http: answer }, "request");
    },
    decided(decision) {
      metrics.token(decision);
      audit.decided(decision);
    },
    defect(error, route) {
      metrics.defect("http");
      log.error({ err: error, route }, "defect in an endpoint");
    },
    forwardingIgnored(peerAddress) {
      metrics.forwardingIgnored();
      if (warned.size >= mostWarnings || warned.has(peerAddress)) return;
      warned.add(peerAddress);
      log.warn(
        { address: peerAddress },
        "forwarding headers are not believed; if this is a proxy of yours, add it to trusted_proxies",
      );
    },
  };
}

/** One warning an address, and not more than this many addresses: strangers can send such headers too. */
const mostWarnings = 16;

import type { ConnectionObserver } from "../connection/observer.ts";
import type { HttpDecision, HttpObserver } from "../http/observer.ts";
import type { Audit } from "./audit.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { warnOnceEach } from "./warn-once-each.ts";

export interface Observability {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly audit: Audit;
}

const httpDecisions = {
  token_granted: { name: "token", outcome: "allowed" },
  token_refused: { name: "token", outcome: "denied" },
  session_revoked: { name: "session_revoked", outcome: "allowed" },
  owner_created: { name: "owner", outcome: "allowed" },
  owner_refused: { name: "owner", outcome: "denied" },
  login_confirmed: { name: "login_return", outcome: "allowed" },
  login_not_confirmed: { name: "login_return", outcome: "denied" },
  login_return_refused: { name: "login_return", outcome: "denied" },
  provider_logout: { name: "provider_logout", outcome: "allowed" },
  provider_logout_refused: { name: "provider_logout", outcome: "denied" },
} as const satisfies Record<HttpDecision["event"], object>;

/** What sockets tell goes to metrics, and decisions to the audit log. */
export function connectionObserver({ log, metrics, audit }: Observability): ConnectionObserver {
  const { connections } = metrics;
  const warn = warnOnceEach(log);
  return {
    ...connections,
    upgradeRefused(code, address, origin) {
      connections.upgradeRefused(code, address, origin);
      if (code !== "invalid_origin") return;
      warn(
        `${origin}`,
        { origin, address },
        "a browser page of this origin may not open sockets; add it to origins, or set public_url if it is the gateway's own",
      );
    },
    authenticated(principal, peer, elapsedMs) {
      connections.authenticated(principal, peer, elapsedMs);
      audit.accepted(principal, peer);
    },
    stepUp(result, whose, about) {
      connections.stepUp(result, whose, about);
      // The flow has its own record when it is done.
      if (result !== "done") audit.stepUp(result, whose, about);
    },
    authRefused(close, reason, peer) {
      connections.authRefused(close, reason, peer);
      audit.refused(close, reason, peer);
    },
  };
}

/** What HTTP tells goes to log, metrics and the audit log. */
export function httpObserver({ log, metrics, audit }: Observability): HttpObserver {
  return {
    answered(answer) {
      metrics.http(answer);
      const { status } = answer;
      if (status >= 500) log.warn({ http: answer }, "request failed");
      else log.debug({ http: answer }, "request");
    },
    decided(decision) {
      metrics.token(decision);
      const { event, ...about } = decision;
      const { name, outcome } = httpDecisions[event];
      audit.decided(name, outcome, { ...about, grant: about.grant });
    },
    defect(error, route) {
      metrics.defect("http");
      log.error({ err: error, route }, "defect in an endpoint");
    },
  };
}

import type { FlowStep } from "../../protocol/flow.ts";
import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import type { FlowAnswer, LoginFlows } from "../auth/login/login-flows.ts";
import type { Peer, Session } from "../auth/model.ts";
import type { Sessions } from "../auth/sessions/sessions.ts";
import type { Onboarding } from "../auth/users/onboarding.ts";
import type { Audit, Decision } from "./audit.ts";

/**
 * The same domain, for sockets and their commands; what it decides becomes an audit record. HTTP tells its own. `onLogin`
 * hears of each decision on a login: `ok`, or why not, a fixed word.
 */
export function auditedAuthority(
  authority: Authority,
  audit: Audit,
  onLogin: (result: string) => void = () => undefined,
): Authority {
  return {
    ...authority,
    logins: auditedLogins(authority.logins, audit, onLogin),
    sessions: auditedSessions(authority.sessions, audit),
    onboarding: auditedOnboarding(authority.onboarding, audit),
  };
}

function auditedSessions(sessions: Sessions, audit: Audit): Sessions {
  return {
    ...sessions,
    async refresh(request) {
      const about = { grant: "refresh_token", address: request.peer.address };
      return await decided(audit, "token", about, async () => {
        const grant = await sessions.refresh(request);
        return [grant, aboutSession(grant.session)];
      });
    },
    async openLongLived(request) {
      const about = { grant: "long_lived_access_token", userId: request.userId };
      return await decided(audit, "token", about, async () => {
        const grant = await sessions.openLongLived(request);
        return [grant, aboutSession(grant.session)];
      });
    },
  };
}

function auditedOnboarding(onboarding: Onboarding, audit: Audit): Onboarding {
  return {
    ...onboarding,
    createOwnerWithSession: async (request) => {
      const about = { address: request.peer.address, clientId: request.clientId };
      return await decided(audit, "owner", about, async () => {
        const made = await onboarding.createOwnerWithSession(request);
        return [made, aboutSession(made.grant.session)];
      });
    },
  };
}

function aboutSession({ id, userId, clientId }: Session) {
  return { sessionId: id, userId, clientId };
}

const events = {
  token: { yes: "token_granted", no: "token_refused" },
  owner: { yes: "owner_created", no: "owner_refused" },
} as const;

async function decided<T>(
  audit: Audit,
  kind: keyof typeof events,
  about: Omit<Decision, "event">,
  decide: () => Promise<readonly [T, Omit<Decision, "event">]>,
): Promise<T> {
  try {
    const [result, more] = await decide();
    audit.decided({ ...about, ...more, event: events[kind].yes });
    return result;
  } catch (error) {
    const reason = error instanceof AuthError ? error.code : "unknown_error";
    audit.decided({ ...about, reason, event: events[kind].no });
    throw error;
  }
}

function auditedLogins(logins: LoginFlows, audit: Audit, onLogin: (result: string) => void): LoginFlows {
  const audited = async (peer: Peer, answer: Promise<FlowAnswer>): Promise<FlowAnswer> => {
    try {
      const result = await answer;
      const decision = decisionOf(result.step);
      if (decision !== undefined) onLogin(decision);
      audit.loginStep(result.step, peer, result.userId);
      return result;
    } catch (error) {
      if (error instanceof AuthError) {
        onLogin(error.code);
        void whomAbout(error).then((userId) => audit.loginRefused(error.code, peer, userId));
      }
      throw error;
    }
  };
  return {
    providers: (peer) => logins.providers(peer),
    start: (request, peer, holder) => audited(peer, logins.start(request, peer, holder)),
    advance: (request, peer) => audited(peer, logins.advance(request, peer)),
    resume: (request, peer, holder) => logins.resume(request, peer, holder),
    cancel: (request) => logins.cancel(request),
    left: (flowId, holder) => logins.left(flowId, holder),
  };
}

/** Undefined for a form without errors, which is no decision. */
function decisionOf(step: FlowStep): string | undefined {
  if (step.type === "create_entry") return "ok";
  if (step.type === "abort") return step.reason;
  return step.type === "form" ? step.errors.base : undefined;
}

/** The record is written also when the store does not say. */
async function whomAbout({ userId }: AuthError): Promise<string | undefined> {
  return await userId?.().catch(() => undefined);
}

import { AuthError } from "../auth/errors.ts";
import type { LoginFlows } from "../auth/login/login-flows.ts";
import type { Peer } from "../auth/model.ts";
import type { Audit } from "./audit.ts";

/** The same login flows; what a step decides becomes an audit record. */
export function auditedLogins(logins: LoginFlows, audit: Audit): LoginFlows {
  const audited = async <T extends Awaited<ReturnType<LoginFlows["advance"]>>>(
    peer: Peer,
    answer: Promise<T>,
  ): Promise<T> => {
    try {
      const result = await answer;
      audit.loginStep(result.step, peer);
      return result;
    } catch (error) {
      if (error instanceof AuthError) audit.loginRefused(error.code, peer);
      throw error;
    }
  };
  return {
    providers: (peer) => logins.providers(peer),
    start: (request, peer) => audited(peer, logins.start(request, peer)),
    advance: (request, peer) => audited(peer, logins.advance(request, peer)),
    resume: (request, peer) => logins.resume(request, peer),
    cancel: (request) => logins.cancel(request),
  };
}

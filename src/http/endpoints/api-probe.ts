import type { Authority } from "../../auth/authority.ts";
import { allows } from "../../auth/clients/scopes.ts";
import { AuthError } from "../../auth/errors.ts";
import { mayLogIn } from "../../auth/users/account-status.ts";
import { json } from "../answers.ts";
import { bearerOf } from "../bearer.ts";
import type { Endpoint, Exchange } from "../exchange.ts";

/**
 * `GET /api/`: how Home Assistant's clients probe a token. Takes a bearer token, or a path that `auth/sign_path`
 * signed.
 */
export function apiProbeEndpoint(authority: Authority): Endpoint {
  return async (exchange) => {
    await demandAuthentication(authority, exchange);
    return json({ message: "API running." });
  };
}

/** Throws `unauthorized`, or `unavailable` if nothing can be said now, which is never a 401. */
async function demandAuthentication(authority: Authority, exchange: Exchange): Promise<void> {
  const token = bearerOf(exchange.request);
  if (token !== undefined) return demandLiveToken(authority, token, exchange);
  if (exchange.request.url.searchParams.has("authSig")) return demandLiveSignature(authority, exchange);
  throw new AuthError("unauthorized", { detail: "no bearer token and no signed path" });
}

async function demandLiveToken(authority: Authority, token: string, { peer }: Exchange): Promise<void> {
  const verdict = await authority.authentication.authenticate(token, peer);
  if (!verdict.ok) throw new AuthError("unauthorized", { detail: verdict.reason });
  if (!allows(verdict.principal.scope, "api")) throw new AuthError("insufficient_scope");
}

async function demandLiveSignature(authority: Authority, exchange: Exchange): Promise<void> {
  const { peer } = exchange;
  const { url } = exchange.request;
  const sessionId = await authority.signedPaths.verify(url.pathname + url.search);
  const session = sessionId === undefined ? undefined : await authority.sessions.get(sessionId);
  const found = session === undefined ? undefined : await authority.users.read(session.userId);
  if (found === undefined || (!found.user.systemGenerated && !mayLogIn(found.user, peer)))
    throw new AuthError("unauthorized", { detail: "the path's signature is not valid here" });
}

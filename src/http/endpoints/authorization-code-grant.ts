import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import { requireGrantType } from "../../auth/oauth/authorization-request.ts";
import { openSessionForCode } from "../../auth/sessions/code-exchange.ts";
import type { HttpResponse } from "../endpoint.ts";
import type { HttpObserver } from "../observer.ts";
import { decided, type GrantRequest, tokenAnswer } from "./token-answer.ts";

export interface CodeGrantOptions {
  readonly authority: Authority;
  readonly observer: HttpObserver;
  /** Whether a session of this client, which nobody registered, rotates its refresh token. */
  readonly rotates: (clientId: string) => boolean;
}

/**
 * `grant_type=authorization_code` (RFC 6749 section 4.1.3, RFC 7636). The checks are in Home Assistant's order:
 * client id, code, the user's state. One commit then uses the code up and opens the session.
 */
export async function grantForCode(request: GrantRequest, options: CodeGrantOptions): Promise<HttpResponse> {
  const { client, peer } = request;
  const about = {
    grant: "authorization_code",
    address: peer.address,
    clientId: client?.id ?? null,
  };
  const grant = await decided(options.observer, about, async () => {
    const exchange = exchangeOf(request, options);
    try {
      return await openSessionForCode(options.authority, exchange);
    } catch (error) {
      throw asStandardError(request, error);
    }
  });
  return await tokenAnswer(options.authority, request, grant, true);
}

function exchangeOf({ form, client, peer }: GrantRequest, { rotates }: CodeGrantOptions) {
  if (client === undefined) throw new AuthError("invalid_client");
  if (client.registered !== undefined) requireGrantType(client.registered, "authorization_code");
  const code = form.get("code");
  if (code === undefined) throw new AuthError("invalid_code", { detail: "the code is missing" });
  return {
    clientId: client.id,
    client: client.registered,
    code,
    codeVerifier: form.get("code_verifier"),
    redirectUri: form.get("redirect_uri"),
    resource: form.get("resource"),
    rotates: client.registered?.rotates ?? rotates(client.id),
    peer,
  };
}

/** Home Assistant's clients read `invalid_request`; registered ones the code of RFC 6749 section 5.2. */
function asStandardError({ client }: GrantRequest, error: unknown): unknown {
  return client?.registered !== undefined && error instanceof AuthError && error.code === "invalid_code"
    ? new AuthError("invalid_grant", { publicMessage: "Invalid code", detail: error.message, cause: error })
    : error;
}

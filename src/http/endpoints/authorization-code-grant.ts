import type { Authority } from "../../auth/authority.ts";
import { verifyClientId } from "../../auth/clients/client-id.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Peer } from "../../auth/model.ts";
import { openSessionForCode } from "../../auth/sessions/code-exchange.ts";
import type { Form } from "../body.ts";
import type { HttpObserver } from "../observer.ts";
import { decided, tokenAnswer } from "./token-answer.ts";

export interface CodeGrantOptions {
  readonly authority: Authority;
  readonly observer: HttpObserver;
  /** Whether a session of this client rotates its refresh token. */
  readonly rotates: (clientId: string) => boolean;
}

/**
 * `grant_type=authorization_code` (RFC 6749 section 4.1.3, RFC 7636). The checks are in Home Assistant's order:
 * client id, code, the user's state. One commit then uses the code up and opens the session.
 */
export async function grantForCode(form: Form, peer: Peer, options: CodeGrantOptions): Promise<Response> {
  const clientId = form.get("client_id") ?? null;
  const about = { grant: "authorization_code", address: peer.address, clientId } as const;
  const grant = await decided(options.observer, about, () =>
    openSessionForCode(options.authority, codeLogin(form, peer, options)),
  );
  return tokenAnswer(grant, true);
}

function codeLogin(form: Form, peer: Peer, { rotates }: CodeGrantOptions) {
  const clientId = form.get("client_id");
  if (clientId === undefined || !verifyClientId(clientId)) throw new AuthError("invalid_client");
  const code = form.get("code");
  if (code === undefined) throw new AuthError("invalid_code", { detail: "the code is missing" });
  return {
    clientId,
    code,
    codeVerifier: form.get("code_verifier"),
    redirectUri: form.get("redirect_uri"),
    rotates: rotates(clientId),
    peer,
  };
}

import { verifyClientId, verifyRedirectUri } from "../clients/client-id.ts";
import { AuthError } from "../errors.ts";
import { isCodeChallenge } from "../tokens/authorization-codes.ts";
import type { StartLogin } from "./login-flows.ts";

/**
 * Checks the client before anybody types a password. A code needs a valid client id and a redirect URI that is
 * allowed for it. A session may name its client, and a redirect URI only together with it. Throws `invalid_client`,
 * `invalid_redirect_uri`, `invalid_format`.
 */
export function checkStart({ purpose, clientId, redirectUri, codeChallenge }: StartLogin): void {
  const forCode = purpose === "code";
  const clientFits = clientId === null ? !forCode : verifyClientId(clientId);
  if (!clientFits) throw new AuthError("invalid_client");
  const redirectFits =
    redirectUri === null ? !forCode : clientId !== null && verifyRedirectUri(clientId, redirectUri);
  if (!redirectFits) throw new AuthError("invalid_redirect_uri");
  if (codeChallenge !== null && !isCodeChallenge(codeChallenge)) {
    throw new AuthError("invalid_format", { publicMessage: "The code challenge is not an S256 one." });
  }
}

import { AuthError } from "../../auth/errors.ts";
import { neverStored } from "../answers.ts";
import { readForm } from "../body.ts";
import type { Endpoint } from "../exchange.ts";
import { type CodeGrantOptions, grantForCode } from "./authorization-code-grant.ts";
import { grantForRefreshToken } from "./refresh-token-grant.ts";
import { endSessionOf, type RevokeOptions } from "./revoke.ts";

/**
 * `POST /auth/token` (RFC 6749), in Home Assistant's order: the body, the deprecated `action=revoke`, the grant type,
 * then the checks of the grant.
 */
export function tokenEndpoint(
  options: CodeGrantOptions & RevokeOptions & { maxBodyBytes: number },
): Endpoint {
  return async ({ request, peer, timed }) => {
    const form = await timed(() => readForm(request, options.maxBodyBytes));
    if (form.get("action") === "revoke") {
      await endSessionOf(form, peer, options);
      return new Response(null, { headers: neverStored });
    }
    switch (form.get("grant_type")) {
      case "authorization_code":
        return grantForCode(form, peer, options);
      case "refresh_token":
        return grantForRefreshToken(form, peer, options);
      default:
        throw new AuthError("unsupported_grant_type");
    }
  };
}

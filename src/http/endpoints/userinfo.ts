import type { Authority } from "../../auth/authority.ts";
import { allows } from "../../auth/clients/scopes.ts";
import { AuthError } from "../../auth/errors.ts";
import { userClaims } from "../../auth/tokens/id-tokens.ts";
import { json } from "../answers.ts";
import { bearerOf } from "../bearer.ts";
import type { Endpoint } from "../exchange.ts";

/**
 * `GET` and `POST /auth/userinfo` (OpenID Connect Core section 5.3), with an access token in the header. Says what the
 * token's scopes allow. Throws `unauthorized`, `insufficient_scope`.
 */
export function userinfoEndpoint(authority: Pick<Authority, "authentication" | "users">): Endpoint {
  return async ({ request, peer }) => {
    const { authentication, users } = authority;
    const token = bearerOf(request);
    const verdict = token === undefined ? undefined : await authentication.authenticate(token, peer);
    if (verdict?.ok !== true)
      throw new AuthError("unauthorized", { detail: "userinfo without a good token" });
    const { userId, scope } = verdict.principal;
    if (!allows(scope, "openid")) throw new AuthError("insufficient_scope");
    const user = await users.current(userId);
    if (user === undefined) throw new AuthError("unauthorized", { detail: "the user was removed" });
    return json(userClaims(user, scope));
  };
}

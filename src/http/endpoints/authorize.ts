import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import { empty } from "../answers.ts";
import { authorizePage } from "../authorize-page.ts";
import { type AuthorizeRequest, authorizeRequest } from "../authorize-request.ts";
import type { HttpResponse } from "../endpoint.ts";
import type { Endpoint } from "../exchange.ts";
import { pageContext } from "../html-page.ts";
import { preselectsRememberMe } from "./providers.ts";

export interface AuthorizeOptions {
  readonly authority: Pick<Authority, "clients" | "clientPages" | "pushedRequests">;
  readonly issuer: () => string;
  /** Without a trailing slash. */
  readonly publicUrl: () => string;
}

/**
 * `GET /auth/authorize` (RFC 6749 section 4.1.1): the page on which a person logs in for an app. A code comes from a flow
 * of that page, which checks the request once more.
 */
export function authorizeEndpoint({ authority, issuer, publicUrl }: AuthorizeOptions): Endpoint {
  return async ({ request, peer }) => {
    const { clients, clientPages, pushedRequests: pushed } = authority;
    const tools = { clients, clientPages, pushed };
    const asked = await authorizeRequest(tools, request.url.searchParams);
    if (asked.client?.requiresPushedRequests === true && asked.requestUri === null)
      throw new AuthError("invalid_format", { publicMessage: "This client must push its requests." });
    if (asked.prompt === "none") return loginRequired(asked, issuer());
    return authorizePage(pageContext(request), {
      ...asked,
      publicUrl: publicUrl(),
      issuer: issuer(),
      remembers: preselectsRememberMe(peer),
    });
  };
}

/**
 * OpenID Connect Core section 3.1.2.6: people log in for each code, so nothing can be granted without asking. Only a
 * registered redirect URI is sent an error; see `authorizeChecks`.
 */
function loginRequired({ client, redirectUri, state }: AuthorizeRequest, issuer: string): HttpResponse {
  if (client === undefined)
    throw new AuthError("invalid_format", { publicMessage: "prompt=none is for registered clients" });
  const joint = redirectUri.includes("?") ? "&" : "?";
  const answer = new URLSearchParams({
    error: "login_required",
    iss: issuer,
    ...(state === null ? {} : { state }),
  });
  const headers = { location: redirectUri + joint + answer.toString() };
  return empty(303, headers);
}

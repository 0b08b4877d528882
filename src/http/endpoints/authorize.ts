import { authorizePage } from "../authorize-page.ts";
import { authorizeRequest } from "../authorize-request.ts";
import type { Endpoint } from "../exchange.ts";
import { preselectsRememberMe } from "./providers.ts";

export interface AuthorizeOptions {
  readonly issuer: () => string;
  /** Without a trailing slash. */
  readonly publicUrl: () => string;
}

/**
 * `GET /auth/authorize` (RFC 6749 section 4.1.1): the page on which a person logs in for an app. A code comes from a flow
 * of that page, which checks the request once more.
 */
export function authorizeEndpoint({ issuer, publicUrl }: AuthorizeOptions): Endpoint {
  return ({ url, request, peer }) =>
    authorizePage({
      ...authorizeRequest(url.searchParams),
      publicUrl: publicUrl(),
      issuer: issuer(),
      remembers: preselectsRememberMe(peer),
      acceptLanguage: request.headers.get("accept-language"),
    });
}

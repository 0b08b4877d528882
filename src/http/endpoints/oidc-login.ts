import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import { empty } from "../answers.ts";
import { readForm } from "../body.ts";
import { browserCookie, browserOf } from "../browser-cookie.ts";
import type { Endpoint, Exchange } from "../exchange.ts";
import { pageContext } from "../html-page.ts";
import { type HttpObserver, reasonOf } from "../observer.ts";
import { confirmedPage, confirmPage } from "../oidc-pages.ts";

export interface OidcEndpointOptions {
  readonly authority: Authority;
  readonly observer: HttpObserver;
  readonly publicUrl: () => string;
  readonly maxBodyBytes: number;
}

/** `GET /auth/oidc/start/:ticket`: gives the browser its cookie and sends it on to the provider. */
export function oidcStartEndpoint({ authority, observer, publicUrl }: OidcEndpointOptions): Endpoint {
  return async ({ parameters, request, peer }) => {
    const { ticket = "" } = parameters;
    const { url, browser } = await recorded(observer, peer.address, () =>
      authority.oidc.start(ticket, browserOf(request, publicUrl()), peer),
    );
    const headers = { location: url.href, "set-cookie": browserCookie(browser, publicUrl()) };
    return empty(303, headers);
  };
}

/** `GET /auth/oidc/callback/:provider`: the browser comes back from the provider. Nobody is logged in by that. */
export function oidcCallbackEndpoint({ authority, observer, publicUrl }: OidcEndpointOptions): Endpoint {
  return async ({ parameters, request, peer }) => {
    const { provider = null } = parameters;
    const browser = browserOf(request, publicUrl());
    return confirmPage(
      pageContext(request),
      await recorded(observer, peer.address, () =>
        authority.oidc.returned(provider, request.url.searchParams, browser, peer),
      ),
    );
  };
}

/** `POST /auth/oidc/confirm`: the person answers the page of the return. */
export function oidcConfirmEndpoint(options: OidcEndpointOptions): Endpoint {
  const { authority, observer, publicUrl, maxBodyBytes } = options;
  return async (exchange) => {
    const { request, peer } = exchange;
    const { address } = peer;
    const { agrees, flowId } = await recorded(observer, address, async () => {
      refuseOtherSite(exchange);
      const form = await exchange.timed(() => readForm(request, maxBodyBytes));
      const answer = form.get("answer");
      if (answer !== "yes" && answer !== "no") throw new AuthError("invalid_format");
      const browser = browserOf(request, publicUrl());
      const agrees = answer === "yes";
      return { agrees, flowId: await authority.oidc.answer(form.get("return") ?? "", agrees, browser, peer) };
    });
    observer.decided({ event: agrees ? "login_confirmed" : "login_not_confirmed", address, flowId });
    return confirmedPage(pageContext(request), agrees);
  };
}

/** The form's token and the cookie decide. This refuses earlier, where a browser says where the request comes from. */
function refuseOtherSite({ request }: Exchange): void {
  const site = request.headers.get("sec-fetch-site");
  if (site !== undefined && site !== "same-origin")
    throw new AuthError("invalid_return", { detail: `the form was sent from ${site}` });
}

async function recorded<Result>(
  observer: HttpObserver,
  address: string | null,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    observer.decided({ event: "login_return_refused", address, ...reasonOf(error) });
    throw error;
  }
}

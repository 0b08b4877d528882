import type { PushedRequestResponse } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import { json, neverStored } from "../answers.ts";
import { checkedRequest } from "../authorize-request.ts";
import { type Form, readForm } from "../body.ts";
import type { Endpoint } from "../exchange.ts";
import { registeredClient } from "../requesting-client.ts";

export interface PushedRequestOptions {
  readonly authority: Pick<Authority, "clients" | "clientPages" | "clientAuthentication" | "pushedRequests">;
  readonly maxBodyBytes: number;
}

/** What authenticates the client is no part of the request. */
const notRequested: ReadonlySet<string> = new Set([
  "client_secret",
  "client_assertion",
  "client_assertion_type",
]);

/** `POST /auth/par` (RFC 9126): a registered client sends its authorization request before the browser comes. */
export function pushedRequestEndpoint({ authority, maxBodyBytes }: PushedRequestOptions): Endpoint {
  return async ({ request, peer, timed }) => {
    const form = await timed(() => readForm(request, maxBodyBytes));
    const client = await registeredClient(authority, request, form);
    if (form.has("request_uri"))
      throw new AuthError("invalid_format", { publicMessage: "request_uri is not for pushing" });
    const asked = await checkedRequest(authority, parametersOf(form, client.id)).catch((error: unknown) => {
      throw asPushed(error);
    });
    const { clientId, redirectUri, codeChallenge, scope, resource, nonce, state, prompt } = asked;
    const { acrValues, maxAge } = asked;
    const wishes = { scope, resource, nonce, acrValues, maxAge };
    const pushed = { clientId, redirectUri, codeChallenge, ...wishes, state, prompt };
    const { requestUri, expiresInMs } = await authority.pushedRequests.push(
      pushed,
      client.authMethod === "none" ? peer : undefined,
    );
    const body: PushedRequestResponse = { request_uri: requestUri, expires_in: expiresInMs / 1000 };
    return json(body, { status: 201, headers: neverStored });
  };
}

/** RFC 9126 section 2.3: the page's 403 for a redirect URI would say that the client's tokens are no good. */
function asPushed(error: unknown): unknown {
  return error instanceof AuthError && error.code === "invalid_redirect_uri"
    ? new AuthError("invalid_format", { publicMessage: error.publicMessage, cause: error })
    : error;
}

function parametersOf(form: Form, clientId: string): URLSearchParams {
  const asked = [...form].filter(([name]) => !notRequested.has(name));
  return new URLSearchParams([...asked.filter(([name]) => name !== "client_id"), ["client_id", clientId]]);
}

import { Compile } from "typebox/compile";

import { LinkUserRequest } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { allows } from "../../auth/clients/scopes.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Principal } from "../../auth/model.ts";
import { json } from "../answers.ts";
import { bearerOf } from "../bearer.ts";
import { readJsonOfAnyType } from "../body.ts";
import type { Endpoint, Exchange } from "../exchange.ts";

export interface LinkUserOptions {
  readonly authority: Pick<Authority, "authentication" | "logins" | "stepUps">;
  readonly maxBodyBytes: number;
}

const linkRequest = Compile(LinkUserRequest);

/**
 * `POST /auth/link_user`, as in Home Assistant: links the login that a flow of type `link_user` proved to the user of
 * the bearer token. The rules are those of the socket's `auth/link/start`, so the login of the session must be recent.
 */
export function linkUserEndpoint({ authority, maxBodyBytes }: LinkUserOptions): Endpoint {
  return async (exchange) => {
    const asker = await requireAsker(authority, exchange);
    const body = await exchange.timed(() => readJsonOfAnyType(exchange.request, maxBodyBytes, linkRequest));
    await authority.logins.linkByCode({ code: body.code, clientId: body.client_id, asker });
    return json({ message: "User linked" });
  };
}

/** Throws `unauthorized`, `insufficient_scope`, `recent_login_required`. */
async function requireAsker(
  { authentication, stepUps }: LinkUserOptions["authority"],
  { request, peer }: Exchange,
): Promise<Principal> {
  const token = bearerOf(request);
  const verdict = token === undefined ? undefined : await authentication.authenticate(token, peer);
  if (verdict?.ok !== true) throw new AuthError("unauthorized", { detail: "a link without a good token" });
  if (!allows(verdict.principal.scope, "api")) throw new AuthError("insufficient_scope");
  // Another login would not be narrowed.
  if (verdict.principal.policy !== null)
    throw new AuthError("unauthorized", { detail: "a link with a token that a policy narrows" });
  await stepUps.require("credentials", verdict.principal);
  return verdict.principal;
}

import { Compile } from "typebox/compile";

import { OnboardingRequest } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { verifyClientId } from "../../auth/clients/client-id.ts";
import { AuthError } from "../../auth/errors.ts";
import { json } from "../answers.ts";
import { readJson } from "../body.ts";
import type { Endpoint } from "../exchange.ts";
import { type HttpObserver, reasonOf } from "../observer.ts";

const request = Compile(OnboardingRequest);

/** `GET /api/onboarding`: Gatehouse has only the first step of Home Assistant's. */
export function onboardingEndpoint(authority: Authority): Endpoint {
  return async () => json([{ step: "user", done: !(await authority.onboarding.required()) }]);
}

/**
 * `POST /api/onboarding/users`: creates the owner and answers an authorization code. Beside Home Assistant's fields
 * it asks for the set-up code, so that the first visitor cannot take the installation. Takes a JSON body of that
 * media type only: a page of another site cannot send one without a preflight, which is refused.
 */
export function createOwnerEndpoint(options: {
  readonly authority: Authority;
  readonly observer: HttpObserver;
  readonly maxBodyBytes: number;
}): Endpoint {
  const { authority, observer, maxBodyBytes } = options;
  return async (exchange) => {
    const { peer } = exchange;
    const { address } = peer;
    const body = await exchange.timed(() => readJson(exchange.request, maxBodyBytes, request));
    if (!verifyClientId(body.client_id)) throw new AuthError("invalid_client");
    const { setup_code: setupCode, client_id: clientId, name, username, password } = body;
    try {
      const owner = { setupCode, name, username, password, clientId, peer };
      const { user, code } = await authority.onboarding.createOwnerWithCode(owner);
      observer.decided({ event: "owner_created", address, userId: user.id, clientId });
      return json({ auth_code: code });
    } catch (error) {
      observer.decided({ event: "owner_refused", address, ...reasonOf(error), clientId });
      throw error;
    }
  };
}

import { GatewayError } from "../client/errors.ts";
import type { StepUpRequest } from "../client/step-up.ts";
import type { LoginClient } from "./login-controller.ts";

/** A login on the socket of a client that is authenticated already. `close` gives it up. */
export function stepUpClient(request: StepUpRequest | undefined): LoginClient {
  const required = () => {
    if (request === undefined) throw new GatewayError("invalid_flow", "There is no step-up");
    return request;
  };
  return {
    providers: async () => ({ providers: [...required().providers], onboarding_required: false }),
    login: async ({ handler }) => await required().start(handler),
    createOwner: async () => {
      throw new GatewayError("not_supported", "A step-up makes no owner");
    },
    // The socket may be gone, and the step-up with it.
    close: () => void request?.cancel().catch(() => {}),
  };
}

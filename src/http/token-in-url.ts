import { hasSecretParameter } from "../../protocol/secret-parameters.ts";
import { AuthError } from "../auth/errors.ts";

/** Throws `token_in_url`. */
export function refuseTokenInUrl(url: URL): void {
  if (hasSecretParameter(url.search.slice(1))) throw new AuthError("token_in_url");
}

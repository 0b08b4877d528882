import type { Peer, User } from "../model.ts";
import type { TokenGrant } from "../sessions/sessions.ts";

/**
 * The first user, once per installation, guarded by a set-up code that only who sees the server's console knows. The
 * code is derived from the installation's secret and id: the same on every node and after a restart until it is used.
 */
export interface Onboarding {
  required(): Promise<boolean>;
  /** For the console only. */
  setupCode(): Promise<string>;
  /**
   * Of any number of parallel calls one creates the owner (member of system-admin). Throws `invalid_setup_code`,
   * `onboarding_done`, `invalid_username`, `invalid_password`.
   */
  createOwner(request: OwnerRequest): Promise<User>;
  /**
   * The same, and a session for the one who asked. Throws `invalid_client` too, and `rate_limited` after ten wrong codes
   * from one address (one IPv6 /64) within a minute, on this node.
   */
  createOwnerWithSession(
    request: OwnerRequest & { readonly clientId: string | null; readonly peer: Peer },
  ): Promise<{ readonly user: User; readonly grant: TokenGrant & { readonly refreshToken: string } }>;
  /**
   * The same, and an authorization code for `clientId` (Home Assistant's `/api/onboarding/users`). NOT checked here: the
   * client id. Throws `rate_limited` too.
   */
  createOwnerWithCode(
    request: OwnerRequest & { readonly clientId: string; readonly peer: Peer },
  ): Promise<{ readonly user: User; readonly code: string }>;
}

export interface OwnerRequest {
  readonly setupCode: string;
  readonly name: string;
  readonly username: string;
  readonly password: string;
}

import { type LoggedOut, type LogoutTools, logOut } from "./back-channel-logout.ts";
import { type BrowserLogins, createBrowserLogins } from "./browser-logins.ts";
import type { BrowserLoginTools } from "./waiting-flow.ts";

/** The part of the providers of this type that is reached by HTTP. */
export interface Oidc extends BrowserLogins {
  /** Back-channel logout, see `logOut`. */
  logOut(providerId: string | null, token: string): Promise<LoggedOut>;
}

export function createOidc(tools: BrowserLoginTools & LogoutTools): Oidc {
  return {
    ...createBrowserLogins(tools),
    logOut: (providerId, token) => logOut(tools, providerId, token),
  };
}

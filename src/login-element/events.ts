import type { DeviceTokenStore } from "../client/device-store.ts";
import type { GatewayClient } from "../client/gateway-client.ts";
import type { StepUpHandler, StepUpRequest } from "../client/step-up.ts";
import type { TokenStore } from "../client/token-store.ts";

/** What the element's events carry as `detail`. All of them bubble, and cross the borders of shadow trees. */
export interface GatehouseLoginEvents {
  /** `for="session"` and `for="setup"`: the client is ready, and belongs to the page from now on. */
  "gatehouse-authenticated": CustomEvent<{ readonly client: GatewayClient }>;
  /** `for="code"`: an authorization code for the redirect URI. `state` is the attribute's. */
  "gatehouse-code": CustomEvent<{
    readonly code: string;
    readonly redirectUri: string;
    readonly state: string | null;
  }>;
  /** `for="step-up"`: the person has logged in again, and the calls that waited for it go on. */
  "gatehouse-stepped-up": CustomEvent<null>;
  /** A login ended without success. `reason` is that of the flow's `abort` step. The person may start again, except in a step-up. */
  "gatehouse-ended": CustomEvent<{ readonly reason: string }>;
}

/**
 * `<gatehouse-login>`. A change of an attribute starts the login again. Properties that a page sets before the element's
 * script has loaded count too.
 */
export interface GatehouseLoginElement extends HTMLElement {
  /** `url`: the gateway's address, also relative to the page. Default: the page's own origin. */
  url: string | null;
  /** `client-id`. Required for a code. */
  clientId: string | null;
  /** `client-name`: what the app calls itself where a person confirms. */
  clientName: string | null;
  /** `redirect-uri`. Required for a code. */
  redirectUri: string | null;
  /**
   * `for`: what the login gives. Default: `session`. `setup` creates the owner, and logs in as that person. `step-up` lets
   * the person log in again for what waits for it.
   */
  purpose: "session" | "code" | "setup" | "step-up";
  /**
   * With `for="step-up"`: what the client's `onStepUp` was given. Set it before the element is in the page. If the element
   * is removed, or the login ends, it is given up.
   */
  stepUp: StepUpRequest | undefined;
  /**
   * With `for="setup"`: the code that the gateway printed. Without one the form asks for it. Set it before the
   * element is in the page.
   */
  setupCode: string;
  /** `state`: returned with the code. */
  state: string | null;
  /** `code-challenge`: PKCE's, S256. */
  codeChallenge: string | null;
  /**
   * Lets the person log in again for a call of the client that needs it, for instance with a second element with
   * `for="step-up"`. Set it before the login is done; a later one counts once the client has connected again. Without it
   * such a call rejects with `recent_login_required`.
   */
  onStepUp: StepUpHandler | undefined;
  /** Where the client of a session keeps its tokens. Default: in memory. Set it before the element is in the page. */
  tokens: TokenStore | undefined;
  /** Where this device's token is kept. Default: the browser's storage. Set it before the element is in the page. */
  device: DeviceTokenStore | undefined;
  /** The authenticated client, once there is one. */
  readonly client: GatewayClient | undefined;
  addEventListener<K extends keyof GatehouseLoginEvents>(
    type: K,
    listener: (event: GatehouseLoginEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

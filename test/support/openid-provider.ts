import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import Provider from "oidc-provider";
import type { Page } from "playwright-core";

export interface OpenIdProvider {
  readonly issuer: string;
  readonly client: { readonly client_id: string; readonly client_secret: string };
  /** Logs the person in on the provider's own pages. */
  logIn(page: Page, name: string): Promise<void>;
  /** Ends the session that this browser has at the provider. */
  logOut(page: Page): Promise<void>;
  stop(): Promise<void>;
}

export interface OpenIdProviderOptions {
  /** The gateway's redirect URI. */
  readonly redirectUri: string;
  readonly backchannelLogoutUri?: string;
}

/** A free port of this machine, for a server whose address has to be known before it starts. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await closed(server);
  return port;
}

export async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

export async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** npm's `oidc-provider`, with its development pages, which log anybody in. Names of people are their subjects. */
export async function startOpenIdProvider(options: OpenIdProviderOptions): Promise<OpenIdProvider> {
  let handle: RequestListener = () => undefined;
  const server = createServer((request, response) => handle(request, response));
  const issuer = `http://127.0.0.1:${await listening(server)}`;
  const client = { client_id: "gatehouse", client_secret: "the secret of the gateway" };
  const { backchannelLogoutUri } = options;
  const provider = new Provider(issuer, {
    clients: [
      {
        ...client,
        redirect_uris: [options.redirectUri],
        response_types: ["code"],
        ...(backchannelLogoutUri === undefined
          ? {}
          : { backchannel_logout_uri: backchannelLogoutUri, backchannel_logout_session_required: true }),
      },
    ],
    features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
    claims: { openid: ["sub"], profile: ["name", "groups"] },
    ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, IdToken: 600 },
    cookies: { keys: ["a key of the tests"] },
    // Its own refuses the addresses of this machine.
    fetch: (url: string | URL | Request, init: RequestInit = {}) =>
      fetch(url, { ...init, dispatcher: undefined } as RequestInit),
    findAccount: async (_context: unknown, id: string) => ({
      accountId: id,
      claims: async () => ({ sub: id, name: `${id} of the provider`, groups: [`${id}s`, "everybody"] }),
    }),
  });
  handle = provider.callback();
  return {
    issuer,
    client,
    async logIn(page, name) {
      await page.locator("input[name=login]").fill(name);
      await page.locator("input[name=password]").fill("anything");
      await page.getByRole("button", { name: "Sign-in" }).click();
      await page.getByRole("button", { name: "Continue" }).click();
    },
    async logOut(page) {
      await page.goto(`${issuer}/session/end`);
      await page.locator("button[name=logout]").click();
    },
    stop: () => closed(server),
  };
}

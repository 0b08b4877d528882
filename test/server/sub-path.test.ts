import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import { GatewayClient, type WebSocketConstructor } from "../../src/client/index.ts";
import { builtPages } from "../support/built-pages.ts";
import { fetchOver } from "../support/fetch-over.ts";
import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { accessibilityFaults, complaintsOf, launchChromium } from "../support/login-page.ts";
import { freePort, startOpenIdProvider } from "../support/openid-provider.ts";
import { proxyHostRule, startSubPathProxy, subPathUrl } from "../support/sub-path-proxy.ts";
import { pageWaitMs } from "../support/within.ts";

// A gateway on all addresses, behind a TLS proxy that removes a path, at a name that browsers treat like any other.
let browser: Browser;
let app: { readonly server: Server; readonly origin: string };
const ends: (() => Promise<unknown> | unknown)[] = [];

beforeAll(async () => {
  browser = await launchChromium(proxyHostRule);
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html><title>app</title>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  app = { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => {
  await browser?.close();
  app?.server.close();
});

async function gateway(transport: "ws" | "uws") {
  const port = await freePort();
  const public_url = subPathUrl(port);
  const provider = await startOpenIdProvider({
    redirectUri: `${public_url}/auth/oidc/callback/work`,
    backchannelLogoutUri: `${public_url}/auth/oidc/backchannel-logout/work`,
  });
  ends.push(() => provider.stop());
  const { client, issuer } = provider;
  const work = { type: "oidc" as const, id: "work", name: "Work", issuer, ...client };
  const node = await startNode(
    {
      transport,
      public_url,
      host: "0.0.0.0",
      trusted_proxies: ["127.0.0.1"],
      auth_providers: [{ type: "homeassistant" }, { ...work, new_users: { activate: true } }],
    },
    { pages: await builtPages() },
  );
  ends.push(() => node.stop());
  const proxy = await startSubPathProxy(port, node.port);
  ends.push(() => proxy.stop());
  return { url: public_url, ca: proxy.ca, authority: node.authority, port, provider, started: node.url };
}

async function newPage(
  options: BrowserContextOptions = {},
): Promise<{ page: Page; complaints: readonly string[] }> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  ends.push(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(pageWaitMs);
  return { page, complaints: complaintsOf(page) };
}

/** Redeems the code that the page took back to the app. */
async function tokensOf(page: Page, { port, ca }: { readonly port: number; readonly ca: Buffer }) {
  await page.waitForURL(`${app.origin}/back?code=*`);
  const { searchParams } = new URL(page.url());
  const form = {
    grant_type: "authorization_code",
    client_id: `${app.origin}/`,
    code: searchParams.get("code") ?? "",
  };
  const answer = await fetchOver({ port, tls: { ca } }, "/gate/auth/token", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: String(new URLSearchParams(form)),
  });
  const { access_token: token = "" } = (await answer.json()) as { readonly access_token?: string };
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as object;
  return { status: answer.status, iss: searchParams.get("iss"), claims };
}

const authorize = () =>
  new URLSearchParams({
    response_type: "code",
    client_id: `${app.origin}/`,
    redirect_uri: `${app.origin}/back`,
  });

describe.each(transportNames)("behind a TLS proxy on a path of its own, %s", (transport) => {
  it("a person logs in for an app, with a password and with an OpenID provider", async () => {
    const { url, ca, authority, port, provider, started } = await gateway(transport);
    expect(started).toBe(url);
    await setUpOwner(authority);
    const { page, complaints } = await newPage();
    await page.goto(`${url}/auth/authorize?${authorize()}`);
    await page.getByRole("button", { name: "Home Assistant Local" }).click();
    await page.getByLabel("User name").fill("paula");
    await page.getByLabel("Password").fill(ownerPassword);
    await page.keyboard.press("Enter");
    const granted = { status: 200, iss: url, claims: { iss: url } };
    expect(await tokensOf(page, { port, ca })).toMatchObject(granted);

    await page.goto(`${url}/auth/authorize?${authorize()}`);
    await page.getByRole("button", { name: "Work" }).click();
    const [tab] = await Promise.all([
      page.context().waitForEvent("page"),
      page.getByRole("link", { name: "Open Work" }).click(),
    ]);
    await provider.logIn(tab, "rita");
    await tab.getByRole("button", { name: "log it in" }).first().waitFor();
    expect(tab.url()).toContain(`${url}/auth/oidc/callback/work?`);
    expect(await accessibilityFaults(tab)).toEqual([]);
    const [cookie] = await tab.context().cookies(url);
    expect(cookie).toMatchObject({ name: "__Host-gatehouse-login-gate", path: "/", secure: true });
    await tab.getByRole("button", { name: "log it in" }).first().click();
    await tab.getByRole("heading", { name: "Confirmed" }).waitFor();
    expect(await tokensOf(page, { port, ca })).toMatchObject(granted);
    expect(complaints).toEqual([]);
  });

  it("the owner is set up, and is logged in", async () => {
    const { url, authority } = await gateway(transport);
    const { page, complaints } = await newPage({ locale: "de-DE" });
    const code = await authority.onboarding.setupCode();
    await page.goto(`${url}/setup#code=${encodeURIComponent(code)}`);
    await page.getByLabel("Name", { exact: true }).fill("Olivia");
    await page.getByLabel("Benutzername").fill("Olivia");
    await page.getByLabel("Neues Passwort", { exact: true }).fill(ownerPassword);
    await page.getByLabel("Neues Passwort, noch einmal").fill(ownerPassword);
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Fertig" }).waitFor();
    expect(await page.locator("#login-command").textContent()).toBe(
      `gatehouse login ${url} --username 'olivia'`,
    );
    expect(await page.locator("#socket-address").textContent()).toBe(
      `${url.replace("https", "wss")}/api/websocket`,
    );
    expect(await accessibilityFaults(page)).toEqual([]);
    const [owner] = await authority.users.list();
    const sessions = await authority.sessions.list(owner?.id ?? "");
    expect(sessions.map(({ clientId }) => clientId)).toEqual([`${url}/`]);
    expect(complaints).toEqual([]);
  });

  it("clients find and use everything below it", async () => {
    const { url, ca, authority, port } = await gateway(transport);
    await setUpOwner(authority);
    const wellKnown = "/.well-known/oauth-authorization-server";
    for (const path of [`${wellKnown}/gate`, `/gate${wellKnown}`, "/gate/.well-known/openid-configuration"]) {
      const answer = await fetchOver({ port, tls: { ca } }, path);
      const metadata = (await answer.json()) as Readonly<Record<string, unknown>>;
      expect(metadata.issuer).toBe(url);
      for (const [name, value] of Object.entries(metadata))
        if (/endpoint$|_uri$/.test(name)) expect(value).toMatch(`${url}/`);
    }
    class Socket extends WebSocket {
      constructor(address: string, protocols?: string | string[]) {
        const { pathname } = new URL(address);
        const headers = { Host: new URL(url).host, Origin: new URL(url).origin };
        super(`wss://127.0.0.1:${port}${pathname}`, protocols, { ca, headers });
      }
    }
    const client = new GatewayClient({ url, WebSocket: Socket as unknown as WebSocketConstructor });
    ends.push(() => client.close());
    const login = await client.login({ handler: ["homeassistant", null] });
    await login.submit({ username: "paula", password: ownerPassword });
    expect(await client.call("auth/current_user")).toMatchObject({ name: "Paula" });
  });
});

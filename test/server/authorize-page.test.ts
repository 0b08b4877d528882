import { createHash, randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import type * as HomeAssistant from "home-assistant-js-websocket";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { GatewayParts } from "../../src/server/gateway.ts";
import { builtPages } from "../support/built-pages.ts";
import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { guestProvider } from "../support/guest-provider.ts";
import { accessibilityFaults, complaintsOf, fitsItsWidth, launchChromium } from "../support/login-page.ts";
import { outsideProvider } from "../support/outside-provider.ts";
import { pageWaitMs } from "../support/within.ts";

declare const haws: typeof HomeAssistant;

// Home Assistant's own client in a page of its own origin, unchanged, through the whole redirect.
let browser: Browser;
let app: { readonly server: Server; readonly origin: string };
const ends: (() => Promise<unknown> | unknown)[] = [];

beforeAll(async () => {
  browser = await launchChromium();
  app = await serveApp();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => {
  await browser?.close();
  app?.server.close();
});

/** Empty pages with the client as `haws`. */
async function serveApp(): Promise<typeof app> {
  const bundle = await build({
    stdin: { contents: 'export * from "home-assistant-js-websocket";', resolveDir: import.meta.dirname },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "haws",
    platform: "browser",
  });
  const script = bundle.outputFiles[0]?.text ?? "";
  const server = createServer((request, response) => {
    if (request.url === "/haws.js") response.setHeader("content-type", "text/javascript").end(script);
    else
      response
        .setHeader("content-type", "text/html")
        .end('<!doctype html><link rel="icon" href="data:,"><script src="/haws.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function gateway(transport: "ws" | "uws", parts: GatewayParts = {}) {
  const config = { transport, origins: [app.origin] };
  const node = await startNode(config, { pages: await builtPages(), ...parts });
  ends.push(() => node.stop());
  await setUpOwner(node.authority);
  return node;
}

/** The app has no tokens, so its client sends the browser to the gateway. */
async function sentToLogin(url: string, context: BrowserContextOptions = {}) {
  const page = await browser.newPage(context);
  page.setDefaultTimeout(pageWaitMs);
  const complaints = complaintsOf(page);
  await page.goto(`${app.origin}/dashboard?view=1`);
  const moved = page.waitForURL(`${url}/auth/authorize?**`);
  await page.evaluate((hassUrl) => void haws.getAuth({ hassUrl }), url);
  await moved;
  return { page, complaints };
}

/** The app's page after the redirect: its client takes the code, and opens a socket. */
async function userAtApp(page: Page): Promise<string> {
  await page.waitForURL(`${app.origin}/dashboard?view=1&auth_callback=1&code=*`);
  return await page.evaluate(async () => {
    const connection = await haws.createConnection({ auth: await haws.getAuth({}) });
    const { name } = await haws.getUser(connection);
    connection.close();
    return name;
  });
}

async function logIn(page: Page, password = ownerPassword): Promise<void> {
  await page.getByLabel("User name").fill("paula");
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
}

describe.each(transportNames)("the authorize page on %s", (transport) => {
  it("logs Home Assistant's client in, after a wrong password", async () => {
    const { url } = await gateway(transport);
    const { page, complaints } = await sentToLogin(url);
    expect(await page.locator("main").textContent()).toContain(`${app.origin}/dashboard`);
    await logIn(page, "not the password");
    await page.getByRole("alert").getByText("User name or password is wrong.").waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByLabel("Password").fill(ownerPassword);
    await page.keyboard.press("Enter");
    expect(await userAtApp(page)).toBe("Paula");
    const { searchParams } = new URL(page.url());
    expect(JSON.parse(atob(searchParams.get("state") ?? ""))).toEqual({
      hassUrl: url,
      clientId: `${app.origin}/`,
    });
    expect(searchParams.get("iss")).toBe(url);
    expect(searchParams.has("storeToken")).toBe(false);
    expect(complaints).toEqual([]);
    await page.goBack();
    expect(page.url()).toBe(`${app.origin}/dashboard?view=1`);
  });

  it("lets people choose a provider, and wait for an approval with its code, by keyboard alone", async () => {
    const guests = guestProvider({ activate: false, groups: [] });
    const { url, authority } = await gateway(transport, {
      providers: (configured) => [...configured, guests],
    });
    const { page } = await sentToLogin(url);
    await page.getByRole("button", { name: "Guests" }).waitFor();
    for (const key of ["Tab", "Tab", "Enter"]) await page.keyboard.press(key);
    await page.getByLabel("Name", { exact: true }).waitFor();
    await page.keyboard.type("gus");
    await page.keyboard.press("Enter");
    const code = page.locator("gatehouse-login .code");
    await code.waitFor();
    const [waiting] = await authority.approvals.list();
    expect(await code.textContent()).toBe(waiting?.code);
    expect(await accessibilityFaults(page)).toEqual([]);
    await authority.approvals.approve(waiting?.userId ?? "");
    expect(await userAtApp(page)).toBe("gus");
  });

  it("goes on after an external step", async () => {
    const { url, authority } = await gateway(transport, { providers: () => [outsideProvider("paula")] });
    const { page } = await sentToLogin(url);
    const link = page.getByRole("link", { name: "Open Outside" });
    await link.waitFor();
    await page.context().route("https://elsewhere.test/**", (route) => route.fulfill({ body: "elsewhere" }));
    const [tab] = await Promise.all([page.context().waitForEvent("page"), link.click()]);
    await tab.waitForURL("https://elsewhere.test/**");
    expect(await tab.evaluate(() => [window.opener, document.referrer])).toEqual([null, ""]);
    const flowId = new URL(tab.url()).searchParams.get("state") ?? "";
    const completion = { flowId, stepId: "browser", input: { answer: "yes" } };
    await authority.logins.completeExternalStep(completion, { address: null });
    expect(await userAtApp(page)).toBe("Paula");
  });

  it("is bound to the verifier of PKCE", async () => {
    const { url } = await gateway(transport);
    const verifier = randomBytes(32).toString("base64url");
    const request = {
      response_type: "code",
      client_id: `${app.origin}/`,
      redirect_uri: `${app.origin}/back`,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    };
    const page = await browser.newPage();
    await page.goto(`${url}/auth/authorize?${new URLSearchParams(request)}`);
    await logIn(page);
    await page.waitForURL(`${app.origin}/back?code=*`);
    const code = new URL(page.url()).searchParams.get("code") ?? "";
    const redeem = async (more: Readonly<Record<string, string>>) => {
      const form = { grant_type: "authorization_code", client_id: request.client_id, code, ...more };
      const answer = await fetch(`${url}/auth/token`, { method: "POST", body: new URLSearchParams(form) });
      return answer.status;
    };
    expect(await redeem({ code_verifier: verifier, redirect_uri: request.redirect_uri })).toBe(200);
  });
});

it("keeps the gateway's own client logged in if the person wants it", async () => {
  const { url } = await gateway("ws");
  const page = await browser.newPage();
  const own = { response_type: "code", client_id: `${url}/`, redirect_uri: `${url}/?auth_callback=1` };
  await page.goto(`${url}/auth/authorize?${new URLSearchParams({ ...own, state: "a b" })}`);
  expect(await page.getByLabel("Keep me logged in").isChecked()).toBe(true);
  expect(await accessibilityFaults(page)).toEqual([]);
  await logIn(page);
  await page.waitForURL(`${url}/?auth_callback=1&code=*`);
  const { searchParams } = new URL(page.url());
  expect([searchParams.get("state"), searchParams.get("storeToken")]).toEqual(["a b", "true"]);
});

it("leads back to Home Assistant's app, whose address is no web address", async () => {
  const { url } = await gateway("ws");
  const page = await browser.newPage();
  const request = {
    response_type: "code",
    client_id: "https://home-assistant.io/iOS",
    redirect_uri: "homeassistant://auth-callback",
  };
  await page.goto(`${url}/auth/authorize?${new URLSearchParams(request)}`);
  await logIn(page);
  const link = page.getByRole("link", { name: "Back to the app" });
  await link.waitFor();
  expect(await link.getAttribute("href")).toMatch(/^homeassistant:\/\/auth-callback\?code=[^&]+&iss=/);
  expect(await accessibilityFaults(page)).toEqual([]);
});

it("gives no code of somebody whom a network lets in, until the person clicks", async () => {
  const known = {
    ...guestProvider({ activate: true, groups: [] }),
    begin: async () => ({ kind: "done", subject: "gus", amr: ["user"], evidence: [] }) as const,
  };
  const unlisted = { ...guestProvider(), type: "homeassistant", admits: () => false };
  const { url } = await gateway("ws", { providers: () => [known, unlisted] });
  const { page } = await sentToLogin(url);
  const host = new URL(app.origin).host;
  const button = page.getByRole("button", { name: `Go on to ${host}` });
  await button.waitFor();
  expect(page.url()).toContain("/auth/authorize");
  await button.click();
  expect(await userAtApp(page)).toBe("gus");
});

it("cannot be framed, and lets no script make HTML", async () => {
  const { url } = await gateway("ws");
  const { page } = await sentToLogin(url);
  await page.getByLabel("User name").waitFor();
  const attempts = await page.evaluate(() => {
    const threw = (work: () => unknown) => {
      try {
        work();
        return false;
      } catch {
        return true;
      }
    };
    const policies = (
      window as unknown as { trustedTypes: { createPolicy(name: string, rules: object): void } }
    ).trustedTypes;
    return {
      html: threw(() => {
        document.body.innerHTML = "<b>x</b>";
      }),
      anotherPolicy: threw(() => policies.createPolicy("mine", {})),
      theElementsPolicyAgain: threw(() => policies.createPolicy("lit-html", {})),
    };
  });
  expect(attempts).toEqual({ html: true, anotherPolicy: true, theElementsPolicyAgain: true });
  const framed = await browser.newPage();
  await framed.setContent(`<iframe src="${page.url().replaceAll("&", "&amp;")}"></iframe>`);
  await framed.waitForLoadState("networkidle");
  const inner = framed.frames().find((frame) => frame !== framed.mainFrame());
  expect(await inner?.locator("gatehouse-login").count()).toBe(0);
});

describe("its looks", () => {
  const phone = { width: 360, height: 740 };
  const desktop = { width: 1000, height: 800 };
  it.each([
    ["light", { colorScheme: "light", viewport: desktop }],
    ["dark", { colorScheme: "dark", viewport: desktop }],
    ["phone", { colorScheme: "light", viewport: phone, deviceScaleFactor: 2 }],
    ["german", { colorScheme: "dark", viewport: phone, locale: "de-DE" }],
  ] as const)(
    "%s: axe-core finds nothing, and nothing has to be scrolled sideways",
    async (name, context) => {
      const { url } = await gateway("ws");
      const { page } = await sentToLogin(url, context);
      await page.getByRole("textbox").first().waitFor();
      expect(await accessibilityFaults(page)).toEqual([]);
      expect(await fitsItsWidth(page)).toBe(true);
      expect(
        await page.getByRole("button", { name: name === "german" ? "Anmelden" : "Log in" }).count(),
      ).toBe(1);
      const folder = process.env.GATEHOUSE_SCREENSHOTS;
      if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png` });
    },
  );
});

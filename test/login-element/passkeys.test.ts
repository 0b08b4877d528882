import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import { builtPages } from "../support/built-pages.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import {
  accessibilityFaults,
  type LoginPages,
  launchChromium,
  startLoginPages,
} from "../support/login-page.ts";

// In Chromium, with the authenticator that its developer tools have.
let browser: Browser;
let pages: LoginPages;
let node: Awaited<ReturnType<typeof startNode>>;
beforeAll(async () => {
  browser = await launchChromium();
  // Browsers give no keys to pages at an address.
  pages = await startLoginPages(browser, "localhost");
  const { origin } = pages;
  const webauthn = { type: "webauthn", rp_id: "localhost", origins: [origin] } as const;
  const config = {
    origins: [origin],
    auth_mfa_modules: [webauthn],
    auth_providers: [{ type: "homeassistant" }, { type: "passkey" }] as const,
  };
  node = await startNode(config, { pages: await builtPages() });
  await setUpOwner(node.authority);
  await node.authority.secondFactors.demand("system-admin", true);
});
afterAll(async () => {
  await node?.stop();
  await pages?.stop();
  await browser?.close();
});

async function withPassword(page: Page) {
  await page.getByRole("button", { name: "Home Assistant Local" }).click();
  await page.getByLabel("User name").fill("paula");
  await page.getByLabel("Password").fill(ownerPassword);
  await page.keyboard.press("Enter");
}

it("says that a page at an address gets no key", async () => {
  const elsewhere = await startLoginPages(browser);
  const gateway = await startNode(
    { origins: [elsewhere.origin], auth_mfa_modules: [{ type: "webauthn", origins: [elsewhere.origin] }] },
    { pages: await builtPages() },
  );
  await setUpOwner(gateway.authority);
  await gateway.authority.secondFactors.demand("system-admin", true);
  const { page } = await elsewhere.open(gateway.url);
  await page.getByLabel("User name").fill("paula");
  await page.getByLabel("Password").fill(ownerPassword);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Ask the browser for it" }).click();
  await page.getByRole("alert").getByText("because of its address").waitFor();
  await page.close();
  await gateway.stop();
  await elsewhere.stop();
});

it("sets a passkey up within the login, asks for it the next time, and takes it alone", async () => {
  const { page } = await pages.open(node.url);
  const tools = await page.context().newCDPSession(page);
  await tools.send("WebAuthn.enable");
  const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true } as const;
  const verifying = { hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
  const { authenticatorId } = await tools.send("WebAuthn.addVirtualAuthenticator", {
    options: { ...options, ...verifying },
  });
  await withPassword(page);
  await page.getByText("Set up a passkey or security key").waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Ask the browser for it" }).click();
  await page.getByText("You are logged in.").first().waitFor();
  const { credentials } = await tools.send("WebAuthn.getCredentials", { authenticatorId });
  expect(credentials).toMatchObject([{ rpId: "localhost", isResidentCredential: true }]);

  await page.reload();
  await withPassword(page);
  await page.getByText("Confirm with your passkey or security key.").waitFor();
  await tools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await tools.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled: true });
  const ask = page.getByRole("button", { name: "Ask the browser for it" });
  await page.evaluate(() => {
    const { credentials } = navigator;
    const real = credentials.get;
    credentials.get = async () => {
      credentials.get = real;
      throw new DOMException("cancelled", "NotAllowedError");
    };
  });
  await ask.click();
  await page.getByRole("alert").getByText("The browser gave no key. Try again.").waitFor();
  await tools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  await ask.click();
  await page.getByText("You are logged in.").first().waitFor();

  await page.reload();
  await page.getByRole("button", { name: "Passkey" }).click();
  await ask.waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await ask.click();
  await page.getByText("You are logged in.").first().waitFor();
  const id = (await node.authority.users.list())[0]?.id ?? "";
  expect(
    (await node.authority.sessions.list(id)).map(({ amr, providerType }) => [providerType, ...amr]),
  ).toEqual([
    ["homeassistant", "pwd", "hwk", "user", "mfa"],
    ["homeassistant", "pwd", "hwk", "user", "mfa"],
    ["passkey", "hwk", "user", "mfa"],
  ]);
});

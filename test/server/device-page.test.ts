import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { builtPages } from "../support/built-pages.ts";
import {
  ownerPassword,
  type RunningGateway,
  setUpOwner,
  startNode,
  transportNames,
} from "../support/gateway.ts";
import { accessibilityFaults, complaintsOf, fitsItsWidth, launchChromium } from "../support/login-page.ts";
import { registerApp } from "../support/registered-app.ts";
import { type Message, openSocket } from "../support/socket-client.ts";
import { pageWaitMs } from "../support/within.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser?.close());

describe.each(transportNames)("the page for a device's code on %s", (transport) => {
  let gateway: Omit<RunningGateway, "owner" | "ownerPassword">;
  beforeEach(async () => {
    gateway = await startNode({ transport }, { pages: await builtPages() });
    await setUpOwner(gateway.authority);
    await registerApp(gateway.authority, {
      id: "tv",
      name: "Television <b>",
      authMethod: "none",
      redirectUris: [],
      grantTypes: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
      scopes: ["profile", "orders:read"],
    });
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await gateway.stop();
  });

  async function device() {
    const socket = await openSocket(gateway.port);
    const { result } = await socket.call("auth/device/start", { client_id: "tv" });
    const started = result as {
      user_code: string;
      verification_uri: string;
      verification_uri_complete: string;
    };
    const outcome = async () =>
      ((await socket.find(({ type }) => type === "event", "an outcome")).event as Message).outcome;
    return { socket, ...started, outcome };
  }
  async function open(address: string, context: BrowserContextOptions = {}) {
    const page = await browser.newPage(context);
    page.setDefaultTimeout(pageWaitMs);
    const complaints = complaintsOf(page);
    await page.goto(address);
    return { page, complaints };
  }
  async function logIn(
    page: Page,
    labels: readonly [string, string] = ["User name", "Password"],
  ): Promise<void> {
    await page.getByLabel(labels[0]).fill("paula");
    await page.getByLabel(labels[1], { exact: true }).fill(ownerPassword);
    await page.keyboard.press("Enter");
  }

  it("takes a typed code, corrects a wrong one, and connects the device of whoever logs in", async () => {
    const { verification_uri, user_code, outcome, socket } = await device();
    const { page, complaints } = await open(verification_uri);
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByLabel("Code on the device").fill("BCDF-GHJK");
    await page.keyboard.press("Enter");
    await logIn(page);
    await page.getByRole("alert").getByText("No device waits with this code").waitFor();
    await page.getByLabel("Code on the device").fill(user_code.toLowerCase().replace("-", ""));
    await page.keyboard.press("Enter");
    await page.getByText("Television <b>").waitFor();
    const shown = await page.locator("dl").textContent();
    for (const text of ["127.0.0.1", "Your name\norders:read"]) expect(shown).toContain(text);
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByRole("button", { name: "Yes, connect it" }).click();
    await page.getByText("The device is connected. You can close this page.").waitFor();
    expect(await outcome()).toBe("approved");
    await socket.find(({ type }) => type === "auth_ok", "auth_ok");
    expect(complaints).toEqual([]);
    socket.close();
  });

  it("refuses, in German, on a phone, in the dark, from a code in the address, and leaves no session of its own", async () => {
    const { verification_uri_complete, outcome, socket } = await device();
    const phone = { locale: "de-DE", colorScheme: "dark", viewport: { width: 360, height: 740 } } as const;
    const { page, complaints } = await open(verification_uri_complete, phone);
    await page.getByRole("button", { name: "Weiter" }).click();
    await logIn(page, ["Benutzername", "Passwort"]);
    await page.getByText("Ist das Ihr Gerät?").waitFor();
    expect(await fitsItsWidth(page)).toBe(true);
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByRole("button", { name: "Nein" }).click();
    await page.getByText("Das Gerät wurde abgelehnt.").waitFor();
    expect(await outcome()).toBe("refused");
    const [owner] = (await gateway.authority.users.list()).filter(({ isOwner }) => isOwner);
    await expect
      .poll(() => gateway.authority.sessions.list(owner?.id ?? ""), { timeout: 60_000 })
      .toEqual([]);
    expect(complaints).toEqual([]);
    socket.close();
  });

  it("is no page for scripts of others", async () => {
    const answer = await fetch(`${gateway.url}/device?user_code=${encodeURIComponent('"><script>alert(1)')}`);
    const text = await answer.text();
    expect(text).not.toContain("<script>alert");
    expect(answer.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });
});

import { readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { GatewayClient } from "../../src/client/index.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import type { GatewayParts } from "../../src/server/gateway.ts";
import { builtPages } from "../support/built-pages.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { ownerPassword, setUpOwner, startNode, transportNames } from "../support/gateway.ts";
import { guestProvider } from "../support/guest-provider.ts";
import {
  accessibilityFaults,
  fitsItsWidth,
  type LoginPages,
  launchChromium,
  startLoginPages,
} from "../support/login-page.ts";
import { freePort } from "../support/openid-provider.ts";
import { outsideProvider } from "../support/outside-provider.ts";
import { openSocket } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { pageWaitMs } from "../support/within.ts";

// In a real browser, on a page of another origin, under the policy of the gateway's own pages.
let browser: Browser;
let pages: LoginPages;
const ends: (() => Promise<unknown> | unknown)[] = [];

beforeAll(async () => {
  browser = await launchChromium();
  pages = await startLoginPages(browser);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => {
  await browser?.close();
  await pages?.stop();
});

async function gateway(config: ConfigInput = {}, parts: GatewayParts = {}) {
  const node = await startNode(
    { origins: [pages.origin], ...config },
    { pages: await builtPages(), ...parts },
  );
  ends.push(() => node.stop());
  await setUpOwner(node.authority);
  return node;
}

/** Set-up needs one of this type. It is not listed, so that the other one is the only one. */
const unlisted = { ...guestProvider(), type: "homeassistant", admits: () => false };

const codeRequest = (host = "https://app.example") => ({
  for: "code",
  "client-id": `${host}/`,
  "redirect-uri": `${host}/callback`,
  state: "a state",
});

/** True if the whole of it is visible without scrolling. */
async function isInView(page: Page, selector: string): Promise<boolean> {
  const box = await page.locator(selector).boundingBox();
  const height = page.viewportSize()?.height ?? 0;
  return box !== null && box.y >= 0 && box.y + box.height <= height;
}

it("is smaller than 30 KiB gzipped, with the SDK and Lit", () => {
  const file = path.resolve(import.meta.dirname, "../../dist/src/pages/login-element.js");
  expect(gzipSync(readFileSync(file)).length).toBeLessThan(30 * 1024);
});

describe.each(transportNames)("<gatehouse-login> on %s", (transport) => {
  it("gives its page an authenticated client, after a wrong password", async () => {
    const { url } = await gateway({ transport });
    const { page, complaints } = await pages.open(url);
    const name = page.getByLabel("User name");
    const password = page.getByLabel("Password");
    await name.fill("paula");
    await password.fill("not the password");
    expect(await name.getAttribute("autocomplete")).toBe("username");
    expect(await password.getAttribute("autocomplete")).toBe("current-password");
    expect(await password.getAttribute("type")).toBe("password");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText("User name or password is wrong.").waitFor();
    expect([await name.inputValue(), await password.inputValue()]).toEqual(["paula", ""]);
    expect(await password.evaluate((input) => input.matches(":focus"))).toBe(true);
    expect(await accessibilityFaults(page)).toEqual([]);

    await password.fill(ownerPassword);
    await page.keyboard.press("Enter");
    await page.getByText("You are logged in.").first().waitFor();
    const user = await page.evaluate(async () => {
      const [event] = window.seen;
      const client = event?.detail.client as GatewayClient;
      const { name } = await client.call("auth/current_user");
      client.close();
      return { event: event?.name, name, same: document.querySelector("gatehouse-login")?.client === client };
    });
    expect(user).toEqual({ event: "gatehouse-authenticated", name: "Paula", same: true });
    // The next login on this device has tries of its own.
    expect(await page.evaluate((key) => localStorage.getItem(key), `gatehouse-device ${url}/`)).toBeTruthy();
    expect(complaints).toEqual([]);
  });

  it("shows the providers, and logs in without a mouse", async () => {
    const guests = guestProvider({ activate: true, groups: [] });
    const { url } = await gateway({ transport }, { providers: (configured) => [...configured, guests] });
    const { page } = await pages.open(url, { autofocus: "" });
    await page.getByRole("button", { name: "Guests" }).waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    for (const key of ["Tab", "Tab", "Enter"]) await page.keyboard.press(key);
    await page.getByRole("heading", { name: "Log in with Guests" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByText("Fill this in.").waitFor();
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("That was not accepted.").waitFor();
    for (const key of ["Tab", "Tab", "Enter"]) await page.keyboard.press(key);
    await page.getByText("How do you want to log in?").waitFor();
    for (const key of ["Tab", "Tab", "Enter"]) await page.keyboard.press(key);
    await page.getByLabel("Name").waitFor();
    await page.keyboard.type("gus");
    await page.keyboard.press("Enter");
    await page.getByText("You are logged in.").first().waitFor();
  });

  it("gives a code, with its state", async () => {
    const { url, authority } = await gateway({ transport });
    const { page } = await pages.open(url, codeRequest());
    await page.getByLabel("User name").fill("paula");
    await page.getByLabel("Password").fill(ownerPassword);
    await page.keyboard.press("Enter");
    await page.getByText("You are logged in.").first().waitFor();
    const [event] = await page.evaluate(() => window.seen);
    expect(event).toMatchObject({
      name: "gatehouse-code",
      detail: { redirectUri: "https://app.example/callback", state: "a state" },
    });
    const form = {
      grant_type: "authorization_code",
      code: String(event?.detail.code),
      client_id: "https://app.example/",
    };
    const answer = await fetch(`${url}/auth/token`, { method: "POST", body: new URLSearchParams(form) });
    expect(answer.status).toBe(200);
    expect(await authority.sessions.list((await authority.users.list())[0]?.id ?? "")).toHaveLength(1);
  });

  it("waits for an approval with its code, says when it was refused, and starts again", async () => {
    const guests = guestProvider({ activate: false, groups: [] });
    const { url, authority } = await gateway({ transport }, { providers: () => [guests, unlisted] });
    const { page } = await pages.open(url, {}, { viewport: { width: 360, height: 330 } });
    const login = async () => {
      await page.getByLabel("Name").fill("gus");
      await page.getByRole("button", { name: "Continue" }).click();
      await page.locator("gatehouse-login .code").waitFor();
      expect(await isInView(page, "gatehouse-login .code")).toBe(true);
      const [waiting] = await authority.approvals.list();
      expect(await page.locator("gatehouse-login .code").textContent()).toBe(waiting?.code);
      return waiting?.userId ?? "";
    };
    const refused = await login();
    expect(await page.getByRole("status").textContent()).toContain("Somebody has to let you in first.");
    expect(await accessibilityFaults(page)).toEqual([]);
    await authority.approvals.refuse(refused);
    await page.getByText("You were not let in.").first().waitFor();
    expect(await page.evaluate(() => window.seen)).toEqual([
      { name: "gatehouse-ended", detail: { reason: "not_approved" } },
    ]);
    await page.getByRole("button", { name: "Start again" }).click();
    const userId = await login();
    await authority.approvals.approve(userId);
    await page.getByText("You are logged in.").first().waitFor();
  });

  it("opens an external step in a new tab by a click, and goes on by itself", async () => {
    const { url, authority } = await gateway({ transport }, { providers: () => [outsideProvider("paula")] });
    const { page } = await pages.open(url);
    const link = page.getByRole("link", { name: "Open Outside" });
    await link.waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    const address = new URL((await link.getAttribute("href")) ?? "");
    expect(address.origin).toBe("https://elsewhere.test");
    expect([await link.getAttribute("target"), await link.getAttribute("rel")]).toEqual([
      "_blank",
      "noopener noreferrer",
    ]);
    const complete = (stepId: string, answer: string) => {
      const flowId = address.searchParams.get("state") ?? "";
      return authority.logins.completeExternalStep({ flowId, stepId, input: { answer } }, { address: null });
    };
    await complete("browser", "progress");
    await page.getByText("4711", { exact: true }).waitFor();
    await complete("approval", "form");
    await page.getByLabel("Name").fill("yes");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("You are logged in.").first().waitFor();
  });
});

it("gives no code to whoever only made the page open", async () => {
  const guests = guestProvider({ activate: true, groups: [] });
  const known = { ...guests, begin: guests.advance.bind(guests, "init", { name: "gus" }, {}) };
  const { url } = await gateway({}, { providers: () => [known, unlisted] });
  const { page } = await pages.open(url, codeRequest());
  await page.getByText("You are known here already. Go on to app.example?").waitFor();
  expect(await page.evaluate(() => window.seen)).toEqual([]);
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Go on to app.example" }).click();
  await page.getByText("You are logged in.").first().waitFor();
  expect(await page.evaluate(() => window.seen.map(({ name }) => name))).toEqual(["gatehouse-code"]);
});

it("shows what providers say as text, and opens web addresses only", async () => {
  const name = "<img src=x onerror=alert(1)>";
  const hostile = {
    ...guestProvider({ activate: true, groups: [] }),
    name,
    begin: async () =>
      ({ kind: "external", stepId: "x", url: "javascript:alert(1)", placeholders: {} }) as const,
  };
  const { url } = await gateway({}, { providers: () => [hostile, unlisted] });
  const { page, complaints } = await pages.open(url);
  const link = page.locator("gatehouse-login a");
  await link.waitFor();
  expect(await link.textContent()).toContain(`Open ${name}`);
  expect(await link.getAttribute("href")).toBeNull();
  expect(complaints).toEqual([]);
});

it("learns of an approval that came while its connection was down", async () => {
  const guests = guestProvider({ activate: false, groups: [] });
  const { url, port, authority } = await gateway({}, { providers: () => [guests, unlisted] });
  const proxy = await startFaultProxy({ host: "127.0.0.1", port });
  ends.push(() => proxy.stop());
  const { page } = await pages.open(url);
  const moveTo = (other: string) => document.querySelector("gatehouse-login")?.setAttribute("url", other);
  await page.getByLabel("Name").waitFor();
  await page.evaluate(moveTo, `http://127.0.0.1:${proxy.port}`);
  await expect.poll(() => proxy.connections, { timeout: pageWaitMs }).toBe(1);
  await page.getByLabel("Name").fill("gus");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator("gatehouse-login .code").waitFor();
  proxy.refuse();
  const [waiting] = await authority.approvals.list();
  await authority.approvals.approve(waiting?.userId ?? "");
  proxy.pass();
  await page.getByText("You are logged in.").first().waitFor();
});

it("counts down while tries are refused", async () => {
  const { url } = await gateway({ password: { scrypt_n: 1024, tries_per_account_and_address: 1 } });
  const { page } = await pages.open(url);
  const submit = async () => {
    await page.getByLabel("User name").fill("paula");
    await page.getByLabel("Password").fill("not the password");
    await page.keyboard.press("Enter");
  };
  await submit();
  await page.getByRole("alert").getByText("wrong").waitFor();
  await submit();
  const waiting = page.getByRole("button", { name: /^Wait \d+ s$/ });
  await waiting.waitFor();
  expect(await page.getByRole("alert").textContent()).toContain("Too many tries.");
  expect(await waiting.getAttribute("aria-disabled")).toBe("true");
  const seconds = async () => Number.parseInt((await waiting.textContent())?.match(/\d+/)?.[0] ?? "", 10);
  const first = await seconds();
  await expect.poll(seconds, { timeout: pageWaitMs }).toBeLessThan(first);
});

it("waits for a gateway that is away, and connects by itself", async () => {
  const port = await freePort();
  const { url } = await gateway();
  const { page } = await pages.open(url);
  await page.getByLabel("User name").waitFor();
  const moveTo = (away: string) => document.querySelector("gatehouse-login")?.setAttribute("url", away);
  await page.evaluate(moveTo, `http://127.0.0.1:${port}`);
  await page.getByRole("alert").getByText("The gateway cannot be reached.").waitFor();
  await page.getByText(/Trying again in \d+ s/).waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  // It has its owner before it can be reached: without one, the element would say so and wait for nothing.
  const folder = temporaryFolder();
  ends.push(() => folder.remove());
  const ownersOnly = await startNode({ data: folder.path });
  await setUpOwner(ownersOnly.authority);
  await ownersOnly.stop();
  const again = await startNode({ data: folder.path, port, origins: [pages.origin] });
  ends.push(() => again.stop());
  await page.getByLabel("User name").fill("paula");
  expect(await page.getByRole("alert").textContent()).toBe("");
});

it("asks for a form again whose flow is over, and answers it", async () => {
  const { url, port } = await gateway();
  const { page } = await pages.open(url);
  const frames: string[] = [];
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => frames.push(String(payload))));
  await page.reload();
  await page.getByLabel("User name").fill("paula");
  await page.getByLabel("Password").fill(ownerPassword);
  const form = frames.find((frame) => frame.includes("flow_secret")) ?? "";
  const { flow_id, flow_secret } = JSON.parse(form).result as Record<string, string>;
  const other = await openSocket(port);
  await other.call("auth/login/resume", { flow_id, flow_secret });
  expect(await other.call("auth/login/cancel", { flow_id })).toMatchObject({ success: true });
  other.close();
  await page.keyboard.press("Enter");
  await page.getByText("You are logged in.").first().waitFor();
});

describe("its looks", () => {
  it.each([
    ["Deutsch by its own attribute", { lang: "de" }, {}, "Anmelden"],
    ["the page's language", { "page-lang": "de-AT" }, { locale: "en-US" }, "Anmelden"],
    ["English for a language without texts", { lang: "fr" }, {}, "Log in"],
    ["the browser's language", { "page-lang": "none" }, { locale: "de-DE" }, "Anmelden"],
  ])("speaks %s", async (_, attributes, context, title) => {
    const { url } = await gateway();
    const { page } = await pages.open(url, attributes, context);
    await page.getByRole("heading", { name: title, exact: true }).waitFor();
    await page.getByRole("textbox").first().waitFor();
  });

  it.each(["light", "dark"] as const)(
    "is readable in %s, on a narrow phone, from right to left",
    async (colorScheme) => {
      const { url } = await gateway();
      const context = { colorScheme, viewport: { width: 360, height: 640 } };
      const { page } = await pages.open(url, { dir: "rtl" }, context);
      const input = page.getByLabel("User name");
      await input.waitFor();
      expect(await accessibilityFaults(page)).toEqual([]);
      expect(await fitsItsWidth(page)).toBe(true);
      const colour = await page
        .locator("gatehouse-login .card")
        .evaluate((card) => getComputedStyle(card).backgroundColor);
      expect(colour).toBe(colorScheme === "light" ? "rgb(255, 255, 255)" : "rgb(31, 32, 35)");
    },
  );
});

import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";

import { defineConfig } from "../../src/server/config/load.ts";
import { createGateway, type Gateway, type Started } from "../../src/server/gateway.ts";
import { cheapScrypt, ownerLogin } from "../support/authority.ts";
import { builtPages } from "../support/built-pages.ts";
import { accessibilityFaults, fitsItsWidth } from "../support/login-page.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { pageWaitMs } from "../support/within.ts";

// Tests the page as a user sees it, in a real browser under its own policy.
let browser: Browser;
let folder: TemporaryFolder;
let gateway: Gateway;
let started: Started;
let page: Page;
const complaints: string[] = [];
const requested: string[] = [];

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
});
beforeEach(async () => {
  folder = temporaryFolder();
  const password = { scrypt_n: cheapScrypt.N, workers: 1 };
  gateway = await createGateway(
    defineConfig({ port: 0, data: folder.path, password, log: { level: "silent" } }),
    { pages: await builtPages() },
  );
  started = await gateway.start();
  complaints.length = 0;
  requested.length = 0;
  page = await browser.newPage();
  page.setDefaultTimeout(pageWaitMs);
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("websocket", (socket) => requested.push(socket.url()));
  page.on("request", (request) => requested.push(`${request.url()} ${JSON.stringify(request.headers())}`));
});
afterEach(async () => {
  await page.close();
  await gateway.stop(0);
  folder.remove();
});
afterAll(() => browser?.close());

async function fill(owner: { name: string; username: string; password: string }, repeat = owner.password) {
  await page.getByLabel("Name", { exact: true }).fill(owner.name);
  await page.getByLabel("User name").fill(owner.username);
  await page.getByLabel("New password", { exact: true }).fill(owner.password);
  await page.getByLabel("New password, again").fill(repeat);
  await page.getByRole("button", { name: "Create the owner" }).click();
}

it("creates the owner and says what to do next", async () => {
  await page.goto(started.setupLink ?? "");
  await fill({ ...ownerLogin, username: " Olivia Strauß " });
  await page.getByRole("heading", { name: "Done" }).waitFor();
  const text = await page.getByRole("region", { name: "Done" }).textContent();
  expect(text).toContain("Olivia owns this gateway now, and is logged in on this page.");
  expect(text).toContain(`gatehouse login ${started.url} --username 'olivia strauss'`);
  expect(text).toContain(`${started.url.replace("http", "ws")}/api/websocket`);
  expect(await gateway.authority.onboarding.required()).toBe(false);
  expect((await gateway.authority.users.list()).map(({ name }) => name)).toEqual(["Olivia"]);
  expect(complaints).toEqual([]);
  await page.goto(`${started.url}/setup`);
  await page.getByText("This gateway has an owner already.").last().waitFor();
});

it("keeps the code out of the address bar and out of every URL and referrer", async () => {
  const code = new URL(started.setupLink ?? "").hash.slice("#code=".length);
  await page.goto(started.setupLink ?? "");
  await page.getByLabel("User name").waitFor();
  expect(page.url()).toBe(`${started.url}/setup`);
  await fill(ownerLogin);
  await page.getByRole("heading", { name: "Done" }).waitFor();
  expect(requested.length).toBeGreaterThan(4);
  expect(requested.join("\n")).toContain("/api/websocket");
  expect(requested.join("\n")).not.toContain(code);
});

it("shows each error at its field", async () => {
  await page.goto(started.setupLink ?? "");
  await fill({ ...ownerLogin, name: "" });
  await page.getByText("Fill this in.").waitFor();
  await fill(ownerLogin, "something else");
  await page.getByText("The two passwords differ.").waitFor();
  expect(await page.getByLabel("New password, again").getAttribute("aria-invalid")).toBe("true");
  await fill({ ...ownerLogin, password: "short" });
  await page.getByText("Use at least 15 characters.").waitFor();
  expect(await gateway.authority.onboarding.required()).toBe(true);
  await fill(ownerLogin);
  await page.getByRole("heading", { name: "Done" }).waitFor();
});

it.each(["light", "dark"] as const)("is readable in %s, and on a narrow phone", async (colorScheme) => {
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width: 360, height: 640 });
  await page.goto(`${started.url}/setup`);
  await page.getByLabel("Set-up code").waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(await fitsItsWidth(page)).toBe(true);
});

it("asks for the code if the link had none or a wrong one", async () => {
  const code = new URL(started.setupLink ?? "").hash.slice("#code=".length);
  await page.goto(`${started.url}/setup#code=wrong`);
  await page.getByLabel("User name").waitFor();
  expect(await page.getByLabel("Set-up code").isVisible()).toBe(false);
  await fill(ownerLogin);
  await page.getByText("That is not the set-up code.").waitFor();
  await page.getByLabel("Set-up code").fill(decodeURIComponent(code));
  await page.getByRole("button").click();
  await page.getByRole("heading", { name: "Done" }).waitFor();
});

it("shows user input as text only", async () => {
  const name = "<img src=x onerror=alert(1)><script>alert(2)</script>";
  await page.goto(started.setupLink ?? "");
  await fill({ ...ownerLogin, name });
  await page.getByRole("heading", { name: "Done" }).waitFor();
  expect(await page.locator("#done-name").textContent()).toBe(name);
  expect(await page.locator("main img, main script").count()).toBe(0);
  expect(complaints).toEqual([]);
});

it("cannot be framed by another page, and runs no script of its text", async () => {
  const framed = await browser.newPage();
  await framed.setContent(`<iframe src="${started.url}/setup"></iframe>`);
  await framed.waitForLoadState("networkidle");
  const inner = framed.frames().find((frame) => frame !== framed.mainFrame());
  expect(await inner?.locator("form").count()).toBe(0);
  await framed.close();
  await page.goto(`${started.url}/setup`);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    try {
      script.textContent = "window.broken = true";
      document.body.append(script);
    } catch {
      // Trusted Types refuse the text already.
    }
    return "broken" in window;
  });
  expect(ran).toBe(false);
});

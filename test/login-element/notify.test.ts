import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { builtPages } from "../support/built-pages.ts";
import { type CodeWebhook, startCodeWebhook, wrongCode } from "../support/code-webhook.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import {
  accessibilityFaults,
  fitsItsWidth,
  type LoginPages,
  launchChromium,
  startLoginPages,
} from "../support/login-page.ts";

// In a real browser, on a page of another origin, under the policy of the gateway's own pages.
let browser: Browser;
let pages: LoginPages;
let hook: CodeWebhook;
let node: Awaited<ReturnType<typeof startNode>>;
beforeAll(async () => {
  browser = await launchChromium();
  pages = await startLoginPages(browser);
  hook = await startCodeWebhook();
  node = await startNode(
    { origins: [pages.origin], auth_mfa_modules: [{ type: "totp" }, { type: "notify", webhook: hook.url }] },
    { pages: await builtPages() },
  );
  await setUpOwner(node.authority);
  await node.authority.secondFactors.demand("system-admin", true);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
afterAll(async () => {
  await node?.stop();
  await hook?.stop();
  await pages?.stop();
  await browser?.close();
});

const labels = {
  en: { name: "User name", password: "Password" },
  de: { name: "Benutzername", password: "Passwort" },
} as const;

async function withPassword(page: Page, lang: "en" | "de") {
  await page.getByLabel(labels[lang].name).fill("paula");
  await page.getByLabel(labels[lang].password).fill(ownerPassword);
  await page.keyboard.press("Enter");
}

it("sets codes by message up within the login, where it asks for one the next time", async () => {
  const { page, complaints } = await pages.open(node.url);
  await withPassword(page, "en");
  await page.getByText("You need a second factor. Which one do you want to set up?").waitFor();
  await page.getByLabel("Second factor").selectOption("notify");
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("You need a second factor. Where do you want to get codes?").waitFor();
  const target = page.getByLabel("Where to");
  // It is no code, so nothing that fills codes in is offered for it.
  expect(await target.getAttribute("autocomplete")).toBe("off");
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(await fitsItsWidth(page)).toBe(true);
  await target.fill("+".repeat(257));
  await page.keyboard.press("Enter");
  await page.getByText("No code can be sent there.").waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(hook.received).toEqual([]);
  await target.fill("+1 555");
  await page.keyboard.press("Enter");
  await page.getByText("Enter a code: Code by message.").waitFor();
  const field = page.getByLabel("Code", { exact: true });
  expect(await field.getAttribute("autocomplete")).toBe("one-time-code");
  expect(await field.evaluate((input) => input.matches(":focus"))).toBe(true);
  expect(hook.received.map(({ body }) => body)).toEqual([
    expect.objectContaining({ target: "+1 555", user_name: "Paula" }),
  ]);
  await field.fill(wrongCode(hook.latest("Paula")));
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("The code is wrong.").waitFor();
  await field.fill(hook.latest("Paula"));
  await page.keyboard.press("Enter");
  await page.getByText("You are logged in.").first().waitFor();
  expect(complaints).toEqual([]);

  const { page: german, complaints: more } = await pages.open(node.url, { lang: "de" });
  await withPassword(german, "de");
  await german.getByText("Geben Sie einen Code ein: Code by message.").waitFor();
  expect(hook.received).toHaveLength(2);
  expect(await accessibilityFaults(german)).toEqual([]);
  await german.getByLabel("Code", { exact: true }).fill(hook.latest("Paula"));
  await german.keyboard.press("Enter");
  await german.getByText("Sie sind angemeldet.").first().waitFor();
  expect(more).toEqual([]);
});

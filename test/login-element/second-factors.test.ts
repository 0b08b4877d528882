import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import { codeAt } from "../auth/factors/factor-people.ts";
import { builtPages } from "../support/built-pages.ts";
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
let node: Awaited<ReturnType<typeof startNode>>;
beforeAll(async () => {
  browser = await launchChromium();
  pages = await startLoginPages(browser);
  node = await startNode({ origins: [pages.origin] }, { pages: await builtPages() });
  await setUpOwner(node.authority);
  await node.authority.secondFactors.demand("system-admin", true);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
afterAll(async () => {
  await node?.stop();
  await pages?.stop();
  await browser?.close();
});

async function withPassword(page: Page, lang: "en" | "de") {
  const labels = { en: ["User name", "Password"], de: ["Benutzername", "Passwort"] } as const;
  await page.getByLabel(labels[lang][0]).fill("paula");
  await page.getByLabel(labels[lang][1]).fill(ownerPassword);
  await page.keyboard.press("Enter");
}

it("sets a demanded factor up within the login, shows its recovery codes once, and asks for it the next time", async () => {
  const { page, complaints } = await pages.open(node.url);
  await withPassword(page, "en");
  await page.getByRole("img", { name: "QR code for the authenticator app" }).waitFor();
  const secret = (await page.locator("gatehouse-login code.secret").textContent()) ?? "";
  expect(secret).toMatch(/^[A-Z2-7]{32}$/);
  const link = page.getByRole("link", { name: "Open the authenticator app on this device" });
  expect(await link.getAttribute("href")).toContain(
    `otpauth://totp/Gatehouse:Paula?issuer=Gatehouse&secret=${secret}`,
  );
  const field = page.getByLabel("Code", { exact: true });
  expect(await field.getAttribute("autocomplete")).toBe("one-time-code");
  expect(await field.evaluate((input) => input.matches(":focus"))).toBe(true);
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(await fitsItsWidth(page)).toBe(true);
  await field.fill("000000");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("The code is wrong.").waitFor();
  await field.fill(codeAt(secret, Date.now()));
  await page.keyboard.press("Enter");
  const kept = page.getByRole("button", { name: "I have kept them" });
  await kept.waitFor();
  const codes = ((await page.locator("gatehouse-login pre").textContent()) ?? "").split("\n");
  expect(codes).toHaveLength(10);
  expect(await accessibilityFaults(page)).toEqual([]);
  await kept.click();
  await page.getByText("You are logged in.").first().waitFor();
  expect(complaints).toEqual([]);

  const { page: german } = await pages.open(node.url, { lang: "de" });
  await withPassword(german, "de");
  await german.getByText("Welchen zweiten Faktor möchten Sie verwenden?").waitFor();
  await german.getByLabel("Zweiter Faktor").selectOption("recovery");
  expect(await accessibilityFaults(german)).toEqual([]);
  await german.getByRole("button", { name: "Weiter" }).click();
  await german.getByText("Geben Sie einen Code ein: Recovery codes.").waitFor();
  await german.getByLabel("Code").fill(codes[0] ?? "");
  await german.keyboard.press("Enter");
  await german.getByText("Sie sind angemeldet.").first().waitFor();
});

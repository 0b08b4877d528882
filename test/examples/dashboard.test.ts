import path from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { type Dashboard, startDashboard } from "../../src/examples/dashboard/dashboard.ts";
import { cheapScrypt } from "../support/authority.ts";
import { builtPages } from "../support/built-pages.ts";
import { transportNames } from "../support/gateway.ts";
import { accessibilityFaults, complaintsOf, launchChromium } from "../support/login-page.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { pageWaitMs } from "../support/within.ts";

/** To take the pictures of the README again: a folder to put them in. */
const pictures = process.env.GATEHOUSE_PICTURES;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
afterAll(() => browser?.close());

describe.each(transportNames)("the example dashboard, on %s", (transport) => {
  const folder = temporaryFolder();
  let dashboard: Dashboard;
  beforeAll(async () => {
    dashboard = await startDashboard({
      data: folder.path,
      port: 0,
      everyMs: 50,
      pages: await builtPages(),
      config: { transport, password: { scrypt_n: cheapScrypt.N, workers: 1 }, log: { level: "silent" } },
    });
  });
  afterAll(async () => {
    await dashboard?.stop();
    folder.remove();
  });

  async function enter(who: "owner" | "guest"): Promise<{ page: Page; complaints: readonly string[] }> {
    const page = await browser.newPage({ viewport: { width: 900, height: 560 } });
    page.setDefaultTimeout(pageWaitMs);
    const complaints = complaintsOf(page);
    await page.goto(`${dashboard.url}/dashboard`);
    const { username, password } = dashboard[who];
    await page.getByLabel("User name").fill(username);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await page.locator(".panel").nth(3).waitFor();
    return { page, complaints };
  }
  const titles = (page: Page) =>
    page.locator(".panel").evaluateAll((panels) => panels.map((panel) => panel.getAttribute("data-title")));
  const line = (page: Page, title: string) =>
    page.locator(`[data-title=${title}] polyline`).getAttribute("points");
  const points = async (page: Page, title: string) => (await line(page, title))?.split(" ").length ?? 0;

  it("moves, and loses a panel the moment its right is taken, and gets it back", async () => {
    const guest = await enter("guest");
    const owner = await enter("owner");
    expect(await titles(guest.page)).toEqual(["Kitchen", "Bedroom", "Solar", "Power"]);
    for (const title of ["Kitchen", "Power"]) {
      // A full chart has as many points after the next value as before.
      const before = await line(guest.page, title);
      await expect.poll(() => line(guest.page, title), { timeout: pageWaitMs }).not.toBe(before);
    }
    if (pictures !== undefined) {
      await expect.poll(() => points(guest.page, "Power"), { timeout: 60_000 }).toBe(60);
      await guest.page.screenshot({ path: path.join(pictures, "dashboard.png") });
    }
    expect(await guest.page.locator("#rights").isVisible()).toBe(false);

    await owner.page.getByLabel("Energy").uncheck();
    await guest.page.getByText("You may not see this now: Solar, Power").waitFor();
    await expect.poll(() => titles(guest.page), { timeout: 60_000 }).toEqual(["Kitchen", "Bedroom"]);
    expect(await titles(owner.page)).toEqual(["Kitchen", "Bedroom", "Solar", "Power"]);
    const kitchen = await points(guest.page, "Kitchen");
    expect(kitchen).toBeGreaterThan(0);
    expect(await accessibilityFaults(guest.page)).toEqual([]);
    expect(await accessibilityFaults(owner.page)).toEqual([]);
    if (pictures !== undefined) {
      await guest.page.screenshot({ path: path.join(pictures, "dashboard-without-energy.png") });
      await owner.page.screenshot({ path: path.join(pictures, "dashboard-owner.png") });
    }

    await owner.page.getByLabel("Energy").check();
    await expect
      .poll(() => titles(guest.page), { timeout: 60_000 })
      .toEqual(["Kitchen", "Bedroom", "Solar", "Power"]);
    await expect.poll(() => guest.page.locator("#news").textContent(), { timeout: 60_000 }).toBe("");
    expect([guest.complaints, owner.complaints]).toEqual([[], []]);
  });
});

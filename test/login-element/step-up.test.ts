import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { GatehouseLoginElement, GatewayClient } from "../../src/login-element/index.ts";
import { builtPages } from "../support/built-pages.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import {
  accessibilityFaults,
  type LoginPages,
  launchChromium,
  startLoginPages,
} from "../support/login-page.ts";
import { staleTokens } from "../support/stale-session.ts";
import { pageWaitMs } from "../support/within.ts";

let browser: Browser;
let pages: LoginPages;
let node: Awaited<ReturnType<typeof startNode>>;
let ownerId: string;
beforeAll(async () => {
  browser = await launchChromium();
  pages = await startLoginPages(browser);
  // The least cost at which a password is proved and not sent.
  const password = { scrypt_n: 32_768, scrypt_p: 3, workers: 1 };
  node = await startNode({ origins: [pages.origin], password }, { pages: await builtPages() });
  ownerId = (await setUpOwner(node.authority)).id;
});
afterAll(async () => {
  await node?.stop();
  await pages?.stop();
  await browser?.close();
});

interface Called {
  readonly file: { readonly GatewayClient: typeof GatewayClient };
  called: Promise<unknown>;
  ended: string[];
}

/** A page whose client has an old login, and calls what needs a recent one. Its handler shows the element. */
async function calling(name: string, stays = false) {
  const { page, complaints } = await pages.open(node.url);
  // The browser complains if the page's own element is removed while its socket opens.
  await page.getByLabel("User name").waitFor();
  const tokens = await staleTokens(node.authority, ownerId);
  // As text: vitest would change the import.
  await page.evaluate(`import("${node.url}/login-element.js").then((file) => { window.file = file; })`);
  await page.evaluate(
    async ([url, stored, client_name, keep]) => {
      document.querySelector("gatehouse-login")?.remove();
      const seen = window as unknown as Called;
      seen.ended = [];
      const client = new seen.file.GatewayClient({
        url,
        tokens: { load: () => stored, save: () => {} },
        scram: "require",
        onStepUp(request) {
          const element = document.createElement("gatehouse-login") as GatehouseLoginElement;
          element.setAttribute("url", url);
          element.setAttribute("for", "step-up");
          element.stepUp = request;
          for (const event of ["gatehouse-stepped-up", "gatehouse-ended"])
            element.addEventListener(event, () => {
              seen.ended.push(event);
              if (!keep) element.remove();
            });
          document.querySelector("main")?.append(element);
        },
      });
      await client.connect();
      seen.called = client
        .call("auth/long_lived_access_token", { lifespan: 1, client_name })
        .catch(({ code }: { readonly code: string }) => code);
    },
    [node.url, tokens, name, stays] as const,
  );
  const outcome = () =>
    page.evaluate(async () => {
      const { called, ended } = window as unknown as Called;
      return { result: await called, ended };
    });
  return { page, complaints, outcome };
}

it("lets the person log in again on the page's own client, whose call goes on then", async () => {
  const { page, complaints, outcome } = await calling("from a page");
  await page.getByRole("heading", { name: "Log in again" }).waitFor();
  await page.getByLabel("User name").fill("paula");
  await page.getByLabel("Password").fill("wrong horse");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("wrong", { exact: false }).waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.getByLabel("Password").fill(ownerPassword);
  await page.keyboard.press("Enter");
  const { result, ended } = await outcome();
  expect(result).toMatch(/^ey/);
  expect(ended).toEqual(["gatehouse-stepped-up"]);
  expect(complaints).toEqual([]);
});

it("gives the call up if it is removed", async () => {
  const { page, outcome } = await calling("never");
  await page.getByLabel("User name").waitFor();
  await page.evaluate(() => document.querySelector("gatehouse-login")?.remove());
  expect(await outcome()).toEqual({ result: "step_up_failed", ended: [] });
});

it("offers no other login once the one of the step-up has ended", async () => {
  const { page, outcome } = await calling("ended", true);
  await page.getByLabel("User name").fill("paula");
  await page.getByLabel("Password").fill(ownerPassword);
  await page.evaluate(() => document.querySelector("gatehouse-login")?.stepUp?.cancel());
  await page.keyboard.press("Enter");
  await page.getByText("That took too long.").first().waitFor();
  expect(await outcome()).toEqual({ result: "step_up_failed", ended: ["gatehouse-ended"] });
  expect(await page.locator("gatehouse-login button").count()).toBe(0);
});

/** As a page of its own would: the handler shows a second element. */
function setOnElement(): void {
  const login = document.querySelector("gatehouse-login");
  if (login === null) return;
  const seen = window as unknown as Called;
  seen.ended = [customElements.get("gatehouse-login") === undefined ? "before" : "after"];
  login.tokens = { load: () => null, save: () => void seen.ended.push("saved") };
  login.onStepUp = (request) => {
    const again = Object.assign(document.createElement("gatehouse-login"), { stepUp: request });
    again.setAttribute("url", login.url ?? "");
    again.setAttribute("for", "step-up");
    document.body.append(again);
  };
}

/** Logs in, and calls what needs a second factor. */
async function logInAndCall(page: Page): Promise<void> {
  await page.getByLabel("User name").fill("paula");
  await page.getByLabel("Password").fill(ownerPassword);
  await page.keyboard.press("Enter");
  await page.getByText("You are logged in.").first().waitFor();
  await page.evaluate(() => {
    const { client } = document.querySelector("gatehouse-login") ?? {};
    (window as unknown as Called).called = (
      client?.call("gatehouse/groups/create", { name: "strict", policy: {} }) ?? Promise.resolve()
    ).catch(({ code }: { readonly code: string }) => code);
  });
}

describe("an element whose client's calls need a step-up", () => {
  let strict: Awaited<ReturnType<typeof startNode>>;
  beforeAll(async () => {
    strict = await startNode(
      { origins: [pages.origin], step_up: { group_policy: "second_factor" } },
      { pages: await builtPages() },
    );
    await setUpOwner(strict.authority);
  });
  afterAll(async () => {
    await strict?.stop();
  });

  it("has what its page set before the element was defined", async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(pageWaitMs);
    // The document is parsed, and no module has run.
    await page.addInitScript(
      `document.addEventListener("readystatechange", ${String(setOnElement)}, { once: true });`,
    );
    await page.goto(`${pages.origin}/?${new URLSearchParams({ url: strict.url })}`);
    await logInAndCall(page);
    await page.getByRole("heading", { name: "Log in again" }).waitFor();
    expect(await page.evaluate(() => (window as unknown as Called).ended)).toEqual(["before", "saved"]);
  });

  it("has the handler that its page set once the login was on the screen", async () => {
    const { page } = await pages.open(strict.url);
    await page.getByLabel("User name").waitFor();
    await page.evaluate(setOnElement);
    await logInAndCall(page);
    await page.getByRole("heading", { name: "Log in again" }).waitFor();
    expect(await page.evaluate(() => (window as unknown as Called).ended)).toEqual(["after"]);
  });

  it("has calls that fail at once without a handler", async () => {
    const { page } = await pages.open(strict.url);
    await logInAndCall(page);
    expect(await page.evaluate(() => (window as unknown as Called).called)).toBe("recent_login_required");
  });
});

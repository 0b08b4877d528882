import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import { readHash } from "../../src/auth/passwords/imported/hash-encodings.ts";
import { builtPages } from "../support/built-pages.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { complaintsOf, type LoginPages, launchChromium, startLoginPages } from "../support/login-page.ts";
import { proofScrypt } from "../support/scram-client.ts";
import { pageWaitMs } from "../support/within.ts";

// The element proves the password in a real browser, under the policy of the gateway's own pages.
let browser: Browser;
let pages: LoginPages;
const ends: (() => Promise<unknown> | unknown)[] = [];
const wrong = "wrong horse battery";

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

async function gateway() {
  const node = await startNode(
    {
      origins: [pages.origin, "https://app.example"],
      password: { scrypt_n: proofScrypt.N, scrypt_r: proofScrypt.r, scrypt_p: proofScrypt.p, workers: 1 },
    },
    { pages: await builtPages() },
  );
  ends.push(() => node.stop());
  await setUpOwner(node.authority);
  return node;
}

/** What the page sends, over sockets and over HTTP, from now on; and how many workers it starts. */
function watched(page: Page) {
  const seen = { frames: [] as string[], requests: [] as string[], workers: 0 };
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) => seen.frames.push(String(payload)));
  });
  page.on("request", (request) => seen.requests.push(`${request.url()} ${request.postData() ?? ""}`));
  page.on("worker", () => {
    seen.workers += 1;
  });
  return seen;
}

async function logIn(page: Page, password: string): Promise<void> {
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

function expectProved(seen: ReturnType<typeof watched>): void {
  const sent = [...seen.frames, ...seen.requests].join("\n");
  expect(sent.match(/client_final/g)).toHaveLength(2);
  expect(sent).not.toContain(ownerPassword);
  expect(sent).not.toContain(wrong);
  expect(seen.workers).toBe(2);
}

it("on a page of the gateway, with a worker beside the element", async () => {
  const { url } = await gateway();
  const page = await browser.newPage();
  page.setDefaultTimeout(pageWaitMs);
  const complaints = complaintsOf(page);
  const seen = watched(page);
  await page.route("https://app.example/**", (route) => route.fulfill({ body: "the app" }));
  const client = { client_id: "https://app.example/", redirect_uri: "https://app.example/callback" };
  await page.goto(
    `${url}/auth/authorize?${new URLSearchParams({ ...client, response_type: "code", state: "s" })}`,
  );
  await page.getByLabel("User name").fill("paula");
  await logIn(page, wrong);
  await page.getByRole("alert").getByText("User name or password is wrong.").waitFor();
  await logIn(page, ownerPassword);
  await page.waitForURL("https://app.example/callback?**");
  expect(new URL(page.url()).searchParams.get("code")).toBeTruthy();
  expectProved(seen);
  expect(complaints).toEqual([]);
});

it("on a page of another origin, showing how far it is", async () => {
  const { url } = await gateway();
  const page = await browser.newPage();
  page.setDefaultTimeout(pageWaitMs);
  const complaints = complaintsOf(page);
  const seen = watched(page);
  await page.goto(`${pages.origin}/?${new URLSearchParams({ url })}`);
  await page.evaluate(() => {
    const shown: (string | null)[] = [];
    Object.assign(window, { shown });
    const root = document.querySelector("gatehouse-login")?.shadowRoot;
    // A bar without a value would show no progress.
    const look = () => {
      for (const bar of root?.querySelectorAll("progress[value]") ?? []) shown.push(bar.ariaLabel);
    };
    if (root != null)
      new MutationObserver(look).observe(root, { subtree: true, childList: true, attributes: true });
  });
  await page.getByLabel("User name").fill("paula");
  await logIn(page, wrong);
  await page.getByRole("alert").getByText("User name or password is wrong.").waitFor();
  expect(await page.getByRole("progressbar").count()).toBe(0);
  await logIn(page, ownerPassword);
  await page.getByText("You are logged in.").first().waitFor();
  const shown = await page.evaluate(() => (window as unknown as { readonly shown: readonly string[] }).shown);
  expect(new Set(shown)).toEqual(new Set(["Your password is checked without being sent"]));
  expectProved(seen);
  expect(complaints).toEqual([]);
});

it("takes a reset code in a password's place, and sends an imported password by itself", async () => {
  const { url, authority } = await gateway();
  const hash = readHash(
    "$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
  );
  if ("problem" in hash) throw new Error(hash.problem);
  const imported = { entry: "1", name: "Ada", groupIds: ["system-users"], login: { username: "ada", hash } };
  await authority.localLogins.importUsers([imported]);
  const [paula] = (await authority.users.list()).filter(({ isOwner }) => isOwner);
  const { code } = await authority.localLogins.createResetCode(paula?.id ?? "", true);
  const page = await browser.newPage();
  page.setDefaultTimeout(pageWaitMs);
  const enter = async (username: string, password: string) => {
    await page.goto(`${pages.origin}/?${new URLSearchParams({ url })}`);
    await page.getByLabel("User name").fill(username);
    await logIn(page, password);
  };
  await enter("paula", code);
  await page.getByLabel("New password").fill("short");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("Use at least 15 characters.").waitFor();
  await page.getByLabel("New password").fill("a new horse, a new battery");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("You are logged in.").first().waitFor();
  await enter("ada", "password");
  await page.getByText("You are logged in.").first().waitFor();
});

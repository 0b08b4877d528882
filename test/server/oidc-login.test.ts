import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { runCommand } from "../../src/cli/program.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { type RunningGateway, setUpOwner, startNode } from "../support/gateway.ts";
import { freePort, type OpenIdProvider, startOpenIdProvider } from "../support/openid-provider.ts";
import { startRedis } from "../support/redis-server.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";
import { pageWaitMs, within } from "../support/within.ts";

type Node = Omit<RunningGateway, "owner" | "ownerPassword">;

let browser: Browser;
const ends: (() => Promise<unknown> | unknown)[] = [];
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(() => browser?.close());

interface Installation {
  readonly provider: OpenIdProvider;
  readonly nodes: readonly Node[];
}

/** Nodes that are reached at the address of the last one, as behind a load balancer that always picks it. */
async function start(
  options: Record<string, unknown>,
  configs: readonly ConfigInput[],
): Promise<Installation> {
  const port = await freePort();
  const publicUrl = `http://127.0.0.1:${port}`;
  const provider = await startOpenIdProvider({
    redirectUri: `${publicUrl}/auth/oidc/callback/work`,
    backchannelLogoutUri: `${publicUrl}/auth/oidc/backchannel-logout/work`,
  });
  ends.push(() => provider.stop());
  const entry = {
    type: "oidc" as const,
    id: "work",
    name: "Work",
    issuer: provider.issuer,
    ...provider.client,
  };
  const auth_providers = [{ type: "homeassistant" as const }, { ...entry, ...options }];
  const nodes: Node[] = [];
  for (const [place, config] of configs.entries()) {
    const own = place === configs.length - 1 ? { port } : {};
    const node = await startNode({ public_url: publicUrl, auth_providers, ...own, ...config });
    ends.push(() => node.stop());
    nodes.push(node);
  }
  const [first] = nodes;
  if (first !== undefined) await setUpOwner(first.authority);
  return { provider, nodes };
}

async function newPage(): Promise<Page> {
  const context = await browser.newContext();
  ends.push(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(pageWaitMs);
  return page;
}

interface Waiting {
  readonly socket: SocketClient;
  readonly step: Message & { readonly url: string };
  readonly code: string;
}

async function begin(port: number, fields: object = {}): Promise<Waiting> {
  const socket = await openSocket(port);
  ends.push(() => socket.close());
  const answer = await socket.call("auth/login/start", { handler: ["oidc", "work"], ...fields });
  expect(answer).toMatchObject({ success: true, result: { type: "external", step_id: "browser" } });
  const step = answer.result as Waiting["step"];
  const { code } = step.description_placeholders as { code: string };
  return { socket, step, code };
}

const activate = { new_users: { activate: true } };
const confirm = (page: Page) => page.getByRole("button", { name: "log it in" }).first();

describe("a login with an OpenID provider, in a browser", () => {
  it.each([
    { transport: "ws", store: "embedded" },
    { transport: "uws", store: "redis" },
  ] as const)("logs the waiting socket in, $transport $store", async ({ transport, store }) => {
    const redis = store === "redis" ? await startRedis() : undefined;
    if (redis !== undefined) ends.push(() => redis.dispose());
    const groups = { group_mapping: { ritas: "system-read-only" } };
    const shared = redis === undefined ? {} : { store: redis.url };
    const { provider, nodes } = await start({ ...activate, ...groups }, [{ transport, ...shared }]);
    const { port = 0, authority } = nodes[0] ?? {};
    const { socket, step, code } = await begin(port, { client_name: "<b>Kiosk</b>" });
    expect(step.description_placeholders).toMatchObject({ provider: "Work" });
    const page = await newPage();
    const complaints: string[] = [];
    const isOurs = ({ url }: { url: string }) => url.includes(`:${port}/`);
    page.on("console", (message) => isOurs(message.location()) && complaints.push(message.text()));
    await page.goto(step.url);
    await provider.logIn(page, "rita");
    await page.getByText(code).waitFor();
    expect(await page.locator("main").textContent()).toContain("rita of the provider");
    expect(await page.locator("dd").first().textContent()).toBe("<b>Kiosk</b>");
    expect(socket.unread).toEqual([]);
    await confirm(page).click();
    await page.getByRole("heading", { name: "Confirmed" }).waitFor();
    const pushed = await socket.find(({ type }) => type === "event", "the pushed step");
    expect(pushed).toMatchObject({ event: { type: "create_entry", result: { ha_auth_provider: "oidc" } } });
    await socket.find(({ type }) => type === "auth_ok", "auth_ok");
    const user = (await authority?.users.list())?.find(({ name }) => name === "rita of the provider");
    expect(user).toMatchObject({ groupIds: ["system-read-only"], state: "active" });
    expect(complaints).toEqual([]);
  });

  it("may return at another node than the socket's, and the provider's logout ends what it gave", async () => {
    const redis = await startRedis();
    ends.push(() => redis.dispose());
    const shared = { store: redis.url };
    const { provider, nodes } = await start(activate, [shared, { ...shared, transport: "uws" }]);
    const { port = 0 } = nodes[0] ?? {};
    const page = await newPage();
    const { socket, step } = await begin(port);
    await page.goto(step.url);
    await provider.logIn(page, "sam");
    await confirm(page).click();
    await socket.find(({ type }) => type === "auth_ok", "auth_ok");
    const second = await begin(port);
    await page.goto(second.step.url);
    await confirm(page).click();
    await second.socket.find(({ type }) => type === "auth_ok", "auth_ok of the second socket");
    const elsewhere = await newPage();
    const third = await begin(port);
    await elsewhere.goto(third.step.url);
    await provider.logIn(elsewhere, "sam");
    await confirm(elsewhere).click();
    await third.socket.find(({ type }) => type === "auth_ok", "auth_ok of the third socket");

    await provider.logOut(page);
    const closed = await within(Promise.all([socket.closed, second.socket.closed]), "the sockets' end");
    expect(closed.map(({ code }) => code)).toEqual([4301, 4301]);
    expect(await third.socket.call("ping")).toMatchObject({ type: "pong" });
  });

  it("logs in from a terminal, and waits for whoever approves", async () => {
    const { provider, nodes } = await start({}, [{}]);
    const [node] = nodes;
    if (node === undefined) throw new RangeError("no node");
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const stdin = new PassThrough() as unknown as NodeJS.ReadStream;
    const args = ["login", node.url, "--browser", "--provider", "work", "--json"];
    const ended = runCommand(args, { env: {}, stdout, stderr, stdin });
    const notices = createInterface(stderr)[Symbol.asyncIterator]();
    const line = async () => String((await within(notices.next(), "the next line")).value);
    const address = /browser: (\S+)$/.exec(await line())?.[1] ?? "";
    const code = /compare: (\S+)$/.exec(await line())?.[1] ?? "";
    const page = await newPage();
    await page.goto(address);
    await provider.logIn(page, "uma");
    await page.getByText(code).waitFor();
    await confirm(page).click();
    expect(await line()).toContain("approve");
    const [pending] = await node.authority.approvals.list();
    await node.authority.approvals.approve(pending?.userId ?? "");
    expect(await within(ended, "the command's end")).toBe(0);
    expect(JSON.parse(String(stdout.read()))).toMatchObject({ access_token: expect.any(String) });
  });

  it("ends if the person refuses, here or at the provider", async () => {
    const { provider, nodes } = await start(activate, [{}]);
    const { port = 0 } = nodes[0] ?? {};
    const page = await newPage();
    const here = await begin(port);
    await page.goto(here.step.url);
    await provider.logIn(page, "tom");
    await page.getByRole("button", { name: "Do not" }).click();
    await page.getByRole("heading", { name: "Refused" }).waitFor();
    expect(await here.socket.find(({ type }) => type === "event", "the end")).toMatchObject({
      event: { type: "abort", reason: "refused_by_person" },
    });
    const there = await begin(port);
    const stranger = await newPage();
    await stranger.goto(there.step.url);
    await stranger.getByRole("link", { name: "Cancel" }).click();
    await stranger.getByText("provider_refused").waitFor();
    expect(await there.socket.find(({ type }) => type === "event", "the end")).toMatchObject({
      event: { type: "abort", reason: "provider_refused" },
    });
  });
});

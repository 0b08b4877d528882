import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type * as Client from "../../src/client/index.ts";
import type * as Msgpack from "../../src/client/msgpack.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";

declare const gatehouse: typeof Client & typeof Msgpack;

/** The server of a page on its own loopback origin: one empty page with the bundled SDK as `gatehouse`. */
async function serveSdk(): Promise<{ readonly server: Server; readonly origin: string }> {
  const bundle = await build({
    stdin: {
      contents: 'export * from "./index.ts"; export * from "./msgpack.ts";',
      resolveDir: path.resolve(import.meta.dirname, "../../src/client"),
    },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "gatehouse",
    platform: "browser",
  });
  const script = bundle.outputFiles[0]?.text ?? "";
  const server = createServer((request, response) => {
    if (request.url === "/sdk.js") response.setHeader("content-type", "text/javascript").end(script);
    else
      response.setHeader("content-type", "text/html").end('<!doctype html><script src="/sdk.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe("the SDK in a real browser", () => {
  let browser: Browser;
  let gateway: RunningGateway;
  let listed: Awaited<ReturnType<typeof serveSdk>>;
  let stranger: Awaited<ReturnType<typeof serveSdk>>;

  beforeAll(async () => {
    listed = await serveSdk();
    stranger = await serveSdk();
    gateway = await startGateway({
      store: "embedded",
      transport: "ws",
      config: { origins: [listed.origin] },
    });
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
      ],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
    listed?.server.close();
    stranger?.server.close();
  });

  async function opened(origin: string): Promise<Page> {
    const page = await browser.newPage();
    await page.goto(origin);
    return page;
  }

  it.each(["json", "msgpack"] as const)("logs in on a socket and works, in %s", async (codec) => {
    const page = await opened(listed.origin);
    const result = await page.evaluate(
      async ({ url, password, codec }) => {
        const client = new gatehouse.GatewayClient({
          url,
          codec: codec === "json" ? gatehouse.createJsonCodec() : gatehouse.createMsgpackCodec(),
        });
        const login = await client.login({ handler: ["homeassistant", null] });
        const wrong = await login.submit({ username: "paula", password: "not the password" });
        const last = await login.submit({ username: "paula", password });
        const user = await client.call("auth/current_user");
        await client.refresh();
        await client.logout();
        return { wrong: wrong.type, last: last.type, name: user.name, state: client.state };
      },
      { url: gateway.url, password: gateway.ownerPassword, codec },
    );
    expect(result).toEqual({ wrong: "form", last: "create_entry", name: "Paula", state: "idle" });
    await page.close();
  });

  it("cannot open a socket from an origin that is not listed", async () => {
    const page = await opened(stranger.origin);
    const code = await page.evaluate(async (url) => {
      const client = new gatehouse.GatewayClient({ url });
      return await client
        .login({ handler: ["homeassistant", null] })
        .catch((error: Client.GatewayError) => error.code);
    }, gateway.url);
    expect(code).toBe("cannot_connect");
    await page.close();
  });
});

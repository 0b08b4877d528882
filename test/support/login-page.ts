import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

import { elementPagePolicy } from "../../src/http/pages.ts";
import { pageWaitMs } from "./within.ts";

declare global {
  interface Window {
    readonly seen: { readonly name: string; readonly detail: Record<string, unknown> }[];
  }
}

export async function launchChromium(...more: readonly string[]): Promise<Browser> {
  return await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", ...more],
  });
}

export interface LoginPages {
  /** Where the pages are; not the gateway's origin. */
  readonly origin: string;
  /** A page with the element, which the gateway's own file defines. `attributes` are the element's. */
  open(
    gateway: string,
    attributes?: Readonly<Record<string, string>>,
    context?: BrowserContextOptions,
  ): Promise<LoginPage>;
  stop(): Promise<void>;
}

export interface LoginPage {
  readonly page: Page;
  /** Everything that the browser complained of. */
  readonly complaints: readonly string[];
}

/** Somebody's web application, under the same policy as the gateway's own pages with the element. */
export async function startLoginPages(browser: Browser, host = "127.0.0.1"): Promise<LoginPages> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://page");
    const gateway = searchParams.get("url") ?? "";
    const policy = elementPagePolicy
      // A worker of another origin is a script of this page that imports it.
      .replace("script-src 'self'", `script-src 'self' ${gateway}; worker-src blob: ${gateway}`)
      .replace("connect-src 'self'", "connect-src 'self' ws://127.0.0.1:*");
    if (pathname === "/page.js") response.setHeader("content-type", "text/javascript").end(script);
    else
      response
        .setHeader("content-type", "text/html; charset=utf-8")
        .setHeader("content-security-policy", policy)
        .end(documentWith(gateway, searchParams));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://${host}:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    async open(gateway, attributes = {}, context = {}) {
      const page = await browser.newPage(context);
      page.setDefaultTimeout(pageWaitMs);
      const complaints = complaintsOf(page);
      await page.goto(`${origin}/?${new URLSearchParams({ ...attributes, url: gateway })}`);
      return { page, complaints };
    },
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

export function complaintsOf(page: Page): readonly string[] {
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  return complaints;
}

/** What axe-core finds wrong, as one line for each rule and place. */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(
    `{ const module = undefined, exports = undefined, define = undefined;\n${axe.source}\n}`,
  );
  const { violations } = await page.evaluate(() =>
    (window as unknown as { readonly axe: typeof axe }).axe.run(document),
  );
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`));
}

/** True if nothing has to be scrolled sideways. */
export async function fitsItsWidth(page: Page): Promise<boolean> {
  return await page.evaluate(
    () => document.documentElement.scrollWidth <= document.documentElement.clientWidth,
  );
}

const script = `
window.seen = [];
for (const name of ["gatehouse-authenticated", "gatehouse-code", "gatehouse-ended"])
  document.addEventListener(name, ({ detail }) => window.seen.push({ name, detail }));
`;

function documentWith(gateway: string, parameters: URLSearchParams): string {
  const language = parameters.get("page-lang") ?? "en";
  const attributes = [...parameters].map(([name, value]) => `${name}="${value}"`).join(" ");
  return `<!doctype html>
<html dir="${parameters.get("dir") ?? "ltr"}"${language === "none" ? "" : ` lang="${language}"`}>
  <head>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>An app</title>
    <link rel="icon" href="data:,">
    <script type="module" src="/page.js"></script>
    <script type="module" src="${gateway}/login-element.js"></script>
  </head>
  <body><main><h1>An app</h1><gatehouse-login ${attributes}></gatehouse-login></main></body>
</html>`;
}

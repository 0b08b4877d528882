import type { Endpoint } from "../exchange.ts";

/** The page where the owner is set up, as texts that were read once at start. */
export interface SetupPage {
  readonly html: string;
  readonly css: string;
  readonly js: string;
}

const types: Readonly<Record<keyof SetupPage, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/** `GET /setup` and its two files. The set-up code is in the link's fragment, which browsers never send. */
export function setupPageEndpoint(page: SetupPage, part: keyof SetupPage): Endpoint {
  return () =>
    new Response(page[part], { headers: { "content-type": types[part], "cache-control": "no-cache" } });
}

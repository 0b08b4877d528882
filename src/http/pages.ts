import type { CorsRule } from "./cors.ts";
import type { Endpoint } from "./exchange.ts";
import { noDevices } from "./html-page.ts";

/** A file of the pages' folder, as it is served. */
export interface PageFile {
  /** `console.html` is served at `/console`, every other file under its own name. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly cors: CorsRule;
}

/**
 * What a page of ours may do: run our scripts, and talk to this gateway. Nothing may frame it. `trustedTypes` names the
 * policies that may make HTML, or the address of a script, of text.
 */
function policyWith(trustedTypes: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    `trusted-types ${trustedTypes}`,
  ].join("; ");
}

/** For a page without a script: it shows itself, and sends its form here. Nothing may frame it. */
export const plainPagePolicy =
  "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/**
 * For a page with the login element. Lit parses the constant parts of its templates with a policy of its name, which it makes
 * when it is loaded. The client makes the other one when it starts its worker. A policy cannot be made twice under one name.
 */
export const elementPagePolicy = policyWith("lit-html gatehouse-client");

/** What the pages of other origins load too, if the configuration lists them. */
const sharedFiles: ReadonlySet<string> = new Set([
  "login-element.js",
  "password-proof.js",
  "scrypt-worker.js",
]);

/** Files keep their names when they change, so that a browser asks each time. */
const always = { "cache-control": "no-cache" };

/** By the file's ending. */
const headersByEnding: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ".html": {
    ...always,
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policyWith("'none'"),
    "permissions-policy": noDevices,
  },
  ".css": { ...always, "content-type": "text/css; charset=utf-8" },
  ".js": { ...always, "content-type": "text/javascript; charset=utf-8" },
  ".svg": { ...always, "content-type": "image/svg+xml" },
};

/**
 * How a file of the folder is served. `name` is its place in the folder, with `/` between folders. Throws for a name with
 * other characters than small letters, digits, `.`, `-` and `/`, and for a kind of file that is not known.
 */
export function pageFile(name: string, body: string): PageFile {
  const ending = /^(?:[a-z0-9-]+\/)*[a-z0-9-]+(\.[a-z]+)$/.exec(name)?.[1] ?? "";
  const headers = Object.hasOwn(headersByEnding, ending) ? headersByEnding[ending] : undefined;
  if (headers === undefined) throw new Error(`${name} is no page, and no part of one`);
  const cors = sharedFiles.has(name) ? "configured" : "none";
  return { path: `/${ending === ".html" ? name.slice(0, -ending.length) : name}`, headers, body, cors };
}

export function pageEndpoint({ body, headers }: PageFile): Endpoint {
  return () => ({ status: 200, headers, body });
}

import type { HttpHeaders, HttpRequest, HttpResponse } from "./endpoint.ts";
import { type Language, languageFor } from "./languages.ts";

/** HTML that may be put into a page. Everything else is text, and is escaped. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export function html(
  parts: TemplateStringsArray,
  ...values: readonly (string | Html | readonly Html[])[]
): Html {
  const inserted = values.map((value) => {
    if (typeof value === "string") return escaped(value);
    return value instanceof Html ? value.text : value.map(({ text }) => text).join("");
  });
  return new Html(parts.map((part, place) => part + (inserted[place] ?? "")).join(""));
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Texts come from providers and clients. Characters that reorder or hide others are left out. */
function escaped(text: string): string {
  const seen = text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Surrogate}\p{Zl}\p{Zp}]/gu, "");
  return seen.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}

/** What no page here asks a browser for. */
export const noDevices = "camera=(), geolocation=(), microphone=()";

/** What a page takes from the request that it answers. */
export interface PageContext {
  /**
   * From the page to the gateway's root, without a trailing slash. It is relative, so that it also leads there behind a
   * proxy that removes a path, whatever `public_url` says.
   */
  readonly root: string;
  readonly language: Language;
}

export function pageContext({ url, headers }: Pick<HttpRequest, "url" | "headers">): PageContext {
  const depth = url.pathname.split("/").length - 2;
  return {
    root: depth === 0 ? "." : new Array(depth).fill("..").join("/"),
    language: languageFor(headers.get("accept-language")),
  };
}

export interface HtmlPage {
  readonly title: string;
  /** What follows the heading. */
  readonly body: Html;
  /** Modules in the folder of pages. */
  readonly scripts?: readonly string[];
  readonly policy: string;
  readonly status?: number;
  readonly headers?: HttpHeaders;
}

/** A page that is made for one request. Nobody may keep it. */
export function htmlPage({ root, language }: PageContext, page: HtmlPage): HttpResponse {
  const { title, body, policy, scripts = [], ...init } = page;
  const modules = scripts.map(
    (name) => html`    <script type="module" src="${root}/${name}"></script>
`,
  );
  const document = html`<!doctype html>
<html lang="${language}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <title>${title}</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="${root}/page.css">
${modules}  </head>
  <body>
    <main>
      <h1>${title}</h1>
${body}
    </main>
  </body>
</html>
`;
  const headers = {
    ...init.headers,
    "content-type": "text/html; charset=utf-8",
    "content-language": language,
    "content-security-policy": policy,
    "permissions-policy": noDevices,
    "cache-control": "no-store",
    vary: "Accept-Language",
  };
  return { status: init.status ?? 200, headers, body: document.text };
}

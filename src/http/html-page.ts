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

export interface HtmlPage {
  readonly title: string;
  /** What follows the heading. */
  readonly body: Html;
  /** Where the gateway's root is for this page, without a trailing slash: `..` also works behind a proxy's path. Default: `/`. */
  readonly root?: string;
  /** Modules in the folder of pages. */
  readonly scripts?: readonly string[];
  readonly policy: string;
  /** A tag of RFC 5646. */
  readonly language: string;
  readonly status?: number;
  readonly headers?: HeadersInit;
}

/** A page that is made for one request. Nobody may keep it. */
export function htmlPage(page: HtmlPage): Response {
  const { title, body, policy, language, root = "", scripts = [], ...init } = page;
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
  const headers = new Headers(init.headers);
  headers.set("content-type", "text/html; charset=utf-8");
  headers.set("content-security-policy", policy);
  headers.set("permissions-policy", noDevices);
  headers.set("cache-control", "no-store");
  return new Response(document.text, { status: init.status ?? 200, headers });
}

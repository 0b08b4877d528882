import type { HostileOpenIdProvider } from "./hostile-openid-provider.ts";

export interface Page {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** A browser without pages: it keeps its cookie, follows nothing by itself, and sends the form of the last page. */
export class BrowserWay {
  cookie: string | undefined;

  async open(url: string | URL, init: RequestInit = {}): Promise<Page> {
    const headers = { ...(this.cookie === undefined ? {} : { cookie: this.cookie }), ...init.headers };
    const response = await fetch(url, { redirect: "manual", ...init, headers });
    const [set] = response.headers.getSetCookie();
    if (set !== undefined) this.cookie = set.split(";")[0];
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  /** Begins a login. Gives the authorization request that the browser is sent to. */
  async begin(startUrl: string): Promise<URL> {
    const { headers } = await this.open(startUrl);
    return new URL(headers.get("location") ?? "");
  }

  /** The provider has logged the person in, and sends the browser back. */
  async comeBack(
    request: URL,
    provider: HostileOpenIdProvider,
    answer: Readonly<Record<string, string>> = {},
  ): Promise<Page> {
    provider.nonce = request.searchParams.get("nonce") ?? "";
    return await this.open(returnOf(request, answer));
  }

  async answer(
    url: string,
    page: Page,
    answer: "yes" | "no",
    headers: Record<string, string> = {},
  ): Promise<Page> {
    const form = { return: answerTokenIn(page), answer };
    return await this.open(`${url}/auth/oidc/confirm`, {
      method: "POST",
      body: new URLSearchParams(form),
      headers,
    });
  }
}

/** Where the provider sends the browser for this authorization request. */
export function returnOf(request: URL, answer: Readonly<Record<string, string>> = {}): URL {
  const back = new URL(request.searchParams.get("redirect_uri") ?? "");
  const parameters = {
    code: "a-canary-of-a-code",
    state: request.searchParams.get("state") ?? "",
    ...answer,
  };
  for (const [name, value] of Object.entries(parameters))
    if (value !== "") back.searchParams.set(name, value);
  return back;
}

export function answerTokenIn({ text }: Page): string {
  return /name="return" value="([^"]+)"/.exec(text)?.[1] ?? "";
}

import { ownerPassword, type RunningGateway } from "./gateway.ts";

/**
 * The code that the owner's login gives an app whose authorization request is at this address: the page's own requests,
 * over HTTP. Rejects with the code of the error.
 */
export async function codeOf(
  { url, owner: _ }: Pick<RunningGateway, "url" | "owner">,
  address: URL,
  person = { username: "paula", password: ownerPassword },
): Promise<string> {
  const page = await fetch(address);
  const text = await page.text();
  if (!page.ok) throw new Error(/<code>([a-z_]+)<\/code>/.exec(text)?.[1] ?? `page: ${page.status} ${text}`);
  const element = /<gatehouse-login ([^>]*)>/.exec(text)?.[1] ?? "";
  const attribute = (name: string) =>
    new RegExp(`(?:^| )${name}="([^"]*)"`).exec(element)?.[1]?.replaceAll("&amp;", "&");
  const asked = {
    client_id: attribute("client-id"),
    redirect_uri: attribute("redirect-uri"),
    code_challenge: attribute("code-challenge"),
    scope: attribute("scope"),
    resource: attribute("resource"),
    nonce: attribute("client-nonce"),
    request_uri: attribute("request-uri"),
  };
  const flow = await sent(`${url}/auth/login_flow`, { ...asked, handler: ["homeassistant", null] });
  const done = await sent(`${url}/auth/login_flow/${flow.flow_id}`, {
    client_id: asked.client_id,
    ...person,
  });
  if (typeof done.result !== "string") throw new Error(`no code: ${JSON.stringify(done)}`);
  return done.result;
}

async function sent(address: string, body: object): Promise<Readonly<Record<string, unknown>>> {
  const answer = await fetch(address, { method: "POST", body: JSON.stringify(body) });
  const value = (await answer.json()) as Readonly<Record<string, unknown>>;
  if (!answer.ok) throw new Error(String(value.code));
  return value;
}

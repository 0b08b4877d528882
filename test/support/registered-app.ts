import { createHash, randomBytes } from "node:crypto";

import type { Authority } from "../../src/auth/authority.ts";
import type { ClientRegistration } from "../../src/auth/clients/registered-clients.ts";
import { codeOf } from "./authorization-code.ts";
import type { RunningGateway } from "./gateway.ts";

export const callback = "https://app.example/callback";

export const registration: ClientRegistration = {
  id: "app",
  name: "App",
  authMethod: "client_secret",
  jwks: null,
  redirectUris: [callback],
  grantTypes: ["authorization_code", "refresh_token"],
  scopes: ["openid", "profile", "api"],
  resources: ["https://backend.example/"],
  userId: null,
  requiresPushedRequests: false,
  logoutUri: null,
  rotates: true,
};

export interface TokenAnswer {
  readonly status: number;
  readonly challenge: string | null;
  readonly body: Readonly<Record<string, string>>;
}

/** A form to an OAuth endpoint, with client id and secret in the header if they are given. */
export async function sendForm(
  url: string,
  fields: Readonly<Record<string, string>>,
  basic?: readonly [id: string, secret: string],
): Promise<TokenAnswer> {
  const credentials = basic && Buffer.from(basic.map(encodeURIComponent).join(":")).toString("base64");
  const answer = await fetch(url, {
    method: "POST",
    headers: credentials === undefined ? {} : { authorization: `Basic ${credentials}` },
    body: new URLSearchParams(fields),
  });
  const text = await answer.text();
  const body = text === "" ? {} : JSON.parse(text);
  return { status: answer.status, challenge: answer.headers.get("www-authenticate"), body };
}

/** A code for the owner at a registered client, with what redeems it. */
export async function newCode(
  gateway: Pick<RunningGateway, "url" | "owner">,
  asked: Readonly<Record<string, string>> = {},
): Promise<{ readonly grant_type: string; readonly code: string; readonly code_verifier: string }> {
  const verifier = randomBytes(32).toString("base64url");
  const address = new URL(`${gateway.url}/auth/authorize`);
  address.search = new URLSearchParams({
    response_type: "code",
    client_id: "app",
    redirect_uri: callback,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...asked,
  }).toString();
  const code = await codeOf(gateway, address);
  return { grant_type: "authorization_code", code, code_verifier: verifier };
}

/** Registers a client, and returns what it sends in the header. */
export async function registerApp(
  authority: Authority,
  changes: Partial<ClientRegistration> = {},
): Promise<readonly [id: string, secret: string]> {
  const { client, secret } = await authority.clients.register({ ...registration, ...changes });
  return [client.id, secret ?? ""];
}

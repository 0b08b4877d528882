import type { Post } from "../load/posts.ts";

/** `client_secret_basic` (RFC 6749 section 2.3.1) of an id and a secret that need no encoding. */
export function basic(clientId: string, secret: string): string {
  return `Basic ${Buffer.from(`${clientId}:${secret}`).toString("base64")}`;
}

/** The access tokens that a server issues for these refresh tokens. */
export async function redeemed(
  port: number,
  { path, headers, body }: Post,
  refreshTokens: readonly string[],
): Promise<string[]> {
  const accessTokens: string[] = [];
  for (const token of refreshTokens) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers,
      body: body + encodeURIComponent(token),
    });
    const answer = (await response.json()) as { access_token?: string };
    if (answer.access_token === undefined) throw new Error(`${response.status} ${JSON.stringify(answer)}`);
    accessTokens.push(answer.access_token);
  }
  return accessTokens;
}

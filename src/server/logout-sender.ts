import { createBoundedFetch } from "../net/bounded-fetch.ts";

/** How long a client may take, ms. */
const timeoutMs = 5_000;
const maxBytes = 65_536;

/**
 * Sends a logout token as a client expects it (OpenID Connect Back-Channel Logout section 2.5). Rejects unless the
 * client answers 200 or 204. Follows no redirect: an administrator has registered the address, and no other.
 */
export async function sendLogoutToken(uri: string, logoutToken: string): Promise<void> {
  const send = createBoundedFetch({ trustedOrigin: new URL(uri).origin, timeoutMs, maxBytes, longer: "cut" });
  const answer = await send(uri, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ logout_token: logoutToken }),
  });
  if (answer.status !== 200 && answer.status !== 204)
    throw new Error(`the client answered its logout notice with ${answer.status}`);
}

/** How long a client may take, ms. */
const timeoutMs = 5_000;

/**
 * Sends a logout token as a client expects it (OpenID Connect Back-Channel Logout section 2.5). Rejects unless the
 * client answers 200 or 204. Follows no redirect: an administrator has registered the address, and no other.
 */
export async function sendLogoutToken(uri: string, logoutToken: string): Promise<void> {
  const answer = await fetch(uri, {
    method: "POST",
    body: new URLSearchParams({ logout_token: logoutToken }),
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMs),
  });
  await answer.body?.cancel();
  if (answer.status !== 200 && answer.status !== 204)
    throw new Error(`the client answered its logout notice with ${answer.status}`);
}

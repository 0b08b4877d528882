import { afterAll, beforeAll, expect, it } from "vitest";

import { BrowserWay } from "../support/browser-way.ts";
import { type OidcRig, startOidcRig } from "../support/oidc-rig.ts";

let rig: OidcRig;
beforeAll(async () => {
  rig = await startOidcRig({ count: 1 });
});
afterAll(() => rig?.stop());

it.each([
  ["long ago", -3600, false],
  ["now", 0, true],
  ["at a time of a clock that is ahead", 3600, true],
  ["at no time that it names", undefined, true],
])("a person whom the provider logged in %s", async (_, since, isRecent) => {
  rig.reset();
  const auth_time = typeof since === "number" ? Math.floor(Date.now() / 1000) + since : since;
  rig.provider.claims = (right) => ({ ...right, sub: "rita", auth_time });
  const waiting = await rig.begin();
  const browser = new BrowserWay();
  const page = await browser.comeBack(await browser.begin(waiting.url), rig.provider);
  await browser.answer(rig.url, page, "yes");
  await rig.authenticated(waiting);
  // Whoever finds an unlocked browser has its session at the provider, and can begin a login with it.
  const mint = { lifespan: 1, client_name: `since ${since}` };
  expect(await waiting.socket.call("auth/long_lived_access_token", mint)).toMatchObject(
    isRecent ? { success: true } : { success: false, error: { code: "recent_login_required" } },
  );
});

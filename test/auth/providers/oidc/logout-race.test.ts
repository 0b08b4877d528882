import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, it } from "vitest";

import { deviceGrantType } from "../../../../src/auth/oauth/device-record.ts";
import { logOut } from "../../../../src/auth/providers/oidc/back-channel-logout.ts";
import type { ProviderRegistry } from "../../../../src/auth/providers/registry.ts";
import { abroad, startAuthority } from "../../../support/authority.ts";
import { registration } from "../../../support/registered-app.ts";

const issuer = "https://provider.test";

async function signedLogout(now: number) {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const keys = createLocalJWKSet({ keys: [await exportJWK(publicKey)] });
  const claims = {
    sub: "hanna",
    jti: "one",
    events: { "http://schemas.openid.net/event/backchannel-logout": {} },
  };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256" })
    .setIssuer(issuer)
    .setAudience("gate")
    .setIssuedAt(Math.floor(now / 1000))
    .sign(privateKey);
  return { token, keys };
}

it("a device that is let in while the provider logs its approver out is logged out too", async () => {
  const node = await startAuthority();
  try {
    await node.owner();
    const { authority, store, clock } = node;
    const { user, credential } = await node.user("hanna");
    const { principal } = await node.open(user.id);
    const { client } = await authority.clients.register({
      ...registration,
      authMethod: "none",
      redirectUris: [],
      grantTypes: [deviceGrantType],
    });
    const { deviceCode, userCode } = await authority.devices.begin(
      client,
      { scope: null, resource: null },
      abroad,
    );
    await authority.devices.approve(userCode, principal);
    const { token, keys } = await signedLogout(clock.now());
    const logoutKeys = async () => ({ issuer, algorithms: ["ES256"], keys });
    const provider = {
      type: "oidc",
      id: "p",
      key: "p",
      options: { upstream: { logoutKeys }, clientId: "gate" },
    };
    let device: string | undefined;
    const logout = logOut(
      {
        store,
        clock,
        revocation: authority.revocation,
        registry: { find: () => provider } as unknown as ProviderRegistry,
        credentials: { find: async () => ({ credential, version: 1 }) },
        sessions: {
          async list(userId) {
            const found = await authority.sessions.list(userId);
            // After the logout has looked, and before what it found ends.
            device ??= (await authority.devices.redeem({ client, deviceCode, peer: abroad, polls: true }))
              .session.id;
            return found;
          },
        },
      },
      "p",
      token,
    );
    expect(await logout).toEqual({ userId: user.id, sessions: 2 });
    expect(await authority.sessions.get(device ?? "")).toBeUndefined();
  } finally {
    await node.stop();
  }
});

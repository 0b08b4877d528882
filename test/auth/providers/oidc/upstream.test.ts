import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createUpstream, type Upstream } from "../../../../src/auth/providers/oidc/upstream.ts";
import { type HandClock, handClock } from "../../../support/hand-clock.ts";
import {
  answering,
  type HostileOpenIdProvider,
  startHostileOpenIdProvider,
} from "../../../support/hostile-openid-provider.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const document = "/.well-known/openid-configuration";
const secrets = { nonce: "n".repeat(43), codeVerifier: "v".repeat(43) };

let provider: HostileOpenIdProvider;
let clock: HandClock;
beforeEach(async () => {
  provider = await startHostileOpenIdProvider();
  clock = handClock();
});
afterEach(() => provider.stop());

function upstream(more: Partial<Parameters<typeof createUpstream>[0]> = {}): Upstream {
  return createUpstream({
    issuer: provider.issuer,
    clientId: provider.clientId,
    clientSecret: provider.clientSecret,
    clientSecretFile: undefined,
    clientAuth: undefined,
    scopes: ["profile", "groups"],
    clock,
    ...more,
  });
}

const reads = () => provider.asked.filter((asked) => asked === document).length;

describe("the provider's metadata", () => {
  it("is read once for everybody, and again after an hour", async () => {
    const at = upstream();
    expect(reads()).toBe(0);
    await Promise.all(Array.from({ length: 20 }, () => at.ready()));
    clock.advance(3_599_000);
    await at.ready();
    expect(reads()).toBe(1);
    clock.advance(2_000);
    await at.ready();
    expect(reads()).toBe(2);
  });

  it("is asked for again some seconds after a failure, and what is known stays", async () => {
    const at = upstream();
    provider.answers.set(document, answering({}, 500));
    await expect(at.ready()).rejects.toMatchObject({ code: "provider_unavailable" });
    await expect(at.ready()).rejects.toMatchObject({ code: "provider_unavailable" });
    expect(reads()).toBe(1);
    clock.advance(5_001);
    provider.answers.delete(document);
    await at.ready();
    expect(reads()).toBe(2);
    clock.advance(3_600_001);
    provider.answers.set(document, answering({}, 500));
    for (let count = 0; count < 5; count += 1) await at.ready();
    expect(reads()).toBe(3);
  });
});

describe("the authorization request", () => {
  it("has PKCE, state, nonce and scopes, and no secret", async () => {
    const redirectUri = "https://auth.test/auth/oidc/callback/work";
    const url = await upstream().authorizationUrl({ ...secrets, state: "s", redirectUri });
    expect(url.origin + url.pathname).toBe(`${provider.issuer}/authorize`);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: provider.clientId,
      redirect_uri: redirectUri,
      response_type: "code",
      scope: "openid profile groups",
      state: "s",
      nonce: secrets.nonce,
      code_challenge: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      code_challenge_method: "S256",
    });
    expect(url.href).not.toContain(secrets.codeVerifier);
  });
});

describe("a person who must authenticate now", () => {
  const request = { ...secrets, state: "s", redirectUri: "https://auth.test/back", maxAgeMs: 90_500 };
  const answer = new URLSearchParams({ code: "c", state: "s" });
  const redeemed = async (claims: object) => {
    provider.nonce = secrets.nonce;
    provider.claims = (right) => ({ ...right, ...claims });
    return (await upstream().redeem(answer, request, () => false)).sub;
  };
  const now = () => Math.floor(Date.now() / 1000);

  it("is asked for that, and a session of the browser at the provider that is older does not do", async () => {
    const url = await upstream().authorizationUrl(request);
    expect(url.searchParams.get("max_age")).toBe("90");
    expect(await redeemed({ auth_time: now() })).toBe("rita");
    await expect(redeemed({ auth_time: now() - 300 })).rejects.toMatchObject({ code: "provider_error" });
    // Nor does a provider that does not say when it was.
    await expect(redeemed({})).rejects.toMatchObject({ code: "provider_error" });
  });
});

describe("a code", () => {
  const request = { ...secrets, state: "s", redirectUri: "https://auth.test/back" };
  const answer = new URLSearchParams({ code: "c", state: "s" });
  const redeem = (at: Upstream, needs = () => false) => at.redeem(answer, request, needs);

  it.each([
    [undefined, undefined, "basic"],
    [["client_secret_post"], undefined, "post"],
    [["client_secret_post", "client_secret_basic"], undefined, "basic"],
    [["client_secret_basic"], "client_secret_post", "post"],
  ] as const)(
    "is redeemed with the secret as metadata %j and option %j say: %s",
    async (supported, option, how) => {
      provider.metadata = supported === undefined ? {} : { token_endpoint_auth_methods_supported: supported };
      provider.nonce = secrets.nonce;
      let authorization: string | undefined;
      provider.answers.set("/token", (asked, response) => {
        authorization = asked.authorization;
        answering({ error: "invalid_grant" }, 400)(asked, response);
      });
      await expect(redeem(upstream({ clientAuth: option }))).rejects.toMatchObject({
        code: "provider_error",
      });
      const [body] = provider.redeemed;
      expect([authorization?.startsWith("Basic "), body?.has("client_secret")]).toEqual(
        how === "basic" ? [true, false] : [undefined, true],
      );
      expect(body?.get("code_verifier")).toBe(secrets.codeVerifier);
    },
  );

  it("is redeemed with the secret of a file, which may be written later", async () => {
    const folder = temporaryFolder();
    try {
      const clientSecretFile = path.join(folder.path, "secret");
      const at = upstream({ clientSecret: undefined, clientSecretFile, clientAuth: "client_secret_post" });
      await expect(at.ready()).rejects.toMatchObject({
        code: "provider_unavailable",
        detail: expect.stringContaining("ENOENT"),
      });
      writeFileSync(clientSecretFile, "of the file\n");
      clock.advance(5_001);
      provider.nonce = secrets.nonce;
      await redeem(at);
      expect(provider.redeemed[0]?.get("client_secret")).toBe("of the file");
    } finally {
      folder.remove();
    }
  });

  it("gives claims of the UserInfo endpoint for those that the ID token lacks, of the same person only", async () => {
    provider.metadata = { userinfo_endpoint: `${provider.issuer}/userinfo` };
    provider.nonce = secrets.nonce;
    provider.answers.set("/userinfo", answering({ sub: "rita", name: "of UserInfo", groups: ["g"] }));
    const at = upstream();
    expect((await redeem(at)).claims).toMatchObject({ sub: "rita", name: "Rita" });
    expect(provider.asked).not.toContain("/userinfo");
    const { issuer, sub, claims } = await redeem(at, () => true);
    expect([issuer, sub]).toEqual([provider.issuer, "rita"]);
    expect(claims).toMatchObject({ name: "Rita", groups: ["g"] });
    provider.answers.set("/userinfo", answering({ sub: "somebody else", groups: ["g"] }));
    await expect(redeem(at, () => true)).rejects.toMatchObject({ code: "provider_error" });
  });

  it("is not redeemed if the provider refused the person", async () => {
    const refused = new URLSearchParams({ error: "access_denied", state: "s", error_description: "canary" });
    await expect(upstream().redeem(refused, request, () => false)).rejects.toMatchObject({
      code: "provider_refused",
      detail: "the provider answered access_denied",
    });
    expect(provider.redeemed).toEqual([]);
  });
});

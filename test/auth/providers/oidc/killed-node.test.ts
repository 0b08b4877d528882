import { afterEach, expect, it } from "vitest";

import { createHomeAssistantProvider } from "../../../../src/auth/providers/homeassistant/provider.ts";
import { oidcProviderType } from "../../../../src/auth/providers/oidc/type.ts";
import { home, startAuthority, type TestAuthority } from "../../../support/authority.ts";
import {
  type HostileOpenIdProvider,
  startHostileOpenIdProvider,
} from "../../../support/hostile-openid-provider.ts";
import { within } from "../../../support/within.ts";

let node: TestAuthority;
let provider: HostileOpenIdProvider;
afterEach(async () => {
  await provider.stop();
  await node.stop();
});

it("ends the login if the node that redeemed its code was killed, and redeems the code never again", async () => {
  provider = await startHostileOpenIdProvider();
  const { issuer, clientId } = provider;
  node = await startAuthority({
    publicUrl: () => "https://gate.test",
    providers: (tools) => [
      createHomeAssistantProvider(tools),
      oidcProviderType.create({ type: "oidc", issuer, client_id: clientId }, tools),
    ],
  });
  await node.owner();
  const { logins, oidc } = node.authority;
  const request = {
    handler: ["oidc", null] as [string, null],
    purpose: "session" as const,
    clientId: null,
    clientName: null,
    redirectUri: null,
    codeChallenge: null,
  };
  const { step, flowSecret } = await logins.start(request, home);
  const url = step.type === "external" ? step.url : "";
  const { url: sent, browser } = await oidc.start(
    new URL(url).pathname.split("/").at(-1) ?? "",
    undefined,
    home,
  );
  const back = new URLSearchParams({ code: "c", state: sent.searchParams.get("state") ?? "" });
  const asked = new Promise((resolve) => provider.answers.set("/token", resolve));
  const killed = oidc.returned(null, back, browser, home).catch((error: unknown) => error);
  await within(asked, "the code to be redeemed");
  await expect(oidc.returned(null, back, browser, home)).rejects.toMatchObject({ code: "conflict" });
  node.clock.advance(30_000);
  await expect(oidc.returned(null, back, browser, home)).rejects.toMatchObject({
    code: "provider_unavailable",
  });
  const ended = await logins.resume({ flowId: step.flow_id, flowSecret }, home);
  expect(ended.step).toMatchObject({ type: "abort", reason: "provider_unavailable" });
  expect(provider.redeemed).toHaveLength(1);
  await provider.stop();
  await within(killed, "the end of the call of the killed node");
});

import { afterEach, expect, it } from "vitest";

import { createFactors, type FactorEntry } from "../../../src/auth/factors/factor-types.ts";
import type { StartLogin } from "../../../src/auth/login/login-flows.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { trustedNetworksProviderType } from "../../../src/auth/providers/trusted-networks/type.ts";
import { parseAddressRanges } from "../../../src/net/address-ranges.ts";
import { abroad, home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { SoftwareAuthenticator } from "../../support/software-authenticator.ts";
import { grantOf, Login, outcomeOf, passwordSession, setUpTotp, shownIn } from "./factor-people.ts";

/* People at a trusted address say who they are, and prove nothing. Any other factor would be the only one. */

const apps: readonly FactorEntry[] = [{ type: "totp" }, { type: "recovery" }];
const keys: readonly FactorEntry[] = [{ type: "webauthn", user_verification: "required" }];
const code = { purpose: "code", redirectUri: "https://app.example/callback" } as const;

let node: TestAuthority;
afterEach(() => node.stop());

/** Ada is the only member of the group whose members are chosen without a question, at the second provider. */
async function start(factors: readonly FactorEntry[]) {
  const network = `${home.address}/32`;
  const entry = { type: "trusted_networks", trusted_networks: [network] } as const;
  const kiosk = {
    ...entry,
    id: "kiosk",
    trusted_users: { [network]: { group: "system-read-only" } },
    allow_bypass_login: true,
  };
  node = await startAuthority({
    factors: (tools) => createFactors(factors, tools),
    providers(tools) {
      const configured = { ...tools, factors, trustedProxies: parseAddressRanges([]), loaded: new Map() };
      return [
        createHomeAssistantProvider(tools),
        ...[entry, kiosk].map((each) => trustedNetworksProviderType.create(each, configured)),
      ];
    },
  });
  await node.owner();
  const { user } = await node.user("ada");
  await node.authority.users.update(user.id, { groupIds: ["system-read-only"] });
  return user.id;
}

/** Says to be this user, in every way. What was demanded when the login began, and what it gave. */
async function ways(userId: string) {
  const choose = async (more: Partial<StartLogin>) => {
    const login = await new Login(node).start({ handler: ["trusted_networks", null], ...more });
    return await login.send({ user: userId });
  };
  const unasked = async (more: Partial<StartLogin>) =>
    (await new Login(node).start({ handler: ["trusted_networks", "kiosk"], ...more })).step;
  return {
    chosen: outcomeOf(await choose({})),
    "chosen, for a code": outcomeOf(await choose(code)),
    unasked: outcomeOf(await unasked({})),
    "unasked, for a code": outcomeOf(await unasked(code)),
  };
}

const all = (outcome: string) => ({
  chosen: outcome,
  "chosen, for a code": outcome,
  unasked: outcome,
  "unasked, for a code": outcome,
});
const sessionsOf = async (userId: string) =>
  (await node.authority.sessions.list(userId)).map(({ id, assurance }) => ({ id, assurance }));

it("a trusted address is no way around an authenticator app, nor around its recovery codes", async () => {
  const userId = await start(apps);
  expect(await ways(userId)).toEqual(all("create_entry"));
  const { principal } = await passwordSession(node, "ada");
  const { secondFactors } = node.authority;
  await setUpTotp(node, principal);
  // What the address gave before is over.
  const own = [{ id: principal.sessionId, assurance: 2 }];
  expect(await sessionsOf(userId)).toEqual(own);
  expect(await ways(userId)).toEqual(all("not_allowed"));
  const form = await secondFactors.beginSetup("recovery", principal);
  await secondFactors.advanceSetup(form.flow_id, {}, principal);
  expect(await ways(userId)).toEqual(all("not_allowed"));
  expect(await sessionsOf(userId)).toEqual(own);
  // It is the way that is closed, and not the account.
  expect(outcomeOf((await new Login(node).begin("ada")).step)).toBe("select_mfa_module");
  await secondFactors.reset(userId, undefined, null);
  expect(await ways(userId)).toEqual(all("create_entry"));
});

it.each([
  ["an authenticator app", apps],
  ["a key that verifies who holds it", keys],
])("nor around a group's demand, and nobody sets %s up there", async (_, factors) => {
  const userId = await start(factors);
  expect(await ways(userId)).toEqual(all("create_entry"));
  const { secondFactors } = node.authority;
  await secondFactors.demand("system-read-only", true);
  expect(await sessionsOf(userId)).toEqual([]);
  expect(await ways(userId)).toEqual(all("not_allowed"));
  expect(await sessionsOf(userId)).toEqual([]);
  expect((await secondFactors.of(userId)).some(({ enabled }) => enabled)).toBe(false);
  expect(outcomeOf((await new Login(node, abroad).begin("ada")).step)).toBe("mfa_setup");
  await secondFactors.demand("system-read-only", false);
  expect(await ways(userId)).toEqual(all("create_entry"));
});

it("a key that verifies who holds it is asked for, and is two factors", async () => {
  const userId = await start(keys);
  const { principal } = await passwordSession(node, "ada");
  const { secondFactors } = node.authority;
  const key = new SoftwareAuthenticator("https://gatehouse.test");
  const form = await secondFactors.beginSetup("webauthn", principal);
  await secondFactors.advanceSetup(form.flow_id, key.create(shownIn(form).options ?? ""), principal);
  const before = await sessionsOf(userId);
  expect(await ways(userId)).toEqual(all("mfa"));
  const login = await new Login(node).start({ handler: ["trusted_networks", "kiosk"] });
  const stranger = new SoftwareAuthenticator("https://gatehouse.test");
  for (const other of [stranger, Object.assign(key, { verifiesUser: false })])
    expect(outcomeOf(await login.send(other.get(shownIn(login.step).options ?? "")))).toBe("invalid_passkey");
  expect(await sessionsOf(userId)).toEqual(before);
  key.verifiesUser = true;
  const { access_token } = grantOf(await login.send(key.get(shownIn(login.step).options ?? "")));
  expect(await node.principal(access_token)).toMatchObject({ userId, assurance: 2 });
});

import { afterEach, expect, it } from "vitest";

import { createFactors, type FactorEntry } from "../../../src/auth/factors/factor-types.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { SoftwareAuthenticator } from "../../support/software-authenticator.ts";
import { grantOf, Login, outcomeOf, passwordSession, shownIn } from "./factor-people.ts";

const origin = "https://gatehouse.test";
let node: TestAuthority;
afterEach(() => node.stop());

async function start(more: Partial<Extract<FactorEntry, { type: "webauthn" }>> = {}) {
  node = await startAuthority({
    factors: (tools) => createFactors([{ type: "webauthn", ...more }, { type: "recovery" }], tools),
    providers: (tools) => [createHomeAssistantProvider(tools), guestProvider()],
  });
  await node.owner();
  await node.user("ada");
  const session = await passwordSession(node, "ada");
  const key = new SoftwareAuthenticator(origin);
  return { ...session, key };
}

type Session = Awaited<ReturnType<typeof start>>;

async function setUp({ principal }: Session, key: SoftwareAuthenticator): Promise<string> {
  const { secondFactors } = node.authority;
  const form = await secondFactors.beginSetup("webauthn", principal);
  const input = key.create(shownIn(form).options ?? "");
  const step = await secondFactors.advanceSetup(form.flow_id, input, principal);
  return step.type === "form" ? (step.errors.base ?? "form") : step.type === "abort" ? step.reason : "done";
}

async function use(key: Pick<SoftwareAuthenticator, "get">): Promise<string> {
  const login = await new Login(node).begin("ada");
  return outcomeOf(await login.send(key.get(shownIn(login.step).options ?? "")));
}

it("a key lets its user in after the password, also one of several", async () => {
  const session = await start();
  expect(await setUp(session, session.key)).toBe("done");
  const login = await new Login(node).begin("ada");
  const { options = "", mfa_module_id } = shownIn(login.step);
  expect(mfa_module_id).toBe("webauthn");
  expect(JSON.parse(options)).toMatchObject({ rpId: "gatehouse.test", userVerification: "preferred" });
  const { access_token } = grantOf(await login.send(session.key.get(options)));
  expect(await node.principal(access_token)).toMatchObject({
    assurance: 2,
    amr: ["pwd", "hwk", "user", "mfa"],
  });
  const second = new SoftwareAuthenticator(origin);
  expect(await setUp(session, second)).toBe("done");
  expect([await use(session.key), await use(second)]).toEqual(["create_entry", "create_entry"]);
  expect(await use(new SoftwareAuthenticator(origin))).toBe("invalid_passkey");
});

it("an answer is good for its challenge, its origin, its domain and its user alone", async () => {
  const session = await start();
  const { key } = session;
  const elsewhere = new SoftwareAuthenticator("https://gatehouse.example");
  expect(await setUp(session, elsewhere)).toBe("invalid_passkey");
  expect(await setUp(session, key)).toBe("done");
  key.origin = "https://evil.gatehouse.test";
  expect(await use(key)).toBe("invalid_passkey");
  key.origin = origin;
  const [one, two] = [await new Login(node).begin("ada"), await new Login(node).begin("ada")];
  const answer = key.get(shownIn(one.step).options ?? "");
  expect(outcomeOf(await two.send(answer))).toBe("invalid_passkey");
  // Even its own form is another one after that.
  expect(outcomeOf(await two.send(answer))).toBe("invalid_passkey");
  const forDomain = { get: (options: string) => key.get(options.replaceAll("gatehouse.test", "test")) };
  expect(await use(forDomain)).toBe("invalid_passkey");
  const { signature = "", ...rest } = key.get(shownIn(one.step).options ?? "");
  const forged = `${signature.startsWith("M") ? "N" : "M"}${signature.slice(1)}`;
  expect(outcomeOf(await one.send({ ...rest, signature: forged }))).toBe("invalid_passkey");
  for (const junk of ["", "!", "AAAA", "A".repeat(1024)]) {
    const login = await new Login(node).begin("ada");
    const fields = { credential_id: key.id.toString("base64url"), client_data_json: junk };
    const input = { ...fields, authenticator_data: junk, signature: junk };
    expect(outcomeOf(await login.send(input))).toBe("invalid_passkey");
  }
  expect(await use(key)).toBe("create_entry");
});

it("a copy of a key, which counts behind, is refused", async () => {
  const session = await start();
  const { key } = session;
  key.counter = 5;
  expect(await setUp(session, key)).toBe("done");
  expect(await use(key)).toBe("create_entry");
  key.counter = 3;
  expect(await use(key)).toBe("invalid_passkey");
  key.counter = 10;
  expect(await use(key)).toBe("create_entry");
});

it("a key that verifies its holder is two factors, where a login proved nothing of the person", async () => {
  const session = await start({ user_verification: "required" });
  const { key, principal } = session;
  key.verifiesUser = false;
  expect(await setUp(session, key)).toBe("invalid_passkey");
  key.verifiesUser = true;
  expect(await setUp(session, key)).toBe("done");
  const linking = { userId: principal.userId, sessionId: principal.sessionId };
  const link = await new Login(node).start({ handler: ["guest", null], purpose: "link", linking });
  await link.send({ name: "ada" });
  const login = await new Login(node).start({ handler: ["guest", null] });
  const asked = await login.send({ name: "ada" });
  key.verifiesUser = false;
  const again = await login.send(key.get(shownIn(asked).options ?? ""));
  expect(outcomeOf(again)).toBe("invalid_passkey");
  key.verifiesUser = true;
  expect(outcomeOf(await login.send(key.get(shownIn(again).options ?? "")))).toBe("create_entry");
});

it("a user has at most ten", async () => {
  const session = await start();
  for (let count = 0; count < 10; count += 1)
    expect(await setUp(session, new SoftwareAuthenticator(origin))).toBe("done");
  const { secondFactors } = node.authority;
  expect(await secondFactors.beginSetup("webauthn", session.principal)).toMatchObject({
    type: "abort",
    reason: "too_many_keys",
  });
});

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";

import { createFactors, type FactorEntry } from "../../../src/auth/factors/factor-types.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { passkeyProviderType } from "../../../src/auth/providers/passkey/type.ts";
import { parseAddressRanges } from "../../../src/net/address-ranges.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { chainedAttestation } from "../../support/chained-attestation.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { SoftwareAuthenticator } from "../../support/software-authenticator.ts";
import { codeOf } from "../login/login-domain.ts";
import { grantOf, Login, outcomeOf, passwordSession, shownIn } from "./factor-people.ts";

const origin = "https://gatehouse.test";
let node: TestAuthority;
let store: InterposedStore;
let close: () => Promise<void>;
afterEach(async () => {
  await node.stop();
  await close();
});

async function start(more: Partial<Extract<FactorEntry, { type: "webauthn" }>> = {}) {
  const clock = handClock();
  const opened = await interposedEmbeddedStore(clock);
  close = opened.close;
  store = opened.store;
  node = await startAuthority({
    store,
    clock,
    factors: (tools) => createFactors([{ type: "webauthn", ...more }, { type: "recovery" }], tools),
    providers: (tools) => [
      createHomeAssistantProvider(tools),
      guestProvider(),
      passkeyProviderType.create(
        { type: "passkey" },
        {
          ...tools,
          factors: [{ type: "webauthn", ...more }],
          trustedProxies: parseAddressRanges([]),
          loaded: new Map(),
        },
      ),
    ],
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
  // The copy was at 6 once, as the key itself is now.
  key.counter = 5;
  expect(await use(key)).toBe("invalid_passkey");
  key.counter = 10;
  expect(await use(key)).toBe("create_entry");
  // Another key changes nothing for this one.
  expect(await setUp(session, new SoftwareAuthenticator(origin))).toBe("done");
  key.counter = 10;
  expect(await use(key)).toBe("invalid_passkey");
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

describe("a passkey as the login", () => {
  const handler: [string, null] = ["passkey", null];

  async function passkeys() {
    const session = await start();
    await setUp(session, session.key);
    const handle = Buffer.from(session.principal.userId).toString("base64url");
    const begin = async () => {
      const login = await new Login(node).start({ handler });
      const { options = "" } = shownIn(login.step);
      expect(JSON.parse(options)).toMatchObject({ userVerification: "required", allowCredentials: [] });
      return { login, answer: { ...session.key.get(options), user_handle: handle } };
    };
    return { ...session, handle, begin };
  }

  it("is two factors: nothing more is asked", async () => {
    const { begin, principal } = await passkeys();
    const { login, answer } = await begin();
    const { access_token } = grantOf(await login.send(answer));
    expect(await node.principal(access_token)).toMatchObject({
      userId: principal.userId,
      assurance: 2,
      amr: ["hwk", "user", "mfa"],
    });
    const again = await begin();
    expect(outcomeOf(await again.login.send(again.answer))).toBe("create_entry");
  });

  it("names nobody's keys, and lets nobody else in", async () => {
    const { begin, key, handle } = await passkeys();
    const stranger = Buffer.from("0".repeat(32)).toString("base64url");
    for (const user_handle of [stranger, "", "!", Buffer.from("../x").toString("base64url")]) {
      const { login, answer } = await begin();
      const step = await login.send({ ...answer, user_handle });
      expect(outcomeOf(step)).toBe("invalid_passkey");
      expect(JSON.stringify(step)).not.toContain(key.id.toString("base64url"));
    }
    const foreign = await begin();
    const other = new SoftwareAuthenticator(origin);
    const forged = { ...other.get(shownIn(foreign.login.step).options ?? ""), user_handle: handle };
    const step = await foreign.login.send(forged);
    expect(outcomeOf(step)).toBe("invalid_passkey");
    expect(JSON.stringify(step)).not.toContain(key.id.toString("base64url"));
    key.verifiesUser = false;
    const unverified = await begin();
    expect(outcomeOf(await unverified.login.send(unverified.answer))).toBe("invalid_passkey");
  });

  it("ends with its keys, and is no way in to rely on", async () => {
    const { begin, principal } = await passkeys();
    const first = await begin();
    await first.login.send(first.answer);
    const { credentials, credentialRemovals, secondFactors } = node.authority;
    const [password] = (await credentials.list(principal.userId)).filter(
      ({ providerType }) => providerType === "homeassistant",
    );
    const removal = credentialRemovals.remove(principal.userId, password?.id ?? "", { keepLast: true });
    expect(await codeOf(removal)).toBe("last_credential");
    const late = await begin();
    await secondFactors.reset(principal.userId, undefined, null);
    expect(outcomeOf(await late.login.send(late.answer))).toBe("invalid_passkey");
  });

  it("lets nobody in who was deactivated", async () => {
    const { begin, principal } = await passkeys();
    const { login, answer } = await begin();
    await node.authority.users.update(principal.userId, { isActive: false });
    expect(outcomeOf(await login.send(answer))).toBe("invalid_passkey");
    // The challenge is used up.
    await node.authority.users.update(principal.userId, { isActive: true });
    expect(outcomeOf(await login.send(answer))).toBe("invalid_passkey");
    expect(outcomeOf((await begin()).login.step)).toBe("init");
  });
});

it("keys that were reset do not come back with one that is being added", async () => {
  const session = await start();
  await setUp(session, session.key);
  const { secondFactors } = node.authority;
  const form = await secondFactors.beginSetup("webauthn", session.principal);
  const second = new SoftwareAuthenticator(origin);
  const input = second.create(shownIn(form).options ?? "");
  store.beforeCommit(
    ({ put = [] }) => put.some(({ value }) => "enrolments" in value),
    () => secondFactors.reset(session.principal.userId, undefined, null),
  );
  expect(await codeOf(secondFactors.advanceSetup(form.flow_id, input, session.principal))).toBe("conflict");
  // The reset has ended the set-up, too.
  expect(await codeOf(secondFactors.advanceSetup(form.flow_id, input, session.principal))).toBe(
    "invalid_flow",
  );
  expect(await setUp(session, second)).toBe("done");
  expect(await use(session.key)).toBe("invalid_passkey");
  expect(await use(second)).toBe("create_entry");
});

it("a key's certificates are not looked at: the gateway fetches nothing that they name", async () => {
  const session = await start();
  let asked = 0;
  const crl = createServer((_request, response) => {
    asked += 1;
    response.end();
  });
  await once(crl.listen(0, "127.0.0.1"), "listening");
  const { port } = crl.address() as AddressInfo;
  const { secondFactors } = node.authority;
  const form = await secondFactors.beginSetup("webauthn", session.principal);
  const input = chainedAttestation(shownIn(form).options ?? "", origin, `http://127.0.0.1:${port}/`);
  expect(input.attestation_object?.length).toBeLessThanOrEqual(1024);
  const step = await secondFactors.advanceSetup(form.flow_id, input, session.principal);
  crl.close();
  expect([asked, step.type]).toEqual([0, "create_entry"]);
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

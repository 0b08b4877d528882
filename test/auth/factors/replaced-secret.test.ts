import { randomBytes } from "node:crypto";
import { afterEach, expect, it } from "vitest";

import { createFactors } from "../../../src/auth/factors/factor-types.ts";
import { resealFactors } from "../../../src/auth/factors/reseal-factors.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { recordKeys } from "../../../src/auth/record-keys.ts";
import { createSealing } from "../../../src/auth/tokens/sealing.ts";
import { rotateSecret } from "../../../src/auth/tokens/secret-rotation.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { handClock } from "../../support/hand-clock.ts";
import { type InterposedStore, interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { SoftwareAuthenticator } from "../../support/software-authenticator.ts";
import { codeAt, enrolledUser, grantOf, Login, outcomeOf, shownIn, wrongCodeAt } from "./factor-people.ts";

const origin = "https://gatehouse.test";
const clock = handClock();
let node: TestAuthority;
let opened: { readonly store: InterposedStore; readonly close: () => Promise<void> };
let secret: Uint8Array;
afterEach(async () => {
  await node.stop();
  await opened.close();
});

async function start() {
  node = await startAuthority({
    store: opened.store,
    clock,
    secret,
    factors: (tools) => createFactors([{ type: "totp" }, { type: "webauthn" }, { type: "recovery" }], tools),
    providers: (tools) => [createHomeAssistantProvider(tools)],
  });
}

async function replaceSecret(): Promise<void> {
  await node.stop();
  const to = randomBytes(32);
  await rotateSecret({ store: opened.store, from: secret, to, now: clock.now() });
  secret = to;
  await start();
}

async function loginWith(factor: string) {
  const login = await new Login(node).begin("ada");
  await login.send({ multi_factor_auth_module: factor });
  return login;
}

it("everybody's second factors go on when the installation's secret is replaced, as far as they were used", async () => {
  opened = await interposedEmbeddedStore(clock);
  secret = randomBytes(32);
  await start();
  await node.owner();
  const { secret: app, principal, user } = await enrolledUser(node, "ada");
  const { secondFactors } = node.authority;
  const key = new SoftwareAuthenticator(origin);
  key.counter = 5;
  const adding = await secondFactors.beginSetup("webauthn", principal);
  await secondFactors.advanceSetup(adding.flow_id, key.create(shownIn(adding).options ?? ""), principal);
  const shown = await secondFactors.beginSetup("recovery", principal);
  const [first = "", second = ""] = shownIn(shown).codes?.split("\n") ?? [];
  await secondFactors.advanceSetup(shown.flow_id, {}, principal);
  const used = codeAt(app, clock.now());
  expect(outcomeOf(await (await loginWith("totp")).send({ code: used }))).toBe("create_entry");
  expect(outcomeOf(await (await loginWith("recovery")).send({ code: first }))).toBe("create_entry");

  const before = await opened.store.get([recordKeys.factors(user.id)]);
  await replaceSecret();
  const old = createSealing(Buffer.alloc(32, 9));
  await opened.store.commit({ put: [{ key: recordKeys.factors("damaged"), value: { enrolments: 1 } }] });
  expect(JSON.stringify(await opened.store.get([recordKeys.factors(user.id)]))).not.toBe(
    JSON.stringify(before),
  );
  // Another call, as after one that was cut short, finds nothing to do.
  const after = createSealing(secret);
  await resealFactors({ store: opened.store, from: old, to: after });

  expect(outcomeOf(await (await loginWith("totp")).send({ code: used }))).toBe("invalid_code");
  expect(outcomeOf(await (await loginWith("recovery")).send({ code: first }))).toBe("invalid_code");
  expect(outcomeOf(await (await loginWith("recovery")).send({ code: second }))).toBe("create_entry");
  const withKey = await loginWith("webauthn");
  expect(outcomeOf(await withKey.send(key.get(shownIn(withKey.step).options ?? "")))).toBe("create_entry");
  clock.advance(30_000);
  const wrong = await loginWith("totp");
  expect(outcomeOf(await wrong.send({ code: wrongCodeAt(app, clock.now()) }))).toBe("invalid_code");
  grantOf(await wrong.send({ code: codeAt(app, clock.now()) }));
});

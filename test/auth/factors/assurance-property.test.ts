import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";

import { createFactors, type FactorEntry } from "../../../src/auth/factors/factor-types.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { passkeyProviderType } from "../../../src/auth/providers/passkey/type.ts";
import { parseAddressRanges } from "../../../src/net/address-ranges.ts";
import { startAuthority } from "../../support/authority.ts";
import { type CodeWebhook, startCodeWebhook } from "../../support/code-webhook.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { handClock } from "../../support/hand-clock.ts";
import { interposedEmbeddedStore } from "../../support/interposed-store.ts";
import { proofScrypt } from "../../support/scram-client.ts";
import { changes, type Nodes, type Operation, World, waysIn } from "./assurance-world.ts";

/*
 * Random orders of logins and step-ups at several providers, with each factor, set-up and removal of factors, demands of groups, and
 * everything that makes a session of another one, on two nodes; some changes come right before a commit of a login. After each
 * operation both nodes are asked for every token that was ever given: whoever is served has a session whose person has
 * proved a factor, if that is demanded at that moment. Whether they have, the test notes by what it has sent itself.
 */

const budget = { attempts: 10_000, refillMs: 1 };
let nodes: Nodes;
let phone: CodeWebhook;
let opened: Awaited<ReturnType<typeof interposedEmbeddedStore>>;
beforeAll(async () => {
  const clock = handClock();
  opened = await interposedEmbeddedStore(clock);
  phone = await startCodeWebhook();
  const factors: readonly FactorEntry[] = [
    { type: "totp" },
    { type: "notify", webhook: phone.url },
    { type: "webauthn" },
    { type: "recovery" },
  ];
  const first = await startAuthority({
    clock,
    store: opened.store,
    passwords: { parameters: proofScrypt, workers: 1 },
    loginBudgets: { pair: budget, address: budget, account: budget, secondFactor: budget },
    factors: (tools) => createFactors(factors, tools),
    providers: (tools) => [
      createHomeAssistantProvider(tools),
      guestProvider(),
      { ...guestProvider(undefined, "proxy"), supportsMfa: true },
      passkeyProviderType.create(
        { type: "passkey" },
        { ...tools, factors, trustedProxies: parseAddressRanges([]), loaded: new Map() },
      ),
    ],
  });
  await first.owner();
  nodes = [first, await first.another()];
});
afterAll(async () => {
  await nodes?.[0].stop();
  await opened?.close();
  await phone?.stop();
});

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom("step" as const, "login" as const) },
    { weight: 2, arbitrary: fc.constantFrom(...waysIn) },
    { weight: 2, arbitrary: fc.constantFrom(...changes) },
  ),
  node: fc.constantFrom(0 as const, 1 as const),
  pick: fc.nat(11),
  meanwhile: fc.option(fc.constantFrom(...changes), { freq: 3, nil: undefined }),
});

it("nobody is served below what policy demands at that moment", async () => {
  let count = 0;
  const served = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 50 }), async (run) => {
      const world = await World.create({ nodes, phone, store: opened.store }, `person${count++}`);
      for (const each of run) {
        await world.run(each);
        await world.check(each);
      }
      for (const amr of world.servedByDemand) served.add(amr);
    }),
    { numRuns: 25, endOnFailure: true },
  );
  // It has looked at what it is about.
  expect(served.size).toBeGreaterThan(0);
}, 300_000);

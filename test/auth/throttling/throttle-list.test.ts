import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { indexKeys } from "../../../src/auth/record-keys.ts";
import type { Throttle } from "../../../src/auth/throttling/throttle-list.ts";
import { abroad, home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";

const budgets = {
  pair: { attempts: 2, refillMs: 60_000 },
  account: { attempts: 3, refillMs: 60_000 },
  address: { attempts: 4, refillMs: 60_000 },
};
const handler = ["homeassistant", null] as [string, null];

let node: TestAuthority;
beforeEach(async () => {
  node = await startAuthority({ loginBudgets: budgets });
  await node.owner();
});
afterEach(() => node.stop());

async function logIn(username: string, from: { address: string }, password: string = ownerLogin.password) {
  const { logins } = node.authority;
  const request = { handler, purpose: "session", clientId: null, clientName: null } as const;
  const start = await logins.start({ ...request, redirectUri: null, codeChallenge: null }, from);
  const { flow_id: flowId } = start.step;
  const input = { username, password };
  return await logins.advance({ flowId, flowSecret: start.flowSecret, input }, from).then(
    ({ step }) => step.type,
    ({ code }: { code: string }) => code,
  );
}
const guess = (username: string, from: { address: string }) => logIn(username, from, "wrong horse");
async function guesses(count: number, username: string, from: { address: string }) {
  for (let each = 0; each < count; each += 1) await guess(username, from);
}
async function listed(): Promise<readonly Throttle[]> {
  return (await node.authority.throttles.page({ after: undefined, limit: 100 })).throttles;
}
const kindsOf = (throttles: readonly Throttle[]) => throttles.map(({ kind }) => kind);

describe("the list of throttles", () => {
  it("says whose tries have to wait, from where, and for how long, once a budget is exhausted", async () => {
    const owner = await node.owner();
    await guesses(1, "olivia", abroad);
    expect(await listed()).toEqual([]);
    await guesses(1, "olivia", abroad);
    expect(await listed()).toEqual([
      {
        id: expect.stringMatching(/^p/),
        kind: "account_and_address",
        userId: owner.id,
        credential: expect.objectContaining({ subject: "olivia", providerType: "homeassistant" }),
        address: abroad.address,
        attemptsLeft: 0,
        retryAfterMs: 60_000,
        endsAt: node.clock.now() + 120_000,
      },
    ]);
    node.clock.advance(60_000);
    expect(await listed()).toMatchObject([{ attemptsLeft: 1, retryAfterMs: 0 }]);
    node.clock.advance(60_000);
    expect(await listed()).toEqual([]);
  });

  it("keeps no name that somebody typed, and says of which address it was", async () => {
    await guesses(2, "my secret typed as a name", abroad);
    await guesses(2, "nobody", abroad);
    const all = await listed();
    expect(kindsOf(all).toSorted()).toEqual(["account_and_address", "account_and_address", "address"]);
    for (const throttle of all)
      expect(throttle).toMatchObject({ userId: null, credential: null, address: abroad.address });
    expect(JSON.stringify(all)).not.toMatch(/secret|nobody/);
  });

  it("comes in pages", async () => {
    for (const host of [1, 2, 3, 4, 5]) await guesses(2, `nobody ${host}`, { address: `198.51.100.${host}` });
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await node.authority.throttles.page({ after, limit: 2 });
      seen.push(...page.throttles.map(({ id }) => id));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual((await listed()).map(({ id }) => id));
    expect(seen).toHaveLength(5);
  });

  it("does not go on after a login, and does not grow with attacks that are over", async () => {
    await guesses(1, "olivia", abroad);
    expect(await logIn("olivia", abroad)).toBe("create_entry");
    expect(await listed()).toEqual([]);
    const members = () => node.store.list(indexKeys.throttles, { limit: 1000 });
    for (let host = 0; host < 20; host += 1) await guesses(2, "nobody", { address: `198.51.100.${host}` });
    node.clock.advance(3_600_000);
    const before = (await members()).length;
    // A sweep looks at 32, from a random place on and then from the beginning.
    for (let sweeps = 0; sweeps < Math.ceil(before / 32); sweeps += 1) await node.authority.throttles.sweep();
    expect([before > 0, (await members()).length]).toEqual([true, 0]);
  });
});

it("tokens that have expired, or are none, are no tries", async () => {
  const { accessToken } = await node.open((await node.owner()).id);
  node.clock.advance(3_600_000);
  for (const token of [accessToken, "no token"])
    for (let count = 0; count < 10; count += 1)
      expect(await node.authority.authentication.authenticate(token, abroad)).toMatchObject({ ok: false });
  expect(await logIn("olivia", abroad)).toBe("create_entry");
});

describe("a throttle that is lifted", () => {
  it("is over, once, and an address that was known stays known", async () => {
    expect(await logIn("olivia", home)).toBe("create_entry");
    await guesses(2, "olivia", home);
    expect(await logIn("olivia", home)).toBe("rate_limited");
    const [throttle] = await listed();
    const { throttles } = node.authority;
    expect(throttle).toMatchObject({ kind: "account_and_address", address: home.address });
    const lifts = await Promise.allSettled([1, 2, 3].map(() => throttles.lift(throttle?.id ?? "")));
    expect(lifts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await expect(throttles.lift(throttle?.id ?? "")).rejects.toMatchObject({ code: "not_found" });
    expect(await listed()).toEqual([]);
    for (const host of [1, 2, 3, 4]) await guesses(1, "olivia", { address: `198.51.100.${host}` });
    expect(await logIn("olivia", abroad)).toBe("rate_limited");
    expect(await logIn("olivia", home)).toBe("create_entry");
  });

  it("of the own password lets a user try again", async () => {
    const { session, accessToken } = await node.open((await node.owner()).id);
    const principal = await node.principal(accessToken);
    const change = async () =>
      await node.authority.localLogins
        .changeOwnPassword(principal, "wrong horse", "another horse battery", home)
        .catch(({ code }: { code: string }) => code);
    for (let count = 0; count < 5; count += 1) expect(await change()).toBe("invalid_current_password");
    expect(await change()).toBe("rate_limited");
    const [throttle] = await listed();
    expect(throttle).toMatchObject({ kind: "password_change", userId: session.userId, credential: null });
    await node.authority.throttles.lift(throttle?.id ?? "");
    expect(await change()).toBe("invalid_current_password");
  });

  it.each(["", "x", "a", "user:1", `o${"z".repeat(32)}`, `a${"x".repeat(59)}`])(
    "is not found as %j",
    async (id) => {
      await expect(node.authority.throttles.lift(id)).rejects.toMatchObject({ code: "not_found" });
    },
  );
});

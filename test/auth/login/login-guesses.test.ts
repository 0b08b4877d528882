import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Peer } from "../../../src/auth/model.ts";
import { defaultLoginBudgets } from "../../../src/auth/throttling/login-throttle.ts";
import { type OpenStore, openStore } from "../tokens/installation.ts";
import {
  ada,
  addPerson,
  claimOf,
  codeOf,
  holder,
  type LoginDomain,
  loginDomain,
  peer,
  startRequest,
} from "./login-domain.ts";

let opened: OpenStore;
let domain: LoginDomain;
beforeEach(async () => {
  opened = await openStore();
  domain = await loginDomain(opened);
});
afterEach(async () => {
  await domain.close();
  await opened.dispose();
});

const wrong = { username: "ada", password: "wrong-horse" };
const { attempts } = defaultLoginBudgets.pair;

/** A guess in a flow of its own. Returns the type of the step, or the error code. */
async function guess(input: { username: string; password: string }, from: Peer = peer, on = domain) {
  const started = await on.flows.start(startRequest(), from);
  const work = on.flows.advance({ ...claimOf(started), input }, from);
  return await work.then(
    ({ step }) => step.type,
    (error: unknown) => error as { readonly code: string; readonly retryAfterSeconds: number },
  );
}

async function useUp(username: string, from: Peer = peer) {
  for (let count = 0; count < attempts; count += 1)
    expect(await guess({ ...wrong, username }, from)).toBe("form");
}

describe("guesses over the budget", () => {
  it("are refused without hashing, in new flows, on other nodes, in any spelling, also if right", async () => {
    await addPerson(domain);
    await useUp("ada");
    const other = await loginDomain(opened);
    const before = domain.passwords.load().runs;
    for (const username of ["ada", " ADA ", "ａｄａ"]) {
      const refusal = { code: "rate_limited", retryAfterSeconds: 120 };
      expect(await guess({ ...ada, username })).toMatchObject(refusal);
      expect(await guess({ ...ada, username }, peer, other)).toMatchObject(refusal);
    }
    expect([domain.passwords.load().runs - before, other.passwords.load().runs]).toEqual([0, 0]);
    opened.clock.pass(defaultLoginBudgets.pair.refillMs);
    expect(await guess(ada)).toBe("create_entry");
    await other.close();
  });

  it("read the same for a known name, an unknown one, and one that may not log in", async () => {
    await addPerson(domain);
    const inactive = await addPerson(domain, { ...ada, username: "inactive" });
    await domain.users.update(inactive.id, { isActive: false });
    const refusals: unknown[] = [];
    for (const username of ["ada", "nobody", "inactive"]) {
      const from: Peer = { address: `198.51.100.${refusals.length}` };
      for (let count = 0; count < attempts; count += 1)
        expect(await guess({ username, password: username === "ada" ? "wrong" : ada.password }, from)).toBe(
          "form",
        );
      refusals.push(await guess({ ...ada, username }, from));
    }
    const seen = refusals.map((refusal) => JSON.stringify(refusal));
    expect(new Set(seen).size).toBe(1);
    expect(refusals[0]).toMatchObject({ code: "rate_limited", publicMessage: "Too many requests" });
  });

  it("name the user in the audit log, and nobody for an unknown name", async () => {
    const user = await addPerson(domain);
    const about = async (username: string) => {
      await useUp(username);
      const started = await domain.flows.start(startRequest(), peer);
      const work = domain.flows.advance({ ...claimOf(started), input: { ...ada, username } }, peer);
      const error = await work.catch(
        (reason: unknown) => reason as { userId(): Promise<string | undefined> },
      );
      return "userId" in error && typeof error.userId === "function" ? await error.userId() : "none asked";
    };
    expect(await about("ada")).toBe(user.id);
    expect(await about("my secret typed as a name")).toBeUndefined();
  });

  it("cost the flow no attempt", async () => {
    await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer, holder());
    await useUp("ada");
    const send = () => domain.flows.advance({ ...claimOf(started), input: ada }, peer);
    for (let count = 0; count < 10; count += 1) expect(await codeOf(send())).toBe("rate_limited");
    opened.clock.pass(defaultLoginBudgets.pair.refillMs);
    expect((await send()).step.type).toBe("create_entry");
  });

  it("from many addresses do not limit the owner at an address where she logged in before", async () => {
    await addPerson(domain);
    expect(await guess(ada)).toBe("create_entry");
    for (const host of [1, 2, 3]) {
      const from = { address: `198.51.100.${host}` };
      for (let count = 0; count < attempts; count += 1) await guess(wrong, from);
    }
    expect(await guess(ada, { address: "198.51.100.99" })).toMatchObject({ code: "rate_limited" });
    expect(await guess(ada)).toBe("create_entry");
  });

  it("are not charged if a full queue refuses them", async () => {
    await addPerson(domain);
    const full = await loginDomain(opened, { passwords: { queueLimit: 0, queueLimitPerKey: 0 } });
    for (let count = 0; count < attempts * 2; count += 1)
      expect(await guess(ada, peer, full)).toMatchObject({ code: "overloaded" });
    expect(await guess(ada)).toBe("create_entry");
    await full.close();
  });
});

describe("an answer", () => {
  it("names the user of the input, for the audit log only", async () => {
    const user = await addPerson(domain);
    const started = await domain.flows.start(startRequest(), peer);
    const answer = (input: object) =>
      domain.flows.advance({ ...claimOf(started), input: { ...input } }, peer);
    expect(await answer(wrong)).toMatchObject({ userId: user.id });
    expect((await answer({ ...wrong, username: "nobody" })).userId).toBeUndefined();
    const { step, userId } = await answer(ada);
    expect(userId).toBe(user.id);
    expect(JSON.stringify(step)).not.toContain('"userId"');
  });
});

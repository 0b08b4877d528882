import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Peer } from "../../../src/auth/model.ts";
import { defaultLoginBudgets } from "../../../src/auth/throttling/login-throttle.ts";
import { type OpenStore, openStore } from "../tokens/installation.ts";
import {
  ada,
  addPerson,
  claimOf,
  forCode,
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
const { pair, account, device } = defaultLoginBudgets;
const mobile: Peer = { address: "198.51.100.200" };
const addressOf = (host: number): Peer => ({ address: `2001:db8:0:${host.toString(16)}::1` });

/** A guess in a flow of its own: the step, or the error code. */
async function guess(
  input: { username: string; password: string },
  {
    from = peer,
    deviceToken,
    on = domain,
  }: { from?: Peer; deviceToken?: string | undefined; on?: LoginDomain },
) {
  const started = await on.flows.start(startRequest({ deviceToken }), from);
  return await on.flows.advance({ ...claimOf(started), input }, from).then(
    ({ step }) => step,
    ({ code }: { code: string }) => ({ type: code, device_token: undefined }),
  );
}

async function deviceTokenOf(
  login: { username: string; password: string } = ada,
  from: Peer = peer,
): Promise<string> {
  const step = await guess(login, { from });
  if (step.type !== "create_entry" || step.device_token === undefined)
    throw new Error(`no token: ${step.type}`);
  return step.device_token;
}

describe("2,000 parallel guesses at one account from 200 addresses, at two nodes", () => {
  it("hash no more passwords than the limit, while the owner's known device logs in from a new address", async () => {
    await addPerson(domain);
    const deviceToken = await deviceTokenOf();
    const other = await loginDomain(opened);
    const nodes = [domain, other];
    const runs = () => nodes.reduce((sum, { passwords }) => sum + passwords.load().runs, 0);
    const before = runs();
    const attack = Array.from({ length: 2_000 }, (_, place) =>
      guess(wrong, { from: addressOf(place % 200), on: nodes[place % 2] ?? domain }),
    );
    const owners = await Promise.all(
      nodes.map((on, host) => guess(ada, { from: { address: `198.51.100.${host}` }, deviceToken, on })),
    );
    const types = (await Promise.all(attack)).map(({ type }) => type);
    expect(owners.map(({ type }) => type)).toEqual(["create_entry", "create_entry"]);
    expect(types.filter((type) => type === "form")).toHaveLength(account.attempts);
    expect(types.filter((type) => type === "rate_limited")).toHaveLength(2_000 - account.attempts);
    expect(runs() - before).toBe(account.attempts + owners.length);
    await other.close();
  });
});

describe("a device that the account logged in on", () => {
  it("is not delayed by guesses from its own address, nor at a new one", async () => {
    await addPerson(domain);
    const deviceToken = await deviceTokenOf();
    for (let count = 0; count <= pair.attempts; count += 1) await guess(wrong, {});
    for (let count = 0; count <= pair.attempts * 2; count += 1)
      await guess(wrong, { from: addressOf(count) });
    expect(await guess(ada, {})).toMatchObject({ type: "rate_limited" });
    expect(await guess(ada, { from: mobile })).toMatchObject({ type: "rate_limited" });
    expect(await guess(ada, { deviceToken })).toMatchObject({ type: "create_entry" });
    expect(await guess(ada, { from: mobile, deviceToken })).toMatchObject({ type: "create_entry" });
  });

  it("has a bounded number of guesses of its own, which cost nobody else any", async () => {
    await addPerson(domain);
    const deviceToken = await deviceTokenOf();
    const runs = domain.passwords.load().runs;
    for (let count = 0; count < device.attempts; count += 1)
      expect(await guess(wrong, { from: addressOf(count), deviceToken })).toMatchObject({ type: "form" });
    const right = { from: mobile, deviceToken };
    expect(await guess(ada, right)).toMatchObject({ type: "rate_limited" });
    expect(domain.passwords.load().runs - runs).toBe(device.attempts);
    expect(await guess(ada, { from: mobile })).toMatchObject({ type: "create_entry" });
    opened.clock.pass(device.refillMs);
    expect(await guess(ada, right)).toMatchObject({ type: "create_entry" });
    expect(await guess(ada, right)).toMatchObject({ type: "create_entry" });
  });

  it("is known to nobody else's account, and a token that is not good is like none", async () => {
    await addPerson(domain);
    await addPerson(domain, { ...ada, username: "eve" });
    const eves = await deviceTokenOf({ ...ada, username: "eve" });
    for (let count = 0; count <= pair.attempts; count += 1) await guess(wrong, { from: mobile });
    for (const deviceToken of [eves, "ghd_forged", `${eves}x`])
      expect(await guess(ada, { from: mobile, deviceToken })).toMatchObject({ type: "rate_limited" });
  });

  it("is none any more once the password is another one, which a new hash of the same is not", async () => {
    const user = await addPerson(domain);
    const deviceToken = await deviceTokenOf();
    const exhausted = async () => {
      for (let count = 0; count <= pair.attempts; count += 1) await guess(wrong, { from: mobile });
      return (await guess(ada, { from: mobile })).type;
    };
    expect(await exhausted()).toBe("rate_limited");
    const stronger = await loginDomain(opened, { passwords: { parameters: { N: 2048, r: 8, p: 1 } } });
    expect(await guess(ada, { deviceToken, on: stronger })).toMatchObject({ type: "create_entry" });
    expect(await guess(ada, { from: mobile, deviceToken })).toMatchObject({ type: "create_entry" });
    await stronger.close();
    await domain.logins.setPassword(user.id, "a new horse, a new battery");
    expect(await exhausted()).toBe("rate_limited");
    expect(await guess(wrong, { from: mobile, deviceToken })).toMatchObject({ type: "rate_limited" });
  });

  it("may belong to several people, and gets its token from a login for a code, too", async () => {
    await addPerson(domain);
    await addPerson(domain, { ...ada, username: "eve" });
    const adas = await deviceTokenOf();
    const started = await domain.flows.start(startRequest({ ...forCode, deviceToken: adas }), peer);
    const input = { ...ada, username: "eve" };
    const { step } = await domain.flows.advance({ ...claimOf(started), input }, peer);
    const deviceToken = step.type === "create_entry" ? step.device_token : undefined;
    expect(deviceToken).toEqual(expect.any(String));
    for (const username of ["ada", "eve"]) {
      for (let host = 0; host < account.attempts; host += 1)
        await guess({ ...wrong, username }, { from: addressOf(host) });
      expect(await guess({ ...ada, username }, { from: mobile, deviceToken })).toMatchObject({
        type: "create_entry",
      });
    }
  });

  it("gets no token from a login that fails", async () => {
    const user = await addPerson(domain);
    expect(await guess(wrong, {})).not.toHaveProperty("device_token");
    await domain.users.update(user.id, { isActive: false });
    expect(await guess(ada, {})).not.toHaveProperty("device_token");
  });
});

import { afterEach, expect, it } from "vitest";

import type { FlowStep } from "../../../protocol/flow.ts";
import type { Peer } from "../../../src/auth/model.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import type { Step } from "../../../src/auth/store.ts";
import { abroad, home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { guestProvider } from "../../support/guest-provider.ts";
import { type HandClock, handClock } from "../../support/hand-clock.ts";
import { interposedEmbeddedStore } from "../../support/interposed-store.ts";

const waits = { activate: false, groups: ["system-users"] };
const request = {
  handler: ["guest", null] as [string, null],
  purpose: "session",
  clientId: null,
  clientName: "A phone",
  redirectUri: null,
  codeChallenge: null,
} as const;

let node: TestAuthority;
afterEach(() => node.stop());

async function start(more: Parameters<typeof startAuthority>[0] = {}) {
  const guests = guestProvider(waits);
  node = await startAuthority({
    providers: (tools) => [createHomeAssistantProvider(tools), guests],
    ...more,
  });
  await node.owner();
  return guests;
}

async function ask(name: string, peer: Peer = home, clientName = request.clientName as string) {
  const { logins } = node.authority;
  const { step, flowSecret } = await logins.start({ ...request, clientName }, peer);
  const claim = { flowId: step.flow_id, flowSecret };
  return { claim, answer: await logins.advance({ ...claim, input: { name } }, peer) };
}
const outcomeOf = (step: FlowStep) => (step.type === "abort" ? step.reason : step.type);

it("end with the refusal of their user, also if the person has asked again meanwhile", async () => {
  await start();
  const { approvals, logins } = node.authority;
  const first = await ask("gus");
  const [waiting] = await approvals.list();
  await approvals.refuse(waiting?.userId ?? "");
  await ask("gus");
  expect(outcomeOf((await logins.resume(first.claim, home)).step)).toBe("not_approved");
  expect(await approvals.list()).toHaveLength(1);
});

it("leave no place taken by somebody who does not wait any more", async () => {
  await start({ approvals: { limits: { perAddress: 1 } } });
  const { approvals, users } = node.authority;
  for (const [name, decide] of [
    ["gus", (id: string) => users.update(id, { isActive: true })],
    ["hal", (id: string) => users.remove(id)],
    ["ida", (id: string) => users.update(id, { state: "deactivated" })],
  ] as const) {
    expect(outcomeOf((await ask(name)).answer.step)).toBe("progress");
    const [waiting] = await approvals.list();
    await decide(waiting?.userId ?? "");
    expect(await approvals.list()).toEqual([]);
  }
  expect(outcomeOf((await ask("jan")).answer.step)).toBe("progress");
  expect(outcomeOf((await ask("kim")).answer.step)).toBe("approvals_full");
  expect(outcomeOf((await ask("kim", abroad)).answer.step)).toBe("progress");
});

it("wait on while the clocks disagree on whether they have waited too long", async () => {
  const real = handClock();
  let ahead = 0;
  const clock: HandClock = { ...real, now: () => real.now() + ahead, earliest: real.now };
  await start({ clock });
  const { approvals, users } = node.authority;
  await ask("gus");
  const [waiting] = await approvals.list();
  ahead = 8 * 86_400_000;
  await approvals.removeExpired();
  expect((await users.read(waiting?.userId ?? ""))?.user.state).toBe("pending");
  ahead = 0;
  expect(await approvals.list()).toEqual([waiting]);
  real.advance(8 * 86_400_000);
  await approvals.removeExpired();
  expect(await users.read(waiting?.userId ?? "")).toBeUndefined();
});

it("rewrite their entry seldom, however often the person logs in from other devices", async () => {
  await start();
  const { approvals } = node.authority;
  const told: unknown[] = [];
  approvals.onRequest(({ address }) => told.push(address));
  for (let count = 0; count < 10; count += 1) await ask("gus", count % 2 === 0 ? home : abroad);
  expect(await approvals.list()).toMatchObject([{ address: home.address }]);
  node.clock.advance(5_000);
  await ask("gus", abroad);
  expect(await approvals.list()).toMatchObject([{ address: abroad.address }]);
  await eventually("the events", () => told.length === 2);
});

it("finish also if the user changes at that moment, and say if the user may not log in from there", async () => {
  const clock = handClock();
  const { store, close } = await interposedEmbeddedStore(clock);
  await start({ clock, store });
  const { approvals, logins, users } = node.authority;
  const resumed = async ({ claim }: Awaited<ReturnType<typeof ask>>, peer: Peer = home) =>
    outcomeOf((await logins.resume(claim, peer)).step);
  const idOf = async () => (await approvals.list())[0]?.userId ?? "";
  const first = await ask("gus");
  const gus = await idOf();
  await approvals.approve(gus);
  const opensSession = ({ put = [] }: Step) => put.some(({ key }) => key.includes("session"));
  store.beforeCommit(opensSession, () => users.update(gus, { name: "Gustav" }));
  expect(await resumed(first)).toBe("create_entry");
  const second = await ask("hal", abroad);
  const hal = await idOf();
  await approvals.approve(hal);
  await users.update(hal, { localOnly: true });
  expect(await resumed(second, abroad)).toBe("not_allowed");
  const third = await ask("ida");
  await users.update(await idOf(), { state: "deactivated" });
  expect(await resumed(third)).toBe("not_allowed");
  await node.stop();
  node = { ...node, stop: close };
});

it("are refused before their record is too large for the store, and have a name that can be shown", async () => {
  await start({ approvals: { limits: { total: 500, perProvider: 500, perAddress: 500 } } });
  const { approvals } = node.authority;
  // Longer than one message could say, so that few are enough.
  const askAt = (name: string) => ask(`${name}\u0001\u202e`, home, "\u0002".repeat(40_000));
  const outcomes: string[] = [];
  for (let count = 0; count < 5; count += 1)
    outcomes.push(outcomeOf((await askAt(`gus ${count}`)).answer.step));
  expect(outcomes).toEqual(["progress", "progress", "progress", "progress", "approvals_full"]);
  const waiting = await approvals.list();
  expect(waiting.map(({ name }) => name)).toEqual(["gus 0", "gus 1", "gus 2", "gus 3"]);
  await approvals.approve(waiting[0]?.userId ?? "");
  expect(outcomeOf((await askAt("gus 4")).answer.step)).toBe("progress");
});

it("are all taken, and all decided on, if many ask and many decide at once on two nodes", async () => {
  await start({ approvals: { limits: { perAddress: 100 } } });
  const other = await node.another();
  const names = Array.from({ length: 40 }, (_, place) => `gus ${place}`);
  const asked = await Promise.all(names.map((name) => ask(name)));
  expect(asked.map(({ answer }) => outcomeOf(answer.step))).toEqual(names.map(() => "progress"));
  const waiting = await node.authority.approvals.list();
  const decided = waiting.map(({ userId }, place) => {
    const { approvals } = (place % 2 === 0 ? node : other).authority;
    return place % 4 < 2 ? approvals.approve(userId) : approvals.refuse(userId);
  });
  const outcomes = await Promise.allSettled(decided);
  expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
  expect(await other.authority.approvals.list()).toEqual([]);
  expect(await node.authority.users.list()).toHaveLength(1 + 20);
});

import { afterEach, describe, expect, it } from "vitest";

import type { FlowStep } from "../../../protocol/flow.ts";
import type { FlowAnswer, FlowHolder } from "../../../src/auth/login/login-flows.ts";
import type { Peer } from "../../../src/auth/model.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { abroad, home, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { eventually } from "../../support/eventually.ts";
import { type GuestProvider, guestProvider } from "../../support/guest-provider.ts";
import { refusal } from "../../support/refusal.ts";

const waits = { activate: false, groups: ["system-users"] };
const welcome = { activate: true, groups: ["system-users"] };
const minute = 60_000;
const day = 86_400_000;

const open: TestAuthority[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.stop();
});

async function withGuests(
  guests: GuestProvider,
  more: Parameters<typeof startAuthority>[0] = {},
): Promise<TestAuthority> {
  const node = await startAuthority({
    providers: (tools) => [createHomeAssistantProvider(tools), guests],
    ...more,
  });
  open.push(node);
  await node.owner();
  return node;
}

const request = {
  handler: ["guest", null] as [string, null],
  purpose: "session",
  clientId: null,
  clientName: "A phone",
  redirectUri: null,
  codeChallenge: null,
} as const;

async function begin(
  { authority }: TestAuthority,
  name: string,
  { peer = home, holder }: { readonly peer?: Peer; readonly holder?: FlowHolder } = {},
): Promise<FlowAnswer> {
  const { step, flowSecret } = await authority.logins.start(request, peer, holder);
  return await authority.logins.advance({ flowId: step.flow_id, flowSecret, input: { name } }, peer);
}

const stepOf = async (...about: Parameters<typeof begin>) => (await begin(...about)).step;
const codeIn = (step: FlowStep) =>
  step.type === "progress" ? step.description_placeholders?.code : undefined;
const reasonIn = (step: FlowStep) => (step.type === "abort" ? step.reason : step.type);

async function userNamed({ authority }: TestAuthority, name: string) {
  const found = (await authority.users.list()).filter((user) => user.name === name);
  if (found.length > 1) throw new Error(`${found.length} users with this name`);
  return found[0];
}

async function waitingId({ authority }: TestAuthority): Promise<string> {
  const [first] = await authority.approvals.list();
  if (first === undefined) throw new Error("nobody waits");
  return first.userId;
}

/** A holder whose promise resolves when the flow continues for the `times`-th time. */
function ear(times = 1) {
  let told = 0;
  let resolve: () => void = () => undefined;
  const heard = new Promise<void>((done) => (resolve = done));
  const flowContinued = () => {
    told += 1;
    if (told === times) resolve();
  };
  return { flowContinued, heard };
}

describe("a first login at a provider with new users", () => {
  it("makes an active user with the groups of the configuration, if they are activated", async () => {
    const node = await withGuests(guestProvider(welcome));
    expect((await stepOf(node, "gus")).type).toBe("create_entry");
    expect(await userNamed(node, "gus")).toMatchObject({ state: "active", groupIds: ["system-users"] });
    expect((await stepOf(node, "gus")).type).toBe("create_entry");
    expect(await userNamed(node, "gus")).toBeDefined();
  });
  it("makes no user at a provider without", async () => {
    const node = await withGuests(guestProvider());
    expect(await stepOf(node, "gus")).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    expect(await node.authority.users.list()).toHaveLength(1);
  });
  it("makes one user of ten logins at once", async () => {
    const node = await withGuests(guestProvider(welcome));
    const steps = await Promise.all(Array.from({ length: 10 }, () => stepOf(node, "gus")));
    expect(steps.map(({ type }) => type)).toEqual(Array(10).fill("create_entry"));
    expect(await userNamed(node, "gus")).toBeDefined();
  });
  it("links to the user that the provider names, once, and to nobody who may not act", async () => {
    const guests = guestProvider();
    const node = await withGuests(guests);
    const { user } = await node.user("hanna");
    guests.linkTo = user.id;
    expect((await stepOf(node, user.id)).type).toBe("create_entry");
    expect(await node.authority.credentials.list(user.id)).toHaveLength(2);
    // A user has one credential at a provider.
    expect((await stepOf(node, "another subject")).type).toBe("form");
    const { user: gone } = await node.user("ines");
    await node.authority.users.update(gone.id, { isActive: false });
    guests.linkTo = gone.id;
    expect((await stepOf(node, gone.id)).type).toBe("form");
    expect(await node.authority.credentials.list(gone.id)).toHaveLength(1);
  });
});

describe("what a provider says about a person", () => {
  it("follows at every login, and leaves out groups that do not exist", async () => {
    const guests = guestProvider(welcome);
    guests.profile = { name: "Gus", groupIds: ["system-admin", "nothing"], localOnly: false };
    const node = await withGuests(guests);
    await stepOf(node, "gus");
    expect(await userNamed(node, "Gus")).toMatchObject({ groupIds: ["system-admin"], localOnly: false });
    guests.profile = { name: "August", groupIds: ["system-users"], localOnly: true };
    expect((await stepOf(node, "gus")).type).toBe("create_entry");
    expect(await userNamed(node, "August")).toMatchObject({ groupIds: ["system-users"], localOnly: true });
    // Local-only from this login on.
    expect((await stepOf(node, "gus", { peer: abroad })).type).toBe("form");
    guests.profile = {};
    await stepOf(node, "gus");
    expect(await userNamed(node, "August")).toMatchObject({ groupIds: ["system-users"], localOnly: true });
  });
  it("does not decide on the owner's rights", async () => {
    const guests = guestProvider();
    const node = await withGuests(guests);
    const owner = await node.owner();
    guests.linkTo = owner.id;
    await stepOf(node, "the owner");
    guests.profile = { name: "Boss", groupIds: [], localOnly: true };
    expect((await stepOf(node, "the owner", { peer: abroad })).type).toBe("create_entry");
    expect(await node.owner()).toMatchObject({ name: "Boss", groupIds: owner.groupIds, localOnly: false });
  });
});

describe("a user who waits for approval", () => {
  it("sees the code that the list shows, and is logged in once approved, with the groups of the decision", async () => {
    const node = await withGuests(guestProvider(waits));
    const holder = ear(2);
    const shown = await begin(node, "gus", { holder });
    expect(shown.step).toMatchObject({
      type: "progress",
      step_id: "approval",
      progress_action: "wait_for_approval",
    });
    const [entry] = await node.authority.approvals.list();
    expect(entry).toMatchObject({
      name: "gus",
      subject: "gus",
      provider: ["guest", null],
      clientName: "A phone",
      address: home.address,
      code: codeIn(shown.step),
    });
    const claim = { flowId: shown.step.flow_id, flowSecret: shown.flowSecret };
    const next = () => node.authority.logins.next({ ...claim, stepNumber: shown.stepNumber }, home, holder);
    expect(await next()).toBeUndefined();
    expect(await refusal(node.authority.logins.advance({ ...claim, input: {} }, home))).toBe("not_supported");
    await node.authority.approvals.approve(entry?.userId ?? "", ["system-read-only"]);
    await holder.heard;
    expect((await next())?.step.type).toBe("create_entry");
    expect(await userNamed(node, "gus")).toMatchObject({ state: "active", groupIds: ["system-read-only"] });
    expect(await node.authority.approvals.list()).toEqual([]);
  });
  it("is removed when refused, and the flow ends", async () => {
    const node = await withGuests(guestProvider(waits));
    const holder = ear(2);
    const shown = await begin(node, "gus", { holder });
    await node.authority.approvals.refuse(await waitingId(node));
    await holder.heard;
    const claim = { flowId: shown.step.flow_id, flowSecret: shown.flowSecret };
    const answer = await node.authority.logins.next({ ...claim, stepNumber: shown.stepNumber }, home, holder);
    expect(reasonIn(answer?.step ?? shown.step)).toBe("not_approved");
    expect(await userNamed(node, "gus")).toBeUndefined();
    // Asking again begins anew.
    const again = await stepOf(node, "gus");
    expect(again.type).toBe("progress");
    expect(codeIn(again)).not.toBe(codeIn(shown.step));
  });
  it("who left meanwhile sees the same code again, and logs in as usual once approved", async () => {
    const node = await withGuests(guestProvider(waits));
    const first = codeIn(await stepOf(node, "gus"));
    node.clock.advance(5_000);
    expect(codeIn(await stepOf(node, "gus", { peer: abroad }))).toBe(first);
    expect(await node.authority.approvals.list()).toMatchObject([{ address: abroad.address, code: first }]);
    await node.authority.approvals.approve(await waitingId(node));
    expect((await stepOf(node, "gus")).type).toBe("create_entry");
  });
  it("goes on on another node after a resume, which is told of the decision", async () => {
    const node = await withGuests(guestProvider(waits));
    const other = await node.another();
    const shown = await begin(node, "gus", { holder: ear() });
    const claim = { flowId: shown.step.flow_id, flowSecret: shown.flowSecret };
    const holder = ear();
    const resumed = await other.authority.logins.resume(claim, abroad, holder);
    expect(codeIn(resumed.step)).toBe(codeIn(shown.step));
    await node.authority.approvals.approve(await waitingId(node));
    await holder.heard;
    const answer = await other.authority.logins.next(
      { ...claim, stepNumber: resumed.stepNumber },
      abroad,
      holder,
    );
    expect(answer?.step.type).toBe("create_entry");
  });
  it("gets a code for a redirect too", async () => {
    const node = await withGuests(guestProvider(waits));
    const clientId = "https://app.example/";
    const asCode = { ...request, purpose: "code", clientId, redirectUri: "https://app.example/in" } as const;
    const { step, flowSecret } = await node.authority.logins.start(asCode, home);
    const claim = { flowId: step.flow_id, flowSecret };
    await node.authority.logins.advance({ ...claim, input: { name: "gus" } }, home);
    await node.authority.approvals.approve(await waitingId(node));
    const { step: last } = await node.authority.logins.resume(claim, home);
    expect(last).toMatchObject({ type: "create_entry", result: expect.any(String) });
  });
  it("may be activated by other means, and then waits no more", async () => {
    const node = await withGuests(guestProvider(waits));
    await stepOf(node, "gus");
    const userId = await waitingId(node);
    await node.authority.users.update(userId, { isActive: true });
    expect(await node.authority.approvals.list()).toEqual([]);
    expect(await refusal(node.authority.approvals.approve(userId))).toBe("not_found");
    expect(await refusal(node.authority.approvals.refuse(userId))).toBe("not_found");
    expect((await stepOf(node, "gus")).type).toBe("create_entry");
  });
  it("is removed after waiting too long, and waits from the last login on", async () => {
    const node = await withGuests(guestProvider(waits), { approvals: { limits: { waitMs: day } } });
    await stepOf(node, "gus");
    node.clock.advance(day - minute);
    await stepOf(node, "gus");
    await stepOf(node, "hugo");
    node.clock.advance(day - 1);
    expect(await node.authority.approvals.list()).toHaveLength(2);
    node.clock.advance(1);
    await node.authority.approvals.removeExpired();
    expect(await node.authority.users.list()).toHaveLength(1);
    expect(await node.authority.approvals.list()).toEqual([]);
  });
  it.each([
    ["in all", { total: 2, perProvider: 9, perAddress: 9 }],
    ["of one provider", { total: 9, perProvider: 2, perAddress: 9 }],
    ["from one address", { total: 9, perProvider: 9, perAddress: 2 }],
  ])("is one of a bounded number %s, also of logins at once", async (_, limits) => {
    const node = await withGuests(guestProvider(waits), { approvals: { limits } });
    const names = ["a", "b", "c", "d", "e"];
    const reasons = (await Promise.all(names.map((name) => stepOf(node, name)))).map(reasonIn);
    expect(reasons.filter((reason) => reason === "progress")).toHaveLength(2);
    expect(reasons.filter((reason) => reason === "approvals_full")).toHaveLength(3);
    expect(await node.authority.users.list()).toHaveLength(3);
    // Whoever waits already may come again.
    const [waiting] = await node.authority.approvals.list();
    expect((await stepOf(node, waiting?.subject ?? "")).type).toBe("progress");
  });
  it("is decided on once, whoever decides on which node", async () => {
    const node = await withGuests(guestProvider(waits));
    const other = await node.another();
    await stepOf(node, "gus");
    const userId = await waitingId(node);
    const decisions = Array.from({ length: 50 }, (_, place) => {
      const { approvals } = (place % 2 === 0 ? node : other).authority;
      return place % 4 < 2 ? approvals.approve(userId) : approvals.refuse(userId);
    });
    const outcomes = await Promise.allSettled(decisions);
    const decided = outcomes.flatMap(({ status }, place) => (status === "fulfilled" ? [place] : []));
    expect(decided).toHaveLength(1);
    for (const outcome of outcomes)
      if (outcome.status === "rejected") expect(["not_found", "conflict"]).toContain(outcome.reason.code);
    const isApproved = (decided[0] ?? 0) % 4 < 2;
    expect((await userNamed(node, "gus"))?.state).toBe(isApproved ? "active" : undefined);
  });
  it("is told of to those who listen, on every node that shares the events", async () => {
    const node = await withGuests(guestProvider(waits));
    const told: string[] = [];
    node.authority.approvals.onRequest(({ subject, code }) => told.push(`${subject} ${code}`));
    const code = codeIn(await stepOf(node, "gus"));
    await eventually("the request", () => told.length > 0);
    expect(told).toEqual([`gus ${code}`]);
  });
  it("shows nothing to whoever has not proved the credential", async () => {
    const node = await withGuests(guestProvider(waits));
    await stepOf(node, "gus");
    const unlike = async (name: string) => {
      const { flow_id: _, ...step } = await stepOf(node, name);
      return step;
    };
    expect(await unlike("wrong")).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
  });
});

describe("a provider that judges addresses", () => {
  it("is not shown to, and refuses, whom it does not admit, at every step", async () => {
    const guests = guestProvider(welcome);
    const node = await withGuests(guests);
    const { logins } = node.authority;
    guests.admits = ({ address }) => address === home.address;
    expect(logins.providers(abroad).map(({ type }) => type)).toEqual(["homeassistant"]);
    expect(logins.providers(home).map(({ type }) => type)).toEqual(["homeassistant", "guest"]);
    expect(reasonIn((await logins.start(request, abroad)).step)).toBe("not_allowed");
    const { step, flowSecret } = await logins.start(request, home);
    const answer = await logins.advance({ flowId: step.flow_id, flowSecret, input: { name: "gus" } }, abroad);
    expect(reasonIn(answer.step)).toBe("not_allowed");
  });
  it("is asked again at every token", async () => {
    const guests = guestProvider(welcome);
    guests.admits = () => true;
    const node = await withGuests(guests);
    const step = await stepOf(node, "gus");
    if (step.type !== "create_entry" || typeof step.result === "string") throw new Error("no session");
    const { access_token, refresh_token } = step.result;
    const { authentication, sessions } = node.authority;
    const refresh = (peer: Peer) => sessions.refresh({ refreshToken: refresh_token, peer });
    expect(await authentication.authenticate(access_token, abroad)).toMatchObject({ ok: true });
    guests.admits = ({ address }) => address === home.address;
    expect(await authentication.authenticate(access_token, abroad)).toMatchObject({
      ok: false,
      close: "address_not_allowed",
    });
    expect(await refusal(refresh(abroad))).toBe("access_denied");
    expect(await authentication.authenticate(access_token, home)).toMatchObject({ ok: true });
    const principal = await node.principal(access_token);
    const review = async (peer: Peer) => await authentication.review([{ principal, peer }]);
    expect([await review(home), await review(abroad)]).toEqual([[undefined], ["address_not_allowed"]]);
    expect((await refresh(home)).session.providerType).toBe("guest");
  });
  it("refreshes nothing any more once it is not configured", async () => {
    const node = await withGuests(guestProvider(welcome));
    const step = await stepOf(node, "gus");
    if (step.type !== "create_entry" || typeof step.result === "string") throw new Error("no session");
    const without = await startAuthority({ store: node.store, clock: node.clock, secret: node.secret });
    open.unshift(without);
    const { refresh_token: refreshToken } = step.result;
    const refresh = without.authority.sessions.refresh({ refreshToken, peer: home });
    expect(await refusal(refresh)).toBe("access_denied");
    expect((await node.authority.sessions.refresh({ refreshToken, peer: home })).session.id).toBeDefined();
  });
});

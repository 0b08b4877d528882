import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { FlowStep } from "../../../protocol/flow.ts";
import type { Session, User } from "../../../src/auth/model.ts";
import { createHomeAssistantProvider } from "../../../src/auth/providers/homeassistant/provider.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../../support/authority.ts";
import { type GuestProvider, guestProvider } from "../../support/guest-provider.ts";
import { refusal } from "../../support/refusal.ts";

let guests: GuestProvider;
let node: TestAuthority;
let user: User;
let session: Session;

beforeEach(async () => {
  guests = guestProvider({ activate: true, groups: ["system-users"] });
  node = await startAuthority({
    providers: (tools) => [createHomeAssistantProvider(tools), guests, guestProvider(undefined, "other")],
  });
  await node.owner();
  ({ user } = await node.user("hanna"));
  ({ session } = await node.open(user.id));
});
afterEach(async () => {
  await node.stop();
});

type Asking = { readonly userId: string; readonly id: string };

async function begin(asking: Asking = session, id: string | null = null, at = node) {
  return await at.authority.logins.start(
    {
      handler: ["guest", id],
      purpose: "link",
      linking: { userId: asking.userId, sessionId: asking.id },
      clientId: null,
      clientName: null,
      redirectUri: null,
      codeChallenge: null,
    },
    home,
  );
}

async function link(
  name: string,
  asking: Asking = session,
  id: string | null = null,
  at = node,
): Promise<FlowStep> {
  const { step, flowSecret } = await begin(asking, id, at);
  return (await at.authority.logins.advance({ flowId: step.flow_id, flowSecret, input: { name } }, home))
    .step;
}

async function logIn(name: string): Promise<FlowStep> {
  const { logins } = node.authority;
  const request = { clientId: null, clientName: null, redirectUri: null, codeChallenge: null } as const;
  const { step, flowSecret } = await logins.start(
    { handler: ["guest", null], purpose: "session", ...request },
    home,
  );
  return (await logins.advance({ flowId: step.flow_id, flowSecret, input: { name } }, home)).step;
}

const reasonOf = (step: FlowStep) => (step.type === "abort" ? step.reason : step.type);
const subjects = async () => (await node.authority.credentials.list(user.id)).map(({ subject }) => subject);
const idOf = async (subject: string) =>
  (await node.authority.credentials.list(user.id)).find((each) => each.subject === subject)?.id ?? "";

describe("linking a login to one's user", () => {
  it("gives the user a further way in", async () => {
    const step = await link("h.");
    expect(step).toMatchObject({ type: "create_entry", result: await idOf("h.") });
    const entry = await logIn("h.");
    if (entry.type !== "create_entry" || typeof entry.result === "string") throw new Error("no session");
    expect((await node.principal(entry.result.access_token)).userId).toBe(user.id);
  });
  it("is one at most of each provider, and each belongs to one user", async () => {
    expect(reasonOf(await link("h."))).toBe("create_entry");
    expect(reasonOf(await link("h."))).toBe("credential_exists");
    expect(reasonOf(await link("another"))).toBe("credential_exists");
    expect(reasonOf(await link("h.", session, "other"))).toBe("create_entry");
    const ines = await node.user("ines");
    const { session: hers } = await node.open(ines.user.id);
    expect(reasonOf(await link("h.", hers))).toBe("credential_in_use");
    // Unless it is another instance of the type.
    expect(reasonOf(await link("i.", hers, "other"))).toBe("create_entry");
  });
  it("makes one of fifty in parallel, on two nodes", async () => {
    const other = await node.another();
    const { session: another } = await node.open(user.id);
    const steps = await Promise.all(
      Array.from({ length: 50 }, (_, place) =>
        link(`h${place}`, place % 3 === 0 ? another : session, null, place % 2 === 0 ? node : other),
      ),
    );
    expect(steps.filter(({ type }) => type === "create_entry")).toHaveLength(1);
    expect(steps.map(reasonOf).filter((reason) => reason === "credential_exists")).toHaveLength(49);
    expect(await subjects()).toHaveLength(2);
  });
  it("makes no user, and costs an attempt if the proof is wrong", async () => {
    expect(await link("wrong")).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    expect(await node.authority.users.list()).toHaveLength(2);
  });
  it("needs the session to live until it is done, and the user to be active", async () => {
    const { step, flowSecret } = await begin();
    const target = { kind: "sessions", userId: user.id, sessionIds: [session.id] } as const;
    await node.authority.revocation.revoke(target, "session_revoked");
    const claim = { flowId: step.flow_id, flowSecret };
    const answer = await node.authority.logins.advance({ ...claim, input: { name: "h." } }, home);
    expect(reasonOf(answer.step)).toBe("not_allowed");
    const { session: next } = await node.open(user.id);
    const begun = await begin(next);
    await node.authority.users.update(user.id, { isActive: false });
    const late = { flowId: begun.step.flow_id, flowSecret: begun.flowSecret, input: { name: "h." } };
    expect(reasonOf((await node.authority.logins.advance(late, home)).step)).toBe("not_allowed");
    expect(await subjects()).toEqual(["hanna"]);
  });
  it("goes on although the session is refreshed meanwhile", async () => {
    const { session: opened, refreshToken } = await node.open(user.id);
    const { step, flowSecret } = await begin(opened);
    await node.authority.sessions.refresh({ refreshToken, clientId: opened.clientId, peer: home });
    const claim = { flowId: step.flow_id, flowSecret, input: { name: "h." } };
    expect((await node.authority.logins.advance(claim, home)).step.type).toBe("create_entry");
  });
  it("links nobody else where the provider names the user", async () => {
    guests.linkTo = (await node.owner()).id;
    expect(reasonOf(await link("h."))).toBe("not_allowed");
    guests.linkTo = user.id;
    expect(reasonOf(await link("h."))).toBe("create_entry");
  });
});

describe("a login that was linked", () => {
  it("changes neither name nor rights of its user, whatever its provider says", async () => {
    await link("h.");
    guests.profile = { name: "Somebody", groupIds: ["system-admin"], localOnly: true };
    expect((await logIn("h.")).type).toBe("create_entry");
    const { user: after } = (await node.authority.users.read(user.id)) ?? {};
    expect(after).toMatchObject({ name: "hanna", groupIds: ["system-users"], localOnly: false });
  });
});

describe("removing a login", () => {
  const remove = (credentialId: string, keepLast = true, userId = user.id) =>
    node.authority.credentialRemovals.remove(userId, credentialId, { keepLast });

  it("ends the sessions that it gave, and no others", async () => {
    await link("h.");
    const entry = await logIn("h.");
    if (entry.type !== "create_entry" || typeof entry.result === "string") throw new Error("no session");
    await remove(await idOf("h."));
    const { sessions, authentication } = node.authority;
    expect((await sessions.list(user.id)).map(({ id }) => id)).toEqual([session.id]);
    expect(await authentication.authenticate(entry.result.access_token, home)).toMatchObject({ ok: false });
    expect(await subjects()).toEqual(["hanna"]);
    // The name is nobody's again.
    expect(reasonOf(await logIn("h."))).toBe("create_entry");
    expect(await subjects()).toEqual(["hanna"]);
  });
  it("removes a name and a password too", async () => {
    await link("h.");
    await remove(await idOf("hanna"));
    expect(await subjects()).toEqual(["h."]);
    expect(await node.authority.localLogins.userIdOf("hanna")).toBeUndefined();
  });
  it("leaves the last one, also if two are removed at once, and if the others' providers are gone", async () => {
    expect(await refusal(remove(await idOf("hanna")))).toBe("last_credential");
    await link("h.");
    const both = await Promise.all([refusal(remove(await idOf("hanna"))), refusal(remove(await idOf("h.")))]);
    expect(both.sort()).toEqual(["accepted", "last_credential"]);
    const [left] = await node.authority.credentials.list(user.id);
    const without = await startAuthority({
      store: node.store,
      clock: node.clock,
      secret: node.secret,
      providers: (tools) => [createHomeAssistantProvider(tools), guestProvider(undefined, "third")],
    });
    const { credentialRemovals } = without.authority;
    if (left?.providerType === "guest") expect(credentialRemovals.isUsable(left)).toBe(false);
    await without.stop();
  });
  it("does not count one that is good from some addresses only", async () => {
    guests.admits = () => true;
    await link("h.");
    expect(await refusal(remove(await idOf("hanna")))).toBe("last_credential");
    await remove(await idOf("h."));
  });
  it("is an administrator's too, down to the last, except the owner's", async () => {
    await remove(await idOf("hanna"), false);
    expect(await subjects()).toEqual([]);
    const owner = await node.owner();
    const [hers] = await node.authority.credentials.list(owner.id);
    expect(await refusal(remove(hers?.id ?? "", false, owner.id))).toBe("last_credential");
    const byName = node.authority.credentialRemovals.removeLocal(ownerLogin.username);
    expect(await refusal(byName)).toBe("last_credential");
  });
  it("finds only the user's own", async () => {
    const ines = await node.user("ines");
    expect(await refusal(remove(ines.credential.id))).toBe("not_found");
  });
});

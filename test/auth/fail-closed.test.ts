import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Authority } from "../../src/auth/authority.ts";
import { failClosed } from "../../src/auth/fail-closed.ts";
import type { FlowAnswer } from "../../src/auth/login/login-flows.ts";
import { openSessionForCode } from "../../src/auth/sessions/code-exchange.ts";
import { home, ownerLogin, startAuthority, type TestAuthority } from "../support/authority.ts";
import { refusal } from "../support/refusal.ts";

const clientId = "https://app.example/";
const redirectUri = "https://app.example/callback";

describe("a node that does not know what was revoked", () => {
  let trusted: TestAuthority;
  /** On the same store, which answers it. Only its view is not fed. */
  let node: Authority;

  beforeAll(async () => {
    trusted = await startAuthority();
    await trusted.owner();
    node = failClosed((await trusted.another({ fed: false })).authority);
    expect(node.revocation.view.trusted).toBe(false);
  });
  afterAll(() => trusted?.stop());

  let people = 0;
  async function newcomer() {
    people += 1;
    const username = `person${people}`;
    return { username, ...(await trusted.user(username)) };
  }

  const startAt = (authority: Authority, purpose: "session" | "code") =>
    authority.logins.start(
      {
        purpose,
        clientId,
        clientName: null,
        codeChallenge: null,
        handler: ["homeassistant", null],
        redirectUri: purpose === "code" ? redirectUri : null,
      },
      home,
    );
  const advanceAt = (authority: Authority, { step, flowSecret }: FlowAnswer, username: string) => {
    const input = { username, password: ownerLogin.password };
    return authority.logins.advance({ flowId: step.flow_id, flowSecret, input }, home);
  };

  async function code() {
    const { username } = await newcomer();
    const { step } = await advanceAt(trusted.authority, await startAt(trusted.authority, "code"), username);
    if (step.type !== "create_entry" || typeof step.result !== "string") throw new Error("no code");
    return step.result;
  }

  const refused = (work: Promise<unknown>) =>
    expect(work).rejects.toMatchObject({ code: "unavailable", retryAfterSeconds: 1 });

  it("starts no login", async () => {
    await refused(startAt(node, "session"));
  });

  it("continues no login, and charges it nothing", async () => {
    const { username } = await newcomer();
    const flow = await startAt(trusted.authority, "session");
    for (let attempt = 0; attempt < 10; attempt += 1) await refused(advanceAt(node, flow, username));
    const claim = { flowId: flow.step.flow_id, flowSecret: flow.flowSecret };
    await refused(node.logins.resume(claim, home));
    const { step } = await advanceAt(trusted.authority, flow, username);
    expect(step).toMatchObject({ type: "create_entry" });
  });

  it("does not report a flow as unknown", async () => {
    await refused(node.logins.resume({ flowId: "f".repeat(32), flowSecret: "unknown" }, home));
  });

  it("redeems no code, and leaves it unused", async () => {
    const request = { code: await code(), clientId, rotates: false, peer: home };
    await refused(openSessionForCode(node, request));
    await refused(openSessionForCode(node, { ...request, code: "0".repeat(32) }));
    expect(await openSessionForCode(trusted.authority, request)).toMatchObject({ session: { clientId } });
    // A second use ends the session on other nodes. This node cannot know whether it is one.
    await refused(openSessionForCode(node, request));
  });

  it("refreshes nothing, and leaves the refresh token unused", async () => {
    const { user } = await newcomer();
    const { refreshToken, session } = await trusted.open(user.id);
    await refused(node.sessions.refresh({ refreshToken, clientId, peer: home }));
    await refused(node.sessions.refresh({ refreshToken: "no token", clientId, peer: home }));
    expect((await trusted.authority.sessions.get(session.id))?.generation).toBe(1);
    await trusted.authority.sessions.refresh({ refreshToken, clientId, peer: home });
  });

  it("opens no session, issues no long-lived token, and extends no session", async () => {
    const { user, credential } = await newcomer();
    const { session, accessToken } = await trusted.open(user.id);
    const found = await trusted.authority.users.read(user.id);
    if (found === undefined) throw new Error("no user");
    await refused(
      node.sessions.open({
        user,
        userVersion: found.version,
        userEpoch: found.epoch,
        credential,
        clientId,
        clientName: null,
        rotates: false,
        assurance: 1,
        amr: ["pwd"],
        authenticatedAt: trusted.clock.now(),
        peer: home,
      }),
    );
    const token = { userId: user.id, clientName: "a dashboard", clientIcon: null, days: 1 };
    await refused(node.sessions.openLongLived(token));
    const principal = await trusted.principal(accessToken);
    await refused(node.sessions.setExpiry(principal, session.id, false));
    expect((await trusted.authority.sessions.get(session.id))?.expiresAt).toBeTypeOf("number");
  });

  it("signs no path and accepts none, but refuses a forged signature", async () => {
    const { user } = await newcomer();
    const { session } = await trusted.open(user.id);
    await refused(node.signedPaths.sign(session.id, "/api/", 60));
    const signed = await trusted.authority.signedPaths.sign(session.id, "/api/", 60);
    await refused(node.signedPaths.verify(signed));
    expect(await node.signedPaths.verify(signed.replace("/api/", "/other/"))).toBeUndefined();
    expect(await trusted.authority.signedPaths.verify(signed)).toBe(session.id);
  });

  it("creates no owner", async () => {
    const setupCode = await node.onboarding.setupCode();
    const request = { setupCode, ...ownerLogin, clientId, peer: home };
    await refused(node.onboarding.createOwnerWithSession(request));
    await refused(node.onboarding.createOwnerWithCode(request));
  });

  it("does not say that a user is missing, deactivated or local only", async () => {
    const { user } = await newcomer();
    expect((await node.users.read(user.id))?.user.id).toBe(user.id);
    expect((await node.users.current(user.id))?.id).toBe(user.id);
    await refused(node.users.read("0".repeat(32)));
    await refused(node.users.current("0".repeat(32)));
    await trusted.authority.users.update(user.id, { localOnly: true });
    await refused(node.users.read(user.id));
    await trusted.authority.users.update(user.id, { localOnly: false, isActive: false });
    await refused(node.users.read(user.id));
    await refused(node.users.current(user.id));
  });

  it("still removes rights, cancels and lists", async () => {
    const { user } = await newcomer();
    const { session, accessToken, refreshToken } = await trusted.open(user.id);
    expect(node.logins.providers(home)).toHaveLength(1);
    expect((await node.sessions.findByRefreshToken(refreshToken))?.id).toBe(session.id);
    expect(await node.sessions.list(user.id)).toHaveLength(1);
    await node.sessions.setExpiry(await trusted.principal(accessToken), session.id, true);
    const flow = await startAt(trusted.authority, "session");
    const claim = { flowId: flow.step.flow_id, flowSecret: flow.flowSecret };
    expect(await node.logins.cancel(claim)).toMatchObject({ type: "abort" });
    const target = { kind: "sessions", userId: user.id, sessionIds: [session.id] } as const;
    expect(await node.revocation.revoke(target, "session_revoked")).toMatchObject({ sessions: 1 });
    expect(await trusted.authority.sessions.get(session.id)).toBeUndefined();
  });

  it("does all of it once it is trusted", async () => {
    const gated = failClosed(trusted.authority);
    const { username } = await newcomer();
    const { step } = await advanceAt(gated, await startAt(gated, "session"), username);
    expect(step).toMatchObject({ type: "create_entry" });
    expect(
      await refusal(openSessionForCode(gated, { code: await code(), clientId, rotates: false, peer: home })),
    ).toBe("accepted");
  });
});

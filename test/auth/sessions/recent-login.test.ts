import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Principal } from "../../../src/auth/model.ts";
import { home, startAuthority, type TestAuthority } from "../../support/authority.ts";

const windowMs = 600_000;
const required = { code: "recent_login_required" };

describe("a recent login", () => {
  let node: TestAuthority;
  beforeEach(async () => {
    node = await startAuthority({ recentLoginMs: windowMs });
  });
  afterEach(() => node.stop());
  const requiring = (principal: Principal) => node.authority.stepUps.require("owner_transfer", principal);

  it("is one within the configured time", async () => {
    const { principal } = await node.open((await node.owner()).id);
    await expect(requiring(principal)).resolves.toBeUndefined();
    node.clock.advance(windowMs - 1000);
    await expect(requiring(principal)).resolves.toBeUndefined();
    node.clock.advance(2000);
    await expect(requiring(principal)).rejects.toMatchObject(required);
  });

  it("is not made recent by a refresh", async () => {
    const { refreshToken, session } = await node.open((await node.owner()).id);
    node.clock.advance(windowMs + 1000);
    const { clientId } = session;
    const refreshed = await node.authority.sessions.refresh({ refreshToken, clientId, peer: home });
    await expect(requiring(refreshed.principal)).rejects.toMatchObject(required);
  });

  it("is no long-lived token, however new", async () => {
    const { id: userId } = await node.owner();
    const request = { userId, clientName: "script", clientIcon: null, days: 1 };
    const { accessToken } = await node.authority.sessions.openLongLived(request);
    await expect(requiring(await node.principal(accessToken))).rejects.toMatchObject(required);
  });

  it("is none that proved nothing of the person", async () => {
    const { principal } = await node.open((await node.owner()).id, { amr: [] });
    await expect(requiring(principal)).rejects.toMatchObject(required);
  });

  it("is not in the future", async () => {
    const authenticatedAt = node.clock.now() + windowMs + 1000;
    const { principal } = await node.open((await node.owner()).id, { authenticatedAt });
    await expect(requiring(principal)).rejects.toMatchObject(required);
  });
});

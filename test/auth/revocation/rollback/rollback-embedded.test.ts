import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RevokeTarget } from "../../../../src/auth/revocation/receipt.ts";
import type { Safeguard } from "../../../../src/auth/safeguards.ts";
import { home, ownerLogin } from "../../../support/authority.ts";
import type { HandNode } from "../lease-rig.ts";
import { embeddedRig, goBack, type RollbackRig } from "./rollback-rig.ts";

describe("after an old copy of the embedded store was restored under a running gateway", () => {
  let rig: RollbackRig;
  let node: HandNode;
  beforeEach(async () => {
    rig = await embeddedRig();
  });
  afterEach(() => rig.dispose());

  async function start(...protections: readonly Safeguard[]): Promise<void> {
    node = await rig.start(...protections);
  }

  async function open(userId: string) {
    const standing = await node.authority.users.read(userId);
    if (standing === undefined) throw new Error("no user");
    const { user, version: userVersion, epoch: userEpoch } = standing;
    return node.authority.sessions.open({
      user,
      userVersion,
      userEpoch,
      credential: null,
      clientId: "https://one.example/",
      clientName: null,
      rotates: true,
      assurance: 1,
      amr: ["pwd"],
      authenticatedAt: Date.now(),
      peer: home,
    });
  }

  /**
   * Restores the file as it was before `target` was revoked. Resolves once the node has noticed and is trusted again.
   */
  async function revokeAndGoBack(target: (userId: string, sessionId: string) => RevokeTarget) {
    const request = { name: "ada", username: "ada", password: ownerLogin.password, groupIds: [] };
    const { id } = await node.authority.localLogins.createUser(request);
    const opened = await open(id);
    await rig.remember();
    await node.authority.revocation.revoke(target(id, opened.session.id), "session_revoked");
    await goBack(rig, node);
    return opened;
  }

  const targets: readonly (readonly [string, (userId: string, sessionId: string) => RevokeTarget])[] = [
    ["a session", (userId, sessionId) => ({ kind: "sessions", userId, sessionIds: [sessionId] })],
    ["a user", (userId) => ({ kind: "user", userId })],
    ["a client", () => ({ kind: "client", clientId: "https://one.example/" })],
    ["everybody", () => ({ kind: "all" })],
  ];

  it.each(targets)("the revocation of %s still holds", async (_, target) => {
    await start();
    const { session, accessToken } = await revokeAndGoBack(target);
    expect(node.reported).toContain("rollback_repaired 1");
    expect(await node.authority.sessions.get(session.id)).toBeUndefined();
    const verdict = await node.authority.authentication.authenticate(accessToken, home);
    expect(verdict).toMatchObject({ ok: false });
  });

  it.each(targets)("the revocation of %s is lost without the rollback repair", async (_, target) => {
    await start("rollback_repair");
    const { session } = await revokeAndGoBack(target);
    expect(await node.authority.sessions.get(session.id)).toBeDefined();
  });
});

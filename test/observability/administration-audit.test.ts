import { afterAll, beforeAll, expect, it } from "vitest";

import type { Actor } from "../../src/auth/model.ts";
import { createAudit } from "../../src/observability/audit.ts";
import { auditedAuthority } from "../../src/observability/audited-authority.ts";
import { startAuthority, type TestAuthority } from "../support/authority.ts";
import { refusal } from "../support/refusal.ts";

let node: TestAuthority;
beforeAll(async () => {
  node = await startAuthority();
});
afterAll(() => node.stop());

it("a new owner, a system user and a lifted throttle have a record each, also if they are refused", async () => {
  const owner = await node.owner();
  const { user } = await node.user("ada");
  const { principal, session } = await node.open(owner.id);
  const lines: object[] = [];
  const actor: Actor = { via: "socket", userId: owner.id, sessionId: session.id, address: "192.0.2.1" };
  const audited = auditedAuthority(
    node.authority,
    createAudit((line) => lines.push(line)),
  ).as(actor);
  const system = await audited.systemUsers.create({ name: "backup", groupIds: ["system-read-only"] });
  await audited.systemUsers.issueToken(system.user.id);
  expect(await refusal(audited.ownership.transfer(system.user.id, principal))).toBe("not_allowed");
  await audited.ownership.transfer(user.id, principal);
  expect(await refusal(audited.throttles.lift("a"))).toBe("not_found");
  const by = { via: "socket", actor_id: owner.id, actor_session_id: session.id, address: "192.0.2.1" };
  const systemUser = { user_id: system.user.id, grant: "system" };
  expect(lines).toMatchObject([
    { audit: "user_creation", outcome: "allowed", ...by, ...systemUser, group_ids: "system-read-only" },
    { audit: "token_granted", outcome: "allowed", ...by, ...systemUser },
    { audit: "owner_transfer", outcome: "denied", ...by, user_id: system.user.id, reason: "not_allowed" },
    { audit: "owner_transfer", outcome: "allowed", ...by, user_id: user.id },
    { audit: "throttle_lift", outcome: "denied", ...by, throttle_id: "a", reason: "not_found" },
  ]);
  expect(JSON.stringify(lines)).not.toContain(system.refreshToken);
});

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { sessionPut } from "../../src/auth/sessions/session-record.ts";
import type { JsonObject, Step } from "../../src/auth/store.ts";
import { openSession } from "../support/authority.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { handClock } from "../support/hand-clock.ts";
import { openSocket } from "../support/socket-client.ts";
import { within } from "../support/within.ts";

/** During an upgrade a newer node writes what this version does not know. */
describe("what only a newer node knows", () => {
  let gateway: RunningGateway;
  beforeAll(async () => {
    gateway = await startGateway({ store: "embedded", transport: "ws" });
  });
  afterAll(() => gateway?.stop());

  const clock = handClock(Date.now());
  const commit = (step: Step) => {
    const { revocation } = gateway.authority as typeof gateway.authority & {
      readonly revocation: { commit(step: Step): Promise<unknown> };
    };
    return revocation.commit(step);
  };
  async function enter() {
    const { session, accessToken } = await openSession(gateway.authority, clock, gateway.owner.id);
    const socket = await openSocket(gateway.port);
    expect(await socket.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    return { session, socket };
  }
  /** As a revocation leaves the record. */
  const ended = (session: Awaited<ReturnType<typeof enter>>["session"]) => {
    const { key, value, expiresAt } = sessionPut({ ...session, revokedAt: Date.now() });
    return { key, value: { ...value, revokedCause: "house_moved" } as JsonObject, expiresAt };
  };
  const revocationId = "0".repeat(32);

  it("a cause: the session ends as if it were revoked", async () => {
    const [{ session, socket }, other] = [await enter(), await enter()];
    const sessionIds = [session.id];
    const about = { userId: session.userId, sessionIds, cause: "house_moved", revocationId };
    await commit({ put: [ended(session)], log: [{ type: "sessions_revoked", ...about }] });
    expect((await within(socket.closed, "the close")).code).toBe(closeCodes.session_revoked.number);
    expect(await gateway.authority.sessions.get(session.id)).toBeUndefined();
    expect(await other.socket.call("ping")).toMatchObject({ type: "pong" });
  });

  it("a kind of revocation: every socket is checked again, and those that it ended are closed", async () => {
    const [{ session, socket }, other] = [await enter(), await enter()];
    await commit({ put: [ended(session)], log: [{ type: "houses_revoked", houses: ["a"], revocationId }] });
    expect((await within(socket.closed, "the close")).code).toBe(closeCodes.session_revoked.number);
    expect(await other.socket.call("ping")).toMatchObject({ type: "pong" });
  });
});

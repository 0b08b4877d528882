import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import type { Verdict } from "../../src/auth/authentication.ts";
import type { SecurityEvent } from "../../src/auth/revocation/security-events.ts";
import { admitted, connectionRig, settled } from "../support/connection-rig.ts";
import { principalOf } from "../support/people.ts";

/**
 * A revoke that commits while a socket is being let in. Whatever the moment, the socket must not live on: either the
 * last check sees the revoke, or the hub has the socket when the cut comes.
 */
const revoke: SecurityEvent = {
  kind: "sessions",
  userId: "u1",
  sessionIds: ["s1"],
  cause: "session_revoked",
};
const auth = { type: "auth", access_token: "t" };
const revoked = { code: closeCodes.session_revoked.number, reason: closeCodes.session_revoked.text };
const types = (messages: readonly unknown[]) => messages.map((message) => (message as { type: string }).type);

describe("a revoke while a socket is let in", () => {
  it("between the verdict and the hub: the last check sees it", async () => {
    let dead = false;
    const rig = connectionRig({
      authentication: {
        authenticate: () => Promise.resolve<Verdict>(admitted(principalOf())),
        recheck: () => (dead ? "session_revoked" : undefined),
      },
    });
    const client = rig.connect();
    client.say(auth);
    // The verdict is made and not yet acted upon; the cut finds no socket to close.
    dead = true;
    expect(rig.connections.hub.apply(revoke)).toBe(0);
    await settled();
    expect(types(client.heard())).toEqual(["auth_required", "auth_invalid"]);
    expect(client.socket.closedWith).toEqual(revoked);
    expect(rig.connections.hub.sockets).toBe(0);
  });

  it("without the last check it would slip through (negative control)", async () => {
    const rig = connectionRig({
      authentication: {
        authenticate: () => Promise.resolve<Verdict>(admitted(principalOf())),
        recheck: () => undefined,
      },
    });
    const client = rig.connect();
    client.say(auth);
    expect(rig.connections.hub.apply(revoke)).toBe(0);
    await settled();
    expect(client.socket.closedWith).toBeUndefined();
  });

  it("after the last check looked: the hub has the socket already", () => {
    const rig = connectionRig({
      authentication: {
        authenticate: () => admitted(principalOf()),
        // The check has looked at the view and found nothing; the commit lands before it returns.
        recheck: () => {
          expect(rig.connections.hub.apply(revoke)).toBe(1);
          return undefined;
        },
      },
    });
    const client = rig.connect();
    client.say(auth);
    expect(types(client.heard())).toEqual(["auth_required"]);
    expect(client.socket.closedWith).toEqual(revoked);
    expect(rig.connections.hub.sockets).toBe(0);
  });

  it("right after auth_ok", () => {
    const rig = connectionRig({
      authentication: { authenticate: () => admitted(principalOf()), recheck: () => undefined },
    });
    const client = rig.connect();
    client.say(auth);
    expect(rig.connections.hub.apply(revoke)).toBe(1);
    expect(client.socket.closedWith).toEqual(revoked);
    client.say({ id: 1, type: "ping" });
    expect(types(client.heard())).toEqual(["auth_required", "auth_ok"]);
  });
});

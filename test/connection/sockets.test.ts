import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import type { Verdict } from "../../src/auth/authentication.ts";
import type { User } from "../../src/auth/model.ts";
import { ownerLogin } from "../support/authority.ts";
import { UpgradeRefused } from "../support/socket-client.ts";
import { type SocketGateway, startSocketGateway } from "../support/socket-gateway.ts";
import { within } from "../support/within.ts";

const localHandler = ["homeassistant", null];
const required = { type: "auth_required", ha_version: "2026.11.0", gatehouse: { protocol: 1 } };

/** Real sockets, real codecs, a real Authority on a store. */
for (const [transport, codec] of [
  ["ws", "json"],
  ["ws", "msgpack"],
  ["uws", "json"],
  ["uws", "msgpack"],
] as const) {
  describe(`a socket on ${transport} that speaks ${codec}`, () => {
    let gateway: SocketGateway;
    let owner: User;
    beforeAll(async () => {
      gateway = await startSocketGateway({ transport });
      owner = await gateway.owner();
    });
    afterAll(() => gateway?.stop());

    it("is let in with a token, and works", async () => {
      const { client } = await gateway.enter(owner, { codec });
      expect(client.subprotocol).toBe(codec === "msgpack" ? "gatehouse.v1.msgpack" : "");
      expect(await client.call("ping")).toEqual({ id: 1, type: "pong" });
      expect(await client.call("auth/current_user")).toMatchObject({
        success: true,
        result: { is_owner: true },
      });
      client.close();
      expect(await client.closed).toMatchObject({ code: 1005 });
    });

    it("logs in step by step and becomes authenticated on the same socket", async () => {
      const client = await gateway.connect({ codec });
      expect(await client.next()).toEqual(required);
      const started = await client.call("auth/login/start", { handler: localHandler });
      expect(started).toMatchObject({
        success: true,
        result: { type: "form", flow_secret: expect.any(String) },
      });
      const { flow_id } = started.result as { flow_id: string };
      const step = (password: string) =>
        client.call("auth/login/step", {
          flow_id,
          user_input: { username: ownerLogin.username, password },
        });
      expect(await step("wrong password here")).toMatchObject({
        result: { type: "form", errors: { base: "invalid_auth" } },
      });
      const finished = await step(ownerLogin.password);
      expect(finished).toMatchObject({ success: true, result: { type: "create_entry" } });
      expect(finished.result).not.toHaveProperty("flow_secret");
      expect(await client.next()).toEqual({ type: "auth_ok", ha_version: "2026.11.0" });
      expect(await client.call("auth/current_user")).toMatchObject({ result: { id: owner.id } });
      client.close();
    });

    it("goes on with a login that another socket began", async () => {
      const first = await gateway.connect({ codec });
      await first.next();
      const { result } = await first.call("auth/login/start", { handler: localHandler });
      const { flow_id, flow_secret } = result as { flow_id: string; flow_secret: string };
      first.terminate();
      const stranger = await gateway.connect({ codec });
      await stranger.next();
      const guess = { flow_id, flow_secret: "x".repeat(flow_secret.length) };
      expect(await stranger.call("auth/login/resume", guess)).toMatchObject({
        error: { code: "invalid_flow" },
      });
      const user_input = { username: ownerLogin.username, password: ownerLogin.password };
      expect(await stranger.call("auth/login/step", { flow_id, user_input })).toMatchObject({
        error: { code: "invalid_flow" },
      });
      const second = await gateway.connect({ codec });
      await second.next();
      expect(await second.call("auth/login/resume", { flow_id, flow_secret })).toMatchObject({
        result: { type: "form", flow_id },
      });
      expect(await second.call("auth/login/step", { flow_id, user_input })).toMatchObject({
        result: { type: "create_entry" },
      });
      expect(await second.next()).toMatchObject({ type: "auth_ok" });
      for (const client of [stranger, second]) client.terminate();
    });

    it("comes back with a refresh token", async () => {
      const { refreshToken } = await gateway.open(owner.id);
      const client = await gateway.connect({ codec });
      await client.next();
      expect(await client.call("auth/login/refresh", { refresh_token: "nonsense" })).toMatchObject({
        error: { code: "invalid_grant" },
      });
      const fields = { refresh_token: refreshToken, client_id: "https://app.example/" };
      expect(await client.call("auth/login/refresh", fields)).toMatchObject({
        result: { token_type: "Bearer" },
      });
      expect(await client.next()).toMatchObject({ type: "auth_ok" });
      client.terminate();
    });

    it("is refused with auth_invalid for a wrong token, and closed", async () => {
      for (const token of ["", "x", "a.b.c", "x".repeat(3000)]) {
        const client = await gateway.connect({ codec });
        const answer = await client.authenticate(token);
        expect(answer).toEqual({ type: "auth_invalid", message: "Invalid access token or password" });
        expect(await client.closed).toEqual({
          code: closeCodes.auth_invalid.number,
          reason: closeCodes.auth_invalid.text,
        });
      }
    });

    it("is closed on the other codec's frame kind and on garbage, before and after auth_ok", async () => {
      const garbage = codec === "json" ? "{" : new Uint8Array([0xc1]);
      const wrongKind = codec === "json" ? new Uint8Array([0x80]) : "{}";
      const { client: first } = await gateway.enter(owner, { codec });
      const { client: second } = await gateway.enter(owner, { codec });
      const fresh = await Promise.all([gateway.connect({ codec }), gateway.connect({ codec })]);
      const sockets = [first, second, ...fresh];
      for (const [at, client] of sockets.entries()) client.sendFrame(at % 2 === 0 ? garbage : wrongKind);
      const codes = await Promise.all(sockets.map(async ({ closed }) => (await closed).code));
      expect(codes).toEqual([1007, 1003, 1007, 1003]);
    });

    it("is closed by drain with going_away, and newcomers are refused", async () => {
      const own = await startSocketGateway({ transport });
      const user = await own.owner();
      const entered = await Promise.all([1, 2, 3].map(() => own.enter(user, { codec })));
      const stranger = await own.connect({ codec });
      await own.connections.drain(100);
      const ends = await Promise.all([...entered.map(({ client }) => client), stranger].map((c) => c.closed));
      expect(ends.map(({ code }) => code)).toEqual([1001, 1001, 1001, 1001]);
      await expect(own.connect({ codec })).rejects.toMatchObject({ status: 503 });
      await own.stop();
    });
  });
}

describe("sockets", () => {
  it("refuses strangers over the cap of their address before 101, and counts what was let in out", async () => {
    const gateway = await startSocketGateway({ limits: { unauthenticatedPerAddress: 3 } });
    const strangers = await Promise.all([1, 2, 3].map(() => gateway.connect()));
    const refusal = await gateway.connect().catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(UpgradeRefused);
    expect(refusal).toMatchObject({ status: 429, headers: { "retry-after": "5" } });
    const other = await gateway.connect({ from: "127.0.0.2" });
    const { accessToken } = await gateway.open((await gateway.owner()).id);
    expect(await strangers[0]?.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    const next = await gateway.connect();
    strangers[1]?.terminate();
    await strangers[1]?.closed;
    const freed = async () => {
      while (gateway.connections.count.unauthenticated > 3) await new Promise((r) => setTimeout(r, 5));
    };
    await within(freed(), "the terminated socket to be gone");
    const last = await gateway.connect();
    for (const client of [...strangers, other, next, last]) client.terminate();
    await gateway.stop();
  });

  it("never reads a valid token from the URL, and never repeats it", async () => {
    const gateway = await startSocketGateway();
    const { accessToken } = await gateway.open((await gateway.owner()).id);
    const refusal = await gateway.connect({ query: `access_token=${accessToken}` }).catch((e: unknown) => e);
    expect(refusal).toMatchObject({ status: 400 });
    expect((refusal as UpgradeRefused).body).toContain("token_in_url");
    expect(JSON.stringify([refusal, gateway.logged])).not.toContain(accessToken);
    await gateway.stop();
  });

  it("refuses a page of another origin before 101", async () => {
    const gateway = await startSocketGateway();
    const from = (origin: string) => gateway.connect({ headers: { origin } });
    await expect(from("https://evil.example")).rejects.toMatchObject({ status: 403 });
    await expect(from("null")).rejects.toMatchObject({ status: 403 });
    const own = await from(`http://127.0.0.1:${gateway.port}`);
    own.terminate();
    await gateway.stop();
  });

  it("closes a socket that a revoke overtook between its verdict and the hub", async () => {
    let buffer: Promise<unknown> = Promise.resolve();
    const gateway = await startSocketGateway({
      authentication: (real) => ({
        // The real verdict, made before the revoke and acted upon after it.
        authenticate: async (token, peer): Promise<Verdict> => {
          const verdict = await real.authenticate(token, peer);
          await buffer;
          return verdict;
        },
        inspect: (token, peer) => real.inspect(token, peer),
        authenticateMinted: (principal, peer) => real.authenticateMinted(principal, peer),
        recheck: (principal) => real.recheck(principal),
        review: (callers) => real.review(callers),
      }),
    });
    const owner = await gateway.owner();
    const { session, accessToken } = await gateway.open(owner.id);
    let release: () => void = () => undefined;
    buffer = new Promise<void>((resolve) => {
      release = resolve;
    });
    const client = await gateway.connect();
    const answer = client.authenticate(accessToken);
    const target = { kind: "sessions", userId: owner.id, sessionIds: [session.id] } as const;
    const receipt = await gateway.authority.revocation.revoke(target, "session_revoked");
    expect(receipt.socketsClosed).toBe(0);
    release();
    expect(await answer).toMatchObject({ type: "auth_invalid" });
    expect((await client.closed).code).toBe(closeCodes.session_revoked.number);
    expect(gateway.connections.hub.sockets).toBe(0);
    await gateway.stop();
  });

  it("survives revokes at every moment of many handshakes: who got auth_ok is closed", async () => {
    const gateway = await startSocketGateway();
    const owner = await gateway.owner();
    for (let round = 0; round < 25; round += 1) {
      const { session, accessToken } = await gateway.open(owner.id);
      const client = await gateway.connect();
      const target = { kind: "sessions", userId: owner.id, sessionIds: [session.id] } as const;
      const revoked = gateway.authority.revocation.revoke(target, "session_revoked");
      for (let turns = 0; turns < round % 5; turns += 1)
        await new Promise((resolve) => setImmediate(resolve));
      client.send({ type: "auth", access_token: accessToken });
      await revoked;
      const { code } = await within(client.closed, "the close");
      expect([4300, 4301]).toContain(code);
    }
    expect(gateway.connections.hub.sockets).toBe(0);
    await gateway.stop();
  });
});

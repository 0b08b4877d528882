import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Authority } from "../../src/auth/authority.ts";
import { type RunningGateway, startGateway, storeKinds, transportNames } from "../support/gateway.ts";

const kinds = transportNames.flatMap((transport) => storeKinds.map((store) => [transport, store] as const));

describe.each(kinds)("POST /auth/introspect, %s on %s", (transport, store) => {
  let gateway: RunningGateway;
  let authority: Authority;
  let service: string;
  beforeAll(async () => {
    gateway = await startGateway({ transport, store });
    ({ authority } = gateway);
    const { refreshToken } = await authority.systemUsers.create({ name: "a backend" });
    const granted = await authority.sessions.refresh({ refreshToken, peer: { address: "127.0.0.1" } });
    service = granted.accessToken;
  });
  afterAll(async () => {
    await gateway.stop();
  });

  let names = 0;
  async function person(localOnly = false) {
    names += 1;
    const user = await authority.users.create({
      name: `person ${names}`,
      groupIds: ["system-users"],
      localOnly,
    });
    const request = { userId: user.id, clientName: "a device", clientIcon: null, days: 1 };
    return { user, ...(await authority.sessions.openLongLived(request)) };
  }

  async function ask(token: string | undefined, bearer: string | undefined = service) {
    const response = await fetch(`${gateway.url}/auth/introspect`, {
      method: "POST",
      body: new URLSearchParams(token === undefined ? {} : { token }),
      headers: bearer === "" ? {} : { authorization: `Bearer ${bearer}` },
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  }

  it("describes a token that is good, and nothing of one that was revoked a moment ago", async () => {
    const { user, session, accessToken } = await person();
    const answer = await ask(accessToken);
    expect(answer.headers.get("cache-control")).toContain("no-store");
    expect(answer).toMatchObject({
      status: 200,
      body: {
        active: true,
        token_type: "Bearer",
        sub: user.id,
        sid: session.id,
        aud: "gatehouse",
        exp: expect.any(Number),
        iat: expect.any(Number),
        jti: expect.any(String),
        iss: expect.any(String),
        session_type: "long_lived_access_token",
        local_only: false,
      },
    });
    const target = { kind: "sessions", userId: user.id, sessionIds: [session.id] } as const;
    await authority.revocation.revoke(target, "session_revoked");
    expect(await ask(accessToken)).toMatchObject({ status: 200 });
    expect((await ask(accessToken)).body).toEqual({ active: false });
  });
  it("says no more of what is no good token", async () => {
    const { accessToken } = await person();
    const { refreshToken } = await authority.systemUsers.create({ name: "another backend" });
    const dead = await person();
    await authority.users.update(dead.user.id, { isActive: false });
    for (const token of [
      "x",
      "a.b.c",
      `${accessToken}x`,
      accessToken.replace(".", ".A"),
      refreshToken,
      dead.accessToken,
    ])
      expect((await ask(token)).body, token.slice(0, 20)).toEqual({ active: false });
  });
  it("tells services that a token is good from some addresses only", async () => {
    const { accessToken } = await person(true);
    expect((await ask(accessToken)).body).toMatchObject({ active: true, local_only: true });
  });
  it("answers services and administrators only", async () => {
    const { accessToken } = await person();
    const admin = await person();
    await authority.users.update(admin.user.id, { groupIds: ["system-admin"] });
    expect((await ask(accessToken, admin.accessToken)).body).toMatchObject({ active: true });
    expect(await ask(accessToken, "")).toMatchObject({ status: 401, body: { code: "unauthorized" } });
    expect((await ask(accessToken, "")).headers.get("www-authenticate")).toBe("Bearer");
    expect(await ask(accessToken, "forged")).toMatchObject({ status: 401 });
    expect(await ask(accessToken, accessToken)).toMatchObject({
      status: 403,
      body: { code: "access_denied" },
    });
    expect(await ask(undefined)).toMatchObject({ status: 400, body: { code: "invalid_format" } });
  });
});

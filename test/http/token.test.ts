import { describe, expect, it } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import type { Session, User } from "../../src/auth/model.ts";
import type { NewSession } from "../../src/auth/sessions/sessions.ts";
import { httpUnderTest, post, scriptedAuthority } from "./http-under-test.ts";

const clientId = "https://app.example/";
const session = { id: "s1", userId: "u1", clientId, providerType: "homeassistant" } as Session;
const user = { id: "u1", state: "active", localOnly: false } as User;
const grantOf = (refreshToken?: string) => ({
  session,
  accessToken: "at",
  refreshToken,
  principal: { tokenIssuedAt: 1_000, tokenExpiresAt: 1_801_000 } as never,
});
const codeGrant = { type: "authorization_code" } as const;

interface Script {
  readonly redeem?: () => void;
  readonly user?: User | undefined;
  readonly open?: (request: NewSession) => void;
  readonly refresh?: (request: object) => ReturnType<typeof grantOf>;
}

function tokenServer(script: Script = {}, rotates = false) {
  const revoked: unknown[] = [];
  const authority = scriptedAuthority({
    codes: {
      redeem: async ({ code, clientId: client, codeVerifier }) => {
        script.redeem?.();
        if (code !== "good" || client !== clientId) throw new AuthError("invalid_code", { detail: "canary" });
        if (codeVerifier !== undefined && codeVerifier !== "v") throw new AuthError("invalid_code");
        const grant = {
          ...codeGrant,
          userId: "u1",
          userEpoch: 0,
          credentialId: "c1",
          clientId,
          clientName: "App",
          redirectUri: null,
          codeChallenge: null,
          assurance: 1,
          amr: ["pwd"],
          authenticatedAt: 5,
        } as const;
        return { grant, consume: () => ({}) };
      },
    },
    users: {
      read: async () => {
        const found = "user" in script ? script.user : user;
        return found === undefined ? undefined : { user: found, version: 7, epoch: 0 };
      },
    },
    credentials: { get: async () => ({ credential: { id: "c1" }, version: 3 }) as never },
    sessions: {
      open: async (request) => {
        script.open?.(request);
        return { ...grantOf(), refreshToken: "rt" };
      },
      refresh: async (request) => script.refresh?.(request) ?? grantOf(),
      findByRefreshToken: async (token) => (token === "rt" ? session : undefined),
    },
    revocation: {
      revoke: async (target, cause) => {
        revoked.push([target, cause]);
        return {
          revocationId: "r",
          sessions: 1,
          socketsClosed: 0,
          durability: "fsync",
          effective: "all",
          nodes: { applied: 1, pending: 0, fenced: 0 },
        };
      },
    },
  });
  return { ...httpUnderTest(authority, { rotates: () => rotates }), revoked };
}

const code = { grant_type: "authorization_code", code: "good", client_id: clientId };
const refresh = { grant_type: "refresh_token", refresh_token: "rt", client_id: clientId };
const without = (fields: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(fields).filter(([field]) => field !== name));
const failing = (error: AuthError) => ({
  refresh: () => {
    throw error;
  },
});

const badClient = { error: "invalid_request", error_description: "Invalid client id" };
const badCode = { error: "invalid_request", error_description: "Invalid code" };
const inactive: User = { ...user, state: "deactivated" };
const localOnly = { ...user, localOnly: true };

/** Every row of Home Assistant's token endpoint. */
const table: readonly [
  row: string,
  fields: Record<string, string>,
  script: Script,
  status: number,
  body: unknown,
][] = [
  ["no grant type", {}, {}, 400, { error: "unsupported_grant_type" }],
  ["another grant type", { grant_type: "password" }, {}, 400, { error: "unsupported_grant_type" }],
  ["an empty grant type", { grant_type: "" }, {}, 400, { error: "unsupported_grant_type" }],
  ["another action", { action: "x" }, {}, 400, { error: "unsupported_grant_type" }],

  ["code: no client id", without(code, "client_id"), {}, 400, badClient],
  ["code: an empty client id", { ...code, client_id: "" }, {}, 400, badClient],
  ["code: a client id that is no URL", { ...code, client_id: "app" }, {}, 400, badClient],
  ["code: a client id with a fragment", { ...code, client_id: `${clientId}#x` }, {}, 400, badClient],
  ["code: no code", without(code, "code"), {}, 400, badCode],
  ["code: an unknown code", { ...code, code: "bad" }, {}, 400, badCode],
  ["code: another client's", { ...code, client_id: "https://evil.example/" }, {}, 400, badCode],
  ["code: a wrong verifier", { ...code, code_verifier: "w" }, {}, 400, badCode],
  ["code: a user who is gone", code, { user: undefined }, 400, badCode],
  [
    "code: a user who is not active",
    code,
    { user: inactive },
    403,
    { error: "access_denied", error_description: "User is not active" },
  ],
  [
    "code: a local user from afar",
    code,
    { user: localOnly },
    403,
    { error: "access_denied", error_description: "User cannot authenticate remotely" },
  ],

  ["refresh: a client id that is no URL", { ...refresh, client_id: "app" }, {}, 400, badClient],
  ["refresh: no token", without(refresh, "refresh_token"), {}, 400, { error: "invalid_request" }],
  [
    "refresh: an unknown token",
    refresh,
    failing(new AuthError("invalid_grant")),
    400,
    { error: "invalid_grant" },
  ],
  [
    "refresh: a reused token",
    refresh,
    failing(new AuthError("token_reused")),
    400,
    { error: "invalid_grant" },
  ],
  [
    "refresh: another client's token",
    refresh,
    failing(new AuthError("invalid_client")),
    400,
    { error: "invalid_request" },
  ],
  [
    "refresh: a user who is not allowed",
    refresh,
    failing(new AuthError("access_denied", { publicMessage: "User is not active" })),
    403,
    { error: "access_denied", error_description: "User is not active" },
  ],
];

describe.each(["urlencoded", "multipart"] as const)("POST /auth/token, %s", (encoding) => {
  const ask = (server: ReturnType<typeof tokenServer>, fields: Record<string, string>) =>
    server.ask("/auth/token", post(fields, encoding));

  it.each(table)("%s", async (_row, fields, script, status, body) => {
    const server = tokenServer(script);
    const answer = await ask(server, fields);
    expect(answer.body).toEqual(body);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("pragma")).toBe("no-cache");
    expect(server.defects).toEqual([]);
  });

  it("a code gives both tokens and the provider", async () => {
    const server = tokenServer();
    const answer = await ask(server, { ...code, code_verifier: "v" });
    expect(answer.body).toEqual({
      access_token: "at",
      token_type: "Bearer",
      refresh_token: "rt",
      expires_in: 1800,
      ha_auth_provider: "homeassistant",
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("pragma")).toBe("no-cache");
    expect(server.decisions).toEqual([
      {
        event: "token_granted",
        grant: "authorization_code",
        address: "198.51.100.7",
        userId: "u1",
        sessionId: "s1",
        clientId,
      },
    ]);
  });

  it("a refresh gives an access token alone", async () => {
    const answer = await ask(tokenServer(), refresh);
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.body).toEqual({ access_token: "at", token_type: "Bearer", expires_in: 1800 });
  });

  it("a refresh of a session that rotates gives the next refresh token too", async () => {
    const answer = await ask(tokenServer({ refresh: () => grantOf("rt2") }), refresh);
    expect(answer.body).toMatchObject({ refresh_token: "rt2" });
  });

  it("a refresh without a client id says so", async () => {
    const seen: unknown[] = [];
    const server = tokenServer({
      refresh: (request) => {
        seen.push(request);
        return grantOf();
      },
    });
    await ask(server, without(refresh, "client_id"));
    expect(seen).toMatchObject([{ refreshToken: "rt", clientId: null, peer: { address: "198.51.100.7" } }]);
  });

  it("action=revoke ends the session and says nothing", async () => {
    const server = tokenServer();
    expect(await ask(server, { action: "revoke", token: "rt" })).toMatchObject({ status: 200, text: "" });
    expect(server.revoked).toEqual([
      [{ kind: "sessions", userId: "u1", sessionIds: ["s1"] }, "session_revoked"],
    ]);
    expect(await ask(server, { action: "revoke", token: "other" })).toMatchObject({ status: 200, text: "" });
    expect(server.revoked).toHaveLength(1);
  });
});

describe("what the session is opened with", () => {
  it("is the code's grant, the user's versions and the code's own end", async () => {
    const opened: NewSession[] = [];
    const server = tokenServer({ open: (request) => opened.push(request) }, true);
    await server.ask("/auth/token", post(code, "urlencoded"));
    expect(opened).toMatchObject([
      {
        user,
        userVersion: 7,
        userEpoch: 0,
        clientId,
        clientName: "App",
        rotates: true,
        amr: ["pwd"],
        authenticatedAt: 5,
      },
    ]);
    expect(opened[0]?.also).toBeTypeOf("function");
  });

  it("is read again when somebody changed it meanwhile", async () => {
    let opens = 0;
    const open = () => {
      opens += 1;
      if (opens < 3) throw new AuthError("conflict");
    };
    expect(await tokenServer({ open }).ask("/auth/token", post(code, "multipart"))).toMatchObject({
      status: 200,
    });
    expect(opens).toBe(3);
  });

  it("is given up as a passing fault when it never holds still", async () => {
    const open = () => {
      throw new AuthError("conflict");
    };
    const server = tokenServer({ open });
    expect(await server.ask("/auth/token", post(code, "multipart"))).toMatchObject({
      status: 503,
      body: { error: "temporarily_unavailable" },
    });
    expect(server.defects).toEqual([]);
  });

  it("a code that was taken meanwhile is an invalid code", async () => {
    let redeems = 0;
    const redeem = () => {
      redeems += 1;
      if (redeems > 1) throw new AuthError("invalid_code");
    };
    const open = () => {
      throw new AuthError("conflict");
    };
    expect(await tokenServer({ open, redeem }).ask("/auth/token", post(code, "multipart"))).toMatchObject({
      status: 400,
      body: badCode,
    });
  });
});

describe("faults at the token endpoint", () => {
  it.each([
    ["the store is away", new AuthError("unavailable", { retryAfterSeconds: 4 }), "4"],
    ["too busy", new AuthError("overloaded"), "1"],
    ["a conflict", new AuthError("conflict"), "1"],
    ["a time-out", new AuthError("timeout"), "1"],
    ["a code that means nothing here", new AuthError("not_allowed", { publicMessage: "canary" }), "1"],
    ["a defect", new Error("canary"), "1"],
  ])("are never 400 or 403: %s", async (_name, error, retryAfter) => {
    const server = tokenServer({
      refresh: () => {
        throw error;
      },
    });
    for (const path of ["/auth/token"]) {
      const answer = await server.ask(path, post(refresh, "urlencoded"));
      expect(answer).toMatchObject({ status: 503, body: { error: "temporarily_unavailable" } });
      expect(answer.headers.get("retry-after")).toBe(retryAfter);
      expect(answer.text).not.toContain("canary");
    }
  });
  it("a rate limit is 429", async () => {
    const server = tokenServer(failing(new AuthError("rate_limited", { retryAfterSeconds: 30 })));
    const answer = await server.ask("/auth/token", post(refresh, "urlencoded"));
    expect(answer).toMatchObject({ status: 429, body: { error: "slow_down" } });
    expect(answer.headers.get("retry-after")).toBe("30");
  });
  it("tokens and codes reach neither log nor audit", async () => {
    const server = tokenServer(failing(new AuthError("invalid_grant")));
    const secrets = { refresh_token: "canary", code: "canary", code_verifier: "canary", token: "canary" };
    await server.ask("/auth/token", post({ ...refresh, ...secrets }, "multipart"));
    await server.ask("/auth/token", post({ ...code, ...secrets }, "multipart"));
    await server.ask("/auth/revoke", post(secrets, "multipart"));
    expect(
      JSON.stringify([server.answered, server.decisions]).replaceAll('"detail":"canary"', ""),
    ).not.toContain("canary");
  });
});

describe("bad bodies at the token endpoint", () => {
  const boundary = "b";
  const part = (name: string, value: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const multipart = `multipart/form-data; boundary=${boundary}`;
  const urlencoded = "application/x-www-form-urlencoded";
  const invalid = { error: "invalid_request" };
  const unsupported = { error: "unsupported_grant_type" };
  const bodies: readonly [string, string, BodyInit | null, unknown][] = [
    ["JSON", "application/json", JSON.stringify(refresh), unsupported],
    ["text", "text/plain", "grant_type=refresh_token", unsupported],
    ["nothing", urlencoded, null, unsupported],
    ["no media type", "", "grant_type=refresh_token", unsupported],
    ["a field twice", urlencoded, "grant_type=refresh_token&refresh_token=a&refresh_token=b", invalid],
    ["the same field twice, alike", urlencoded, "grant_type=refresh_token&grant_type=refresh_token", invalid],
    ["a field twice, one empty", urlencoded, "grant_type=refresh_token&grant_type=", invalid],
    ["an unknown field twice", urlencoded, "grant_type=refresh_token&refresh_token=a&x=1&x=2", invalid],
    ["many fields", urlencoded, Array.from({ length: 33 }, (_, i) => `f${i}=1`).join("&"), invalid],
    ["bytes that are no UTF-8", urlencoded, new Uint8Array([0x61, 0x3d, 0xff]), invalid],
    [
      "bytes that are no UTF-8, called ASCII",
      `${urlencoded}; charset=us-ascii`,
      new Uint8Array([0xe9]),
      invalid,
    ],
    ["no charset", `${urlencoded}; charset=klingon`, "grant_type=refresh_token", invalid],
    ["another charset", `${urlencoded}; charset=utf-16`, "grant_type=refresh_token", invalid],
    ["a part twice", multipart, `${part("code", "a")}${part("code", "b")}--b--\r\n`, invalid],
    ["a broken part", multipart, "--b\r\nContent-Disp", invalid],
    ["no end", multipart, part("code", "a"), invalid],
    ["another boundary", multipart, "--c\r\n\r\n--c--\r\n", invalid],
    ["no boundary", "multipart/form-data", `${part("code", "a")}--b--\r\n`, invalid],
    ["nothing in parts", multipart, "", invalid],
    [
      "a file",
      multipart,
      `--b\r\nContent-Disposition: form-data; name="code"; filename="x"\r\n\r\na\r\n--b--\r\n`,
      invalid,
    ],
  ];
  it.each(bodies)("%s", async (_name, type, body, expected) => {
    const server = tokenServer();
    const headers = type === "" ? {} : { "content-type": type };
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const answer = await server.ask("/auth/token", { method: "POST", headers, body: bytes });
    expect(answer).toMatchObject({ status: 400, body: expected });
    expect(server.defects).toEqual([]);
  });

  it.each([
    urlencoded,
    `${urlencoded};charset=UTF-8`,
    `${urlencoded}; charset="utf-8"`,
    `${urlencoded}; charset=utf8`,
    `${urlencoded}; charset=us-ascii`,
    `${urlencoded}; charset=ISO-8859-1`,
    `${urlencoded}; charset="Latin1"`,
    urlencoded.toUpperCase(),
  ])("%s is read", async (type) => {
    const body = new TextEncoder().encode(new URLSearchParams(refresh).toString());
    const answer = await tokenServer().ask("/auth/token", {
      method: "POST",
      headers: { "content-type": type },
      body,
    });
    expect(answer).toMatchObject({ status: 200 });
  });

  it("a body over the limit is 413, also when nobody said how long it is", async () => {
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(16_384).fill(97));
      },
    });
    const headers = { "content-type": urlencoded };
    const init = { method: "POST", headers, body: endless, duplex: "half" } as const;
    expect(await tokenServer().ask("/auth/token", init)).toMatchObject({ status: 413 });
    expect(pulled).toBeLessThan(10);
    const lying = { method: "POST", headers: { ...headers, "content-length": "99999999" }, body: "a=b" };
    expect(await tokenServer().ask("/auth/token", lying)).toMatchObject({ status: 413 });
  });

  it("a body that breaks off is the client's mistake, and no endpoint is asked", async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("socket hang up"));
      },
    });
    const server = tokenServer();
    const headers = { "content-type": urlencoded };
    const answer = await server.ask("/auth/token", { method: "POST", headers, body: broken, duplex: "half" });
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_format" } });
    expect([server.answered, server.defects]).toEqual([[], []]);
  });
});

describe("POST /auth/revoke", () => {
  it.each(["urlencoded", "multipart"] as const)(
    "ends the session of a refresh token, %s",
    async (encoding) => {
      const server = tokenServer();
      expect(await server.ask("/auth/revoke", post({ token: "rt" }, encoding))).toMatchObject({
        status: 200,
        text: "",
      });
      expect(server.revoked).toHaveLength(1);
      expect(server.decisions).toMatchObject([{ event: "session_revoked", sessionId: "s1", userId: "u1" }]);
    },
  );
  it.each([
    ["an unknown token", post({ token: "x" }, "urlencoded")],
    ["an access token", post({ token: "at", token_type_hint: "access_token" }, "urlencoded")],
    ["no token", post({}, "urlencoded")],
    ["no body", { method: "POST" }],
    ["a token twice", { method: "POST", body: new URLSearchParams("token=rt&token=rt") }],
    [
      "broken parts",
      { method: "POST", headers: { "content-type": "multipart/form-data; boundary=b" }, body: "--b" },
    ],
  ])("says nothing about %s", async (_name, init) => {
    const server = tokenServer();
    expect(await server.ask("/auth/revoke", init)).toMatchObject({ status: 200, text: "" });
    expect(server.revoked).toEqual([]);
  });
  it("is 503 when the session could not be ended now", async () => {
    const authority = scriptedAuthority({
      sessions: {
        findByRefreshToken: async () => {
          throw new AuthError("unavailable", { retryAfterSeconds: 2 });
        },
      },
    });
    for (const fields of [{ token: "rt" }, { token: "rt", action: "revoke" }]) {
      for (const path of ["/auth/revoke", "/auth/token"]) {
        if (path === "/auth/token" && fields.action === undefined) continue;
        const answer = await httpUnderTest(authority).ask(path, post(fields, "multipart"));
        expect(answer).toMatchObject({ status: 503 });
        expect(answer.headers.get("retry-after")).toBe("2");
      }
    }
  });
});

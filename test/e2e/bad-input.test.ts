import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { commands } from "../../protocol/commands/index.ts";
import { SOCKET_PATH } from "../../protocol/features.ts";
import { gatehouse, gatehouseJson, type ServeProcess, serve } from "../support/command-line.ts";
import { ask } from "../support/raw-http.ts";
import { frame, RawSocket, upgradeText } from "../support/raw-socket.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { type Message, openSocket } from "../support/socket-client.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

/** Is in every secret that is sent, and must be in nothing that the gateway writes. */
const canary = "canaryZ7";
const password = `${canary} horse battery`;
const env = {
  GATEHOUSE_LOG_LEVEL: "debug",
  GATEHOUSE_PASSWORD_SCRYPT_N: "1024",
  GATEHOUSE_PASSWORD_WORKERS: "1",
  GATEHOUSE_PASSWORD_QUEUE: "8",
};
const urlencoded = "application/x-www-form-urlencoded";
const handler = ["homeassistant", null];

for (const { transport, codec, kind } of [
  { transport: "ws", codec: "json", kind: "embedded" },
  { transport: "uws", codec: "msgpack", kind: "redis" },
] as const) {
  describe(`a gateway under bad input, ${transport}, ${codec}, ${kind}`, () => {
    let folder: TemporaryFolder;
    let redis: RedisServer | undefined;
    let gateway: ServeProcess;
    let where: string[];
    let token: string;

    beforeAll(async () => {
      folder = temporaryFolder();
      redis = kind === "redis" ? await startRedis() : undefined;
      where = ["--data", folder.path, ...(redis === undefined ? [] : ["--store", redis.url])];
      gateway = await serve([...where, "--transport", transport], { env });
    });
    afterAll(async () => {
      await gateway?.kill("SIGKILL");
      await redis?.dispose();
      folder?.remove();
    });

    const stored = async () => ({
      users: await gatehouseJson<object[]>(["users", "list", ...where]),
      sessions: (await gatehouseJson<{ id: string }[]>(["sessions", "list", ...where])).map(({ id }) => id),
    });
    const post = async (path: string, type: string, body: string, headers = "") => {
      const length = `Content-Length: ${Buffer.byteLength(body, "latin1")}\r\n`;
      const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\n${length}${headers}\r\n`;
      const answer = await ask(gateway.port, head + body);
      return [answer.status, answer.body === "" ? undefined : JSON.parse(answer.body)] as const;
    };
    const codeOf = (answer: Message) => (answer.error as { code: string } | undefined)?.code;

    it("makes no owner of it, and lets nobody guess the set-up code", async () => {
      const owner = { setup_code: "00000-00000-00000-00000", name: "x", username: "eve", password };
      const clientId = { client_id: "http://127.0.0.1/" };
      const setUp = (body: object | string, type = "application/json") =>
        post("/api/onboarding/users", type, typeof body === "string" ? body : JSON.stringify(body));
      const all = { ...owner, ...clientId };
      const malformed = [400, { message: "Message incorrectly formatted.", code: "invalid_format" }];
      for (const body of [
        ...Object.keys(all).map((name) => ({ ...all, [name]: undefined })),
        ...Object.keys(all).map((name) => ({ ...all, [name]: "x".repeat(3000) })),
        { ...all, is_owner: true },
        `{"__proto__":{"setup_code":"x"},${JSON.stringify(all).slice(1)}`,
        JSON.stringify(all).replace('"x"', '"\\ud800"'),
        `{"a":"\xff"}`,
        "[".repeat(30_000),
        "",
      ])
        expect(await setUp(body)).toEqual(malformed);
      expect(await setUp(all, "text/plain")).toEqual(malformed);
      const socket = await openSocket(gateway.port, { codec, from: "127.0.0.2" });
      const onSocket = async (fields: object) =>
        codeOf(await socket.call("auth/onboarding/create_owner", { ...owner, ...fields }));
      const setup_code = decodeURIComponent(gateway.setupLink?.split("code=")[1] ?? "");
      expect(await onSocket({ setup_code, client_id: "javascript:alert(1)" })).toBe("invalid_client");
      expect(await onSocket({ setup_code, username: "Eve " })).toBe("username_not_normalized");
      expect(await onSocket({ setup_code, password: "short" })).toBe("invalid_password");
      const guesses = await Promise.all(Array.from({ length: 40 }, () => setUp(all)));
      const statuses = guesses.map(([status]) => status);
      expect(statuses.filter((status) => status === 403)).toHaveLength(10);
      expect(statuses.filter((status) => status === 429)).toHaveLength(30);
      expect(await stored()).toEqual({ users: [], sessions: [] });
      socket.close();
    });

    it("is set up all the same", async () => {
      const add = ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin", ...where];
      expect(await gatehouse(add, { stdin: `${password}\n`, env })).toMatchObject({ code: 0 });
      const issued = await gatehouse(["tokens", "issue", "--user", "paula", "--name", "t", ...where]);
      token = issued.stdout.trim();
    });

    it("answers each bad request with its status and code", async () => {
      const part = (name: string, value: string, more = "") =>
        `--B\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
      const multipart = "multipart/form-data; boundary=B";
      const bad = [400, { error: "invalid_request" }];
      const unsupported = [400, { error: "unsupported_grant_type" }];
      const refused = [400, { error: "invalid_grant" }];
      const grant = "grant_type=refresh_token";
      const forms: readonly (readonly [string, string, unknown])[] = [
        [`${grant}&grant%5ftype=x`, urlencoded, bad],
        [`${grant}%00`, urlencoded, unsupported],
        [`${grant}&refresh_token=%zz%`, urlencoded, refused],
        [`${grant}&refresh_token=ghr_${canary}`, urlencoded, refused],
        [`${grant}&refresh_token=${"x".repeat(60_000)}`, urlencoded, refused],
        [`${grant}&a=\xff`, urlencoded, bad],
        [grant, `${urlencoded}; charset=utf-16`, bad],
        ["a=&".repeat(20_000), urlencoded, bad],
        ["__proto__=1&grant_type=constructor", urlencoded, unsupported],
        [part("grant_type", "refresh_token"), multipart, bad],
        [`${part("grant_type", "x", '; filename="f"')}--B--\r\n`, multipart, bad],
        [`${part("a", "1")}${part("a", "2")}--B--\r\n`, multipart, bad],
        [`${Array.from({ length: 900 }, (_, at) => part(`a${at}`, "")).join("")}--B--\r\n`, multipart, bad],
        [`--B\r\n${"X: y\r\n".repeat(9000)}\r\nx\r\n--B--\r\n`, multipart, bad],
        [`--B\r\n${"\r\n--".repeat(15_000)}`, multipart, bad],
        [`${part("n".repeat(60_000), "x")}--B--\r\n`, multipart, unsupported],
        ["", "multipart/form-data", bad],
        [
          "x".repeat(70_000),
          urlencoded,
          [413, { message: "Request body is too large", code: "payload_too_large" }],
        ],
      ];
      for (const [body, type, expected] of forms)
        expect([body.slice(0, 60), await post("/auth/token", type, body)]).toEqual([
          body.slice(0, 60),
          expected,
        ]);
      // A secret in the wrong field is refused like any client id, and not written down.
      const misplaced = `grant_type=authorization_code&code=${canary}&client_id=ghr_${canary}`;
      expect((await post("/auth/token", urlencoded, misplaced))[0]).toBe(400);
      expect(await post("/auth/revoke", urlencoded, `token=${canary}\xff`)).toEqual([200, undefined]);
      for (const [path, status] of [
        [`/auth/providers?Access_Token=${canary}`, 400],
        [`/api/?authSig=${canary}`, 401],
        ["/auth/%2e%2e/metrics", 400],
        ["//metrics", 404],
        ["/%zz", 404],
      ] as const) {
        const answer = await ask(gateway.port, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
        expect([path, answer.status]).toEqual([path, status]);
      }
    });

    it("refuses upgrades by origin and for tokens in the URL before 101", async () => {
      const host = `127.0.0.1:${gateway.port}`;
      const upgrade = async (target: string, Origin?: string) => {
        const raw = await RawSocket.connect(gateway.port);
        raw.write(upgradeText(target, { Host: host, Origin }));
        const status = Number((await raw.head()).slice(9, 12));
        raw.destroy();
        return status;
      };
      const foreign = ["null", "NULL", "*", `ws://${host}`, `http://${host}/`, `http://${host}.evil.test`];
      foreign.push(`http://evil@${host}`, `HTTP://${host}`, `http://${host}, http://evil.test`, host);
      for (const origin of foreign)
        expect([origin, await upgrade(SOCKET_PATH, origin)]).toEqual([origin, 403]);
      for (const origin of [undefined, `http://${host}`, `https://${host}`])
        expect(await upgrade(SOCKET_PATH, origin)).toBe(101);
      for (const name of ["access_token", "Token", "auth", "%61pi_password"])
        expect(await upgrade(`${SOCKET_PATH}?x=1&${name}=${token}`)).toBe(400);
      expect(await upgrade("/healthz")).toBe(404);
    });

    it("answers or closes, and serves others while it is flooded from many sides", async () => {
      const before = await stored();
      const person = await openSocket(gateway.port, { codec });
      expect(await person.authenticate(token)).toMatchObject({ type: "auth_ok" });
      const text = codec === "json" ? 0x81 : 0x82;
      const headers = codec === "json" ? {} : { "Sec-WebSocket-Protocol": "gatehouse.v1.msgpack" };
      const bytes = [
        frame(text, "{", { length: 2 ** 32 }),
        frame(0xf1, "x"),
        frame(text, "\xdd\xff\xff\xff\xff".repeat(800)),
        frame(text, "[".repeat(4000)),
        frame(text, " ".repeat(4097)),
        frame(0x83),
        Buffer.alloc(3000, 0xff),
      ];
      const broken = Array.from({ length: 140 }, async (_, at) => {
        const raw = await RawSocket.upgrade(gateway.port, SOCKET_PATH, headers);
        raw.write(bytes[at % bytes.length] ?? "");
        await raw.end(10_000);
        raw.destroy();
      });
      const silent = await Promise.all(
        Array.from({ length: 300 }, () => RawSocket.upgrade(gateway.port, SOCKET_PATH, headers)),
      );
      const tooEarly = Object.entries(commands)
        .filter(([, { guard }]) => guard !== "anyone")
        .map(async ([type]) => {
          const socket = await openSocket(gateway.port, { codec });
          socket.send({ id: 1, type });
          expect((await socket.closed).code).toBe(4401);
        });
      // Six addresses have shares of three times the queue for passwords. One of them alone does not use Paula's tries up.
      const guessers = Array.from({ length: 36 }, async (_, at) => {
        const socket = await openSocket(gateway.port, { codec, from: `127.0.1.${1 + (at % 6)}` });
        const { result } = await socket.call("auth/login/start", { handler });
        const { flow_id } = result as { flow_id: string };
        for (let tries = 0; tries < 5; tries += 1) {
          const user_input = { username: at % 6 === 0 ? "paula" : `nobody${at}`, password: `${canary}${at}` };
          const answer = await socket.call("auth/login/step", { flow_id, user_input });
          expect([undefined, "overloaded", "rate_limited"]).toContain(codeOf(answer));
        }
        socket.terminate();
      });
      const newcomer = await openSocket(gateway.port, { codec, from: "127.0.2.1" });
      const { result } = await newcomer.call("auth/login/start", { handler });
      const { flow_id } = result as { flow_id: string };
      const stranger = await openSocket(gateway.port, { codec, from: "127.0.2.2" });
      expect(codeOf(await stranger.call("auth/login/step", { flow_id, user_input: {} }))).toBe(
        "invalid_flow",
      );
      const user_input = { username: "paula", password };
      const login = await newcomer.call("auth/login/step", { flow_id, user_input });
      expect(login).toMatchObject({ success: true, result: { type: "create_entry" } });
      for (let at = 0; at < 20; at += 1) expect(await person.call("ping")).toMatchObject({ type: "pong" });
      await Promise.all([...broken, ...tooEarly, ...guessers]);
      for (const socket of silent) socket.destroy();
      const { session_id } = (login.result as { result: { session_id: string } }).result;
      const after = await stored();
      expect(after.users).toEqual(before.users);
      expect(after.sessions.sort()).toEqual([...before.sessions, session_id].sort());
      person.close();
    });

    it("is the same process, with no fault and no secret in what it wrote", async () => {
      expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
      expect(await gateway.kill("SIGTERM")).toBe(0);
      const { stdout, stderr } = gateway.output;
      expect(stderr).not.toMatch(/"level":"(?:error|fatal)"|unhandled|uncaught/i);
      for (const secret of [canary, token, "ghr_"]) expect(stdout + stderr).not.toContain(secret);
      const setupCode = gateway.setupLink?.split("code=")[1] ?? "";
      expect(stderr).not.toContain(setupCode);
      expect(stdout.split(setupCode)).toHaveLength(2);
    });
  });
}

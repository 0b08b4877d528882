import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import type { FlowStep } from "../../protocol/flow.ts";
import {
  createMemoryTokenStore,
  GatewayClient,
  type GatewayClientOptions,
  type GatewayError,
  type WebSocketConstructor,
} from "../../src/client/index.ts";
import { createLog } from "../../src/observability/log.ts";
import { codeAt } from "../auth/factors/factor-people.ts";
import { exchangesFile, scramVectors } from "../protocol/scram-vectors.ts";
import { type Altered, type AlteringProxy, startAlteringProxy } from "../support/altering-proxy.ts";
import { makeCertificate, makeCertificateFiles } from "../support/certificate.ts";
import { eventually } from "../support/eventually.ts";
import {
  ownerPassword,
  type RunningGateway,
  setUpOwner,
  startGateway,
  startNode,
  transportNames,
} from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { proofScrypt, rememberedScrypt } from "../support/scram-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const period = 30_000;
const handler = ["homeassistant", null] as [string, null];
const account = { username: "paula", password: ownerPassword };
const provable = {
  password: { scrypt_n: proofScrypt.N, scrypt_r: proofScrypt.r, scrypt_p: proofScrypt.p, workers: 1 },
};
const ends: (() => unknown)[] = [];

/** Trusts every certificate, so that somebody in between is not found out by theirs. */
class Trusting extends WebSocket {
  constructor(url: string, protocols?: string | string[]) {
    super(url, protocols, { rejectUnauthorized: false });
  }
}

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function clientAt(url: string, more: Partial<GatewayClientOptions> = {}) {
  const tokens = createMemoryTokenStore();
  const client = new GatewayClient({
    url,
    tokens,
    WebSocket: Trusting as unknown as WebSocketConstructor,
    scrypt: rememberedScrypt,
    ...more,
  });
  ends.push(() => client.close());
  return { client, tokens };
}

async function logIn(url: string, given = account, more: Partial<GatewayClientOptions> = {}) {
  const { client, tokens } = clientAt(url, more);
  const flow = await client.login({ handler });
  const step = await flow.submit(given);
  return { client, tokens, flow, step };
}

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => "nothing was thrown",
    (error: GatewayError) => error.code,
  );

describe.each(transportNames)("a login by proof on %s", (transport) => {
  let gateway: RunningGateway;
  beforeAll(async () => {
    gateway = await startGateway({ store: "embedded", transport, config: provable });
  });
  afterAll(() => gateway?.stop());

  async function between(
    alter: Omit<Parameters<typeof startAlteringProxy>[0], "gateway"> = {},
  ): Promise<AlteringProxy> {
    const proxy = await startAlteringProxy({ gateway: gateway.url, ...alter });
    ends.push(() => proxy.stop());
    return proxy;
  }

  it("is what the SDK does by itself, and the password is in no frame", async () => {
    const proxy = await between();
    const { client, flow } = clientOf(
      await logIn(proxy.url, { ...account, password: "wrong horse battery" }),
    );
    expect(flow.step).toMatchObject({ step_id: "init", errors: { base: "invalid_auth" } });
    expect(await flow.submit(account)).toMatchObject({
      type: "create_entry",
      server_final: expect.any(String),
    });
    expect(client.state).toBe("ready");
    const seen = [...proxy.fromClients, ...proxy.fromGateway].join("\n");
    expect(seen).toContain("client_final");
    expect(seen).not.toContain(ownerPassword);
    expect(seen).not.toContain("wrong horse");
  });

  it("gives a code too, and tells of its progress", async () => {
    const { client } = clientAt(gateway.url, {
      scrypt: (password, salt, cost, onProgress) => {
        for (const part of [0.5, 1]) onProgress(part);
        return rememberedScrypt(password, salt, cost, onProgress);
      },
    });
    const flow = await client.login({
      handler,
      for: "code",
      client_id: "https://app.example/",
      redirect_uri: "https://app.example/callback",
    });
    const told: number[] = [];
    flow.onProgress = (part) => told.push(part);
    expect(await flow.submit(account)).toMatchObject({ type: "create_entry", result: expect.any(String) });
    expect(told).toEqual([0.5, 1]);
  });

  it("goes on after its connection was lost, on either side of the proof", async () => {
    for (const lost of ["client_final", "server_first"]) {
      const side = lost === "client_final" ? "toServer" : "toClient";
      const proxy = await between({ [side]: losing(lost) });
      const { client } = clientAt(proxy.url, { timeoutMs: 1_000 });
      const flow = await client.login({ handler });
      expect(await codeOf(flow.submit(account))).toBe("call_timeout");
      expect(flow.step).toMatchObject({ step_id: "init" });
      expect(await flow.submit(account)).toMatchObject({ type: "create_entry" });
    }
  });

  it("can be required, or switched off", async () => {
    const proxy = await between({
      toClient: (message) => without(message, "mechanisms"),
    });
    expect(await codeOf(logIn(proxy.url, account, { scram: "require" }))).toBe("proof_not_offered");
    expect(proxy.fromClients.join()).not.toContain(ownerPassword);
    const plain = await between();
    const { step } = await logIn(plain.url, account, { scram: "never" });
    expect(step.type).toBe("create_entry");
    expect(plain.fromClients.join()).toContain(ownerPassword);
  });

  describe("with somebody in between", () => {
    const altered = (change: (serverFirst: string) => string) => (message: Altered) =>
      changed(message, ({ description_placeholders: shown }) =>
        shown?.server_first === undefined
          ? undefined
          : { description_placeholders: { server_first: change(shown.server_first) } },
      );

    it.each([
      ["lowers the cost below the floor", (text: string) => text.replace(/i=\d+/, "i=1024")],
      ["names a cheaper function", (text: string) => text.replace("k=scrypt", "k=md5")],
      ["raises the cost beyond the ceiling", (text: string) => text.replace(/i=\d+/, "i=1048576")],
      ["reflects the client's own nonce", (text: string) => text.replace(/r=([^,]{24})[^,]+/, "r=$1")],
      [
        "answers with the nonce of another exchange",
        (text: string) => text.replace(/r=.{24}/, `r=${"A".repeat(24)}`),
      ],
    ])("who %s: the client sends no proof, and goes no further", async (_, change) => {
      const proxy = await between({ toClient: altered(change) });
      const { client } = clientAt(proxy.url);
      const flow = await client.login({ handler });
      expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
      expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
      expect(proxy.fromClients.join()).not.toContain("client_final");
      expect(proxy.fromClients.join()).not.toContain(ownerPassword);
    });

    it.each([
      [
        "changes the cost within its bounds",
        (text: string) => text.replace(/i=\d+,k=scrypt,b=8,l=3/, "i=65536,k=scrypt,b=8,l=2"),
      ],
      ["swaps the salt", (text: string) => text.replace(/s=[^,]+/, "s=AAAAAAAAAAAAAAAAAAAAAA==")],
      ["adds an extension", (text: string) => `${text},x=1`],
    ])("who %s: the server refuses the proof", async (_, change) => {
      const proxy = await between({ toClient: altered(change) });
      const { step } = await logIn(proxy.url);
      expect(step).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    });

    it.each([
      ["changes the server's proof", { server_final: `v=${Buffer.alloc(32).toString("base64")}` }],
      ["reflects nothing of it", { server_final: undefined }],
    ])("who %s: the client keeps no tokens", async (_, change) => {
      const proxy = await between({
        toClient: (message) =>
          changed(message, (step) => (step.type === "create_entry" ? change : undefined)),
      });
      const { client, tokens } = clientAt(proxy.url);
      const flow = await client.login({ handler });
      expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
      expect([await tokens.load(), client.state]).toEqual([null, "idle"]);
      expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
    });

    it("who invents a next step: the client answers nothing", async () => {
      const invented = {
        type: "form",
        step_id: "pin",
        errors: {},
        data_schema: [{ name: "pin", type: "string" }],
      };
      const proxy = await between({
        toClient: (message) =>
          changed(message, (step) => (step.type === "create_entry" ? invented : undefined), "server_final"),
      });
      const { client } = clientAt(proxy.url);
      const flow = await client.login({ handler });
      expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
    });

    it.each([
      ["lets the client in at its first message", { type: "create_entry", result: "a code" }],
      ["asks for something else at its first message", { type: "form", step_id: "pin", errors: {} }],
    ])("who %s: the client goes no further", async (_, invented) => {
      const proxy = await between({
        toClient: (message) => changed(message, (step) => (step.step_id === "scram" ? invented : undefined)),
      });
      const { client } = clientAt(proxy.url);
      const flow = await client.login({ handler });
      expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
      expect(flow.step).toMatchObject({ step_id: "init" });
      expect(proxy.fromClients.join()).not.toContain(ownerPassword);
    });

    it.each([
      ["a session", { type: "create_entry", result: "a code" }],
      ["another form", { type: "form", step_id: "pin", errors: {} }],
    ])("who pushes %s while the client computes: the client goes no further", async (_, invented) => {
      const proxy = await between();
      const { client, tokens } = clientAt(proxy.url, {
        scrypt: async (...job) => {
          const start = proxy.fromClients.find((text) => text.includes("auth/login/start")) ?? "";
          const { id } = JSON.parse(start) as { readonly id: number };
          proxy.push({ id, type: "event", event: { flow_id: flow.step.flow_id, handler, ...invented } });
          return await rememberedScrypt(...job);
        },
      });
      const flow = await client.login({ handler });
      expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
      expect([await tokens.load(), client.state]).toEqual([null, "idle"]);
      expect(flow.step).toMatchObject({ step_id: "init" });
    });

    it("who says that a proof was wrong, and asks for something else: the client goes no further", async () => {
      const invented = { type: "form", step_id: "pin", errors: { base: "invalid_auth" } };
      const proxy = await between({
        toClient: (message) =>
          changed(message, (step) => (step.type === "create_entry" ? invented : undefined), "server_final"),
      });
      const { client } = clientAt(proxy.url);
      const flow = await client.login({ handler });
      expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
    });

    it("who replays a login that was overheard: refused", async () => {
      const proxy = await between();
      await logIn(proxy.url);
      const overheard = proxy.fromClients.slice(0, 3).map((text) => JSON.parse(text) as Altered);
      const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/api/websocket`);
      ends.push(() => socket.terminate());
      const answers: Altered[] = [];
      let flowId: unknown;
      const next = () => {
        const message = overheard.shift();
        if (message !== undefined)
          socket.send(JSON.stringify({ ...message, ...(flowId === undefined ? {} : { flow_id: flowId }) }));
      };
      await new Promise<void>((resolve) => {
        socket.on("message", (data) => {
          const message = JSON.parse(String(data)) as Altered;
          if (message.type !== "result") return next();
          answers.push(message);
          flowId ??= (message.result as { flow_id?: string } | undefined)?.flow_id;
          if (overheard.length === 0) resolve();
          next();
        });
      });
      expect(answers.at(-1)).toMatchObject({ result: { type: "form", errors: { base: "invalid_auth" } } });
    });
  });
});

describe("a login by proof with a second factor", () => {
  let gateway: RunningGateway;
  let secret: string;
  let used = 0;
  beforeAll(async () => {
    gateway = await startGateway({ store: "embedded", transport: "ws", config: provable });
    const { client } = await logIn(gateway.url);
    const form = (await client.call("auth/setup_mfa", { mfa_module_id: "totp" })) as unknown as {
      readonly flow_id: string;
      readonly description_placeholders: { readonly code: string };
    };
    secret = form.description_placeholders.code;
    await client.call("auth/setup_mfa", { flow_id: form.flow_id, user_input: { code: code() } });
  });
  afterAll(() => gateway?.stop());

  /** One that was not used yet: of the period before this one, of this one, or of the one after it. */
  const code = () => codeAt(secret, Date.now() + (used++ - 1) * period);

  it("has the server's proof before the code is asked for", async () => {
    const { flow, step } = await logIn(gateway.url);
    expect(step).toMatchObject({ type: "form", step_id: "mfa", server_final: expect.any(String) });
    expect(await flow.submit({ code: code() })).toMatchObject({ type: "create_entry" });
  });

  it("has it also if the answer to the proof was lost with its connection", async () => {
    const proxy = await startAlteringProxy({ gateway: gateway.url, toClient: losing('"mfa"') });
    ends.push(() => proxy.stop());
    const { client } = clientAt(proxy.url, { timeoutMs: 1_000 });
    const flow = await client.login({ handler });
    expect(await codeOf(flow.submit(account))).toBe("call_timeout");
    expect(await flow.submit(account)).toMatchObject({ step_id: "mfa", server_final: expect.any(String) });
  });

  it("asks nobody for the code without it, also after the connection was lost", async () => {
    const lose = losing('"mfa"');
    const proxy = await startAlteringProxy({
      gateway: gateway.url,
      toClient(message) {
        const kept = lose(message);
        return kept && without(kept, "server_final");
      },
    });
    ends.push(() => proxy.stop());
    const { client } = clientAt(proxy.url, { timeoutMs: 1_000 });
    const flow = await client.login({ handler });
    expect(await codeOf(flow.submit(account))).toBe("call_timeout");
    expect(await codeOf(flow.submit(account))).toBe("server_not_trusted");
    expect(flow.step).toMatchObject({ step_id: "init" });
    expect(await codeOf(flow.submit({ code: "123456" }))).toBe("server_not_trusted");
    expect(proxy.fromClients.join()).not.toContain("123456");
  });
});

describe("a login by proof over TLS", () => {
  let gateway: Awaited<ReturnType<typeof startNode>>;
  const folder = temporaryFolder();
  beforeAll(async () => {
    const { certificateFile, keyFile } = makeCertificateFiles(folder.path);
    gateway = await startNode({ ...provable, tls_cert_file: certificateFile, tls_key_file: keyFile });
    await setUpOwner(gateway.authority);
  });
  afterAll(async () => {
    await gateway?.stop();
    folder.remove();
  });

  const attacker = makeCertificate("attacker");
  const attack = async (
    alter: Pick<Parameters<typeof startAlteringProxy>[0], "toClient" | "toServer" | "maxVersion"> = {},
  ) => {
    const proxy = await startAlteringProxy({ gateway: gateway.url, tls: attacker, ...alter });
    ends.push(() => proxy.stop());
    return proxy;
  };

  it("is bound to the connection by itself", async () => {
    const { client } = clientAt(gateway.url);
    const flow = await client.login({ handler });
    expect(flow.step).toMatchObject({ mechanisms: ["SCRAM-SCRYPT-PLUS", "SCRAM-SCRYPT"] });
    expect(await flow.submit(account)).toMatchObject({ type: "create_entry" });
  });

  it("is refused to somebody who ends the client's TLS, whatever they do with the offer", async () => {
    const honest = await attack();
    expect((await logIn(honest.url)).step).toMatchObject({ errors: { base: "invalid_auth" } });
    expect(honest.fromClients.join()).toContain("SCRAM-SCRYPT-PLUS");

    const stripping = await attack({
      toClient: (message) =>
        changed(message, (step) => (step.mechanisms ? { mechanisms: ["SCRAM-SCRYPT"] } : undefined)),
    });
    expect((await logIn(stripping.url)).step).toMatchObject({ type: "abort", reason: "downgrade_detected" });

    const denying = await attack({
      toClient: (message) =>
        changed(message, (step) => (step.mechanisms ? { mechanisms: ["SCRAM-SCRYPT"] } : undefined)),
      toServer: (message) =>
        answering(
          message,
          ({ initial_response: first }) => first && { initial_response: first.replace(/^y/, "n") },
        ),
    });
    expect((await logIn(denying.url)).step).toMatchObject({ errors: { base: "invalid_auth" } });

    const rewriting = await attack({
      toClient: (message) =>
        changed(message, (step) => (step.mechanisms ? { mechanisms: ["SCRAM-SCRYPT"] } : undefined)),
      toServer: (message) =>
        answering(message, ({ initial_response: first, client_final: final }) => {
          if (first) return { initial_response: first.replace(/^y/, "n") };
          return final && { client_final: final.replace("c=eSws", "c=biws") };
        }),
    });
    expect((await logIn(rewriting.url)).step).toMatchObject({ errors: { base: "invalid_auth" } });
  });

  it("is refused to somebody who ends the client's TLS and speaks TLS 1.2 to the server", async () => {
    const older = await attack({ maxVersion: "TLSv1.2" });
    expect((await logIn(older.url)).step).toMatchObject({ type: "abort", reason: "downgrade_detected" });
    expect(older.fromClients.join()).toContain('"y,,n=paula');
    expect(older.fromGateway.join()).not.toContain("SCRAM-SCRYPT-PLUS");
  });

  it("is not bound on TLS 1.2, and a client that has no other is let in", async () => {
    class Older extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols, { rejectUnauthorized: false, maxVersion: "TLSv1.2" });
      }
    }
    const { step } = await logIn(gateway.url, account, {
      WebSocket: Older as unknown as WebSocketConstructor,
    });
    expect(step).toMatchObject({ type: "create_entry" });
  });

  it("is not bound behind a proxy that ends TLS, and a client that could bind is let in", async () => {
    const trusted = await startNode({
      ...provable,
      trusted_proxies: ["127.0.0.1/32"],
      ...(await tlsOf()),
    });
    ends.push(() => trusted.stop());
    await setUpOwner(trusted.authority);
    const proxy = await startAlteringProxy({ gateway: trusted.url, tls: attacker });
    ends.push(() => proxy.stop());
    expect((await logIn(proxy.url)).step).toMatchObject({ type: "create_entry" });
    expect(proxy.fromClients.join()).toContain('"y,,n=paula');
  });

  async function tlsOf() {
    const own = temporaryFolder();
    ends.push(() => own.remove());
    const { certificateFile, keyFile } = makeCertificateFiles(own.path);
    return { tls_cert_file: certificateFile, tls_key_file: keyFile };
  }
});

it("goes on at another node of the installation, after the first one has gone", async () => {
  const redis = await startRedis();
  ends.push(() => redis.dispose());
  const [one, two] = [
    await startNode({ ...provable, store: redis.url }),
    await startNode({ ...provable, store: redis.url }),
  ];
  ends.push(() => two.stop());
  await setUpOwner(one.authority);
  let url = one.url;
  const { client } = clientAt(one.url, {
    WebSocket: class extends WebSocket {
      constructor(_: string, protocols?: string | string[]) {
        super(`${url.replace("http", "ws")}/api/websocket`, protocols);
      }
    } as unknown as WebSocketConstructor,
    scrypt: async (...job) => {
      // While the client computes.
      if (url === one.url) {
        url = two.url;
        await one.stop();
      }
      return await rememberedScrypt(...job);
    },
  });
  const flow = await client.login({ handler });
  // On a busy machine a node may lose its lease for a moment. It says so, and the proof is still good.
  await eventually("an answer", async () => (await codeOf(flow.submit(account))) !== "unavailable");
  const { step } = flow;
  expect(step).toMatchObject({ type: "create_entry", server_final: expect.any(String) });
  expect(client.state).toBe("ready");
});

it("leaves neither the password nor what it is proved with in a log, an error or the store", async () => {
  const folder = temporaryFolder();
  ends.push(() => folder.remove());
  const lines: string[] = [];
  const log = createLog({ level: "trace", sink: { write: (line: string) => void lines.push(line) } });
  const gateway = await startNode({ ...provable, data: folder.path }, { log });
  ends.push(() => gateway.stop());
  await setUpOwner(gateway.authority);
  const proxy = await startAlteringProxy({ gateway: gateway.url });
  ends.push(() => proxy.stop());
  const salted: Buffer[] = [];
  const scrypt: typeof rememberedScrypt = async (...job) => {
    const result = await rememberedScrypt(...job);
    salted.push(Buffer.from(result));
    return result;
  };
  await logIn(proxy.url, { ...account, password: "canary of a wrong password" }, { scrypt });
  await logIn(proxy.url, { username: "nobody", password: ownerPassword }, { scrypt });
  const { step } = await logIn(proxy.url, account, { scrypt });
  expect(step.type).toBe("create_entry");

  const audited = lines.map((line) => JSON.parse(line) as Altered).filter(({ audit }) => audit === "login");
  expect(audited.map(({ outcome }) => outcome)).toEqual(["denied", "denied", "allowed"]);
  const files = readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter((file) =>
    file.isFile(),
  );
  const stored = Buffer.concat(files.map((file) => readFileSync(path.join(file.parentPath, file.name))));
  const told = Buffer.concat([Buffer.from([...lines, ...proxy.fromGateway].join("")), stored]);
  expect(stored.includes("stored_key")).toBe(true);
  expect(salted).toHaveLength(3);
  for (const key of salted) {
    const clientKey = createHmac("sha256", key).update("Client Key").digest();
    for (const secret of [key, clientKey])
      for (const form of ["base64", "base64url", "hex"] as const)
        expect(told.includes(secret.toString(form))).toBe(false);
    expect([told.includes(key), told.includes(clientKey)]).toEqual([false, false]);
  }
  for (const text of [ownerPassword, "canary of a wrong password"]) expect(told.includes(text)).toBe(false);
  for (const proof of proxy.fromClients.flatMap((text) => text.match(/,p=[^"]+/g) ?? [])) {
    expect(proof).toHaveLength(47);
    expect(told.includes(proof.slice(3))).toBe(false);
  }
});

describe("a second implementation, in Python's standard library", () => {
  const program = path.resolve(import.meta.dirname, "../compat/scram-login.py");
  const run = promisify(execFile);

  async function pythonLogin(port: number, username: string, password: string): Promise<unknown> {
    const running = run("python3", [program, "login", "127.0.0.1", String(port), username]);
    running.child.stdin?.end(password);
    return JSON.parse((await running).stdout);
  }

  it("computes the vectors", async () => {
    const folder = temporaryFolder();
    ends.push(() => folder.remove());
    const given = scramVectors.map(
      ({
        name,
        mechanism,
        username,
        password,
        gs2_header,
        channel_binding,
        client_nonce,
        server_nonce,
        salt,
        N,
        r,
        p,
      }) => ({
        ...{
          name,
          mechanism,
          username,
          password,
          gs2_header,
          channel_binding,
          client_nonce,
          server_nonce,
          salt,
          N,
          r,
          p,
        },
      }),
    );
    const file = path.join(folder.path, "given.json");
    writeFileSync(file, JSON.stringify(given));
    const { stdout } = await run("python3", [program, "vectors", file]);
    expect(JSON.parse(stdout)).toEqual(scramVectors);
    expect(exchangesFile).toMatch(/exchanges\.json$/);
  });

  it.each(transportNames)("logs in on %s, and is refused with a wrong password", async (transport) => {
    const gateway = await startGateway({ store: "embedded", transport, config: provable });
    ends.push(() => gateway.stop());
    expect(await pythonLogin(gateway.port, "Paula", ownerPassword)).toEqual({
      type: "auth_ok",
      user: "Paula",
    });
    expect(await pythonLogin(gateway.port, "paula", "wrong horse battery")).toEqual({
      type: "form",
      errors: { base: "invalid_auth" },
    });
  });
});

/** Holds back the first message with this text. */
function losing(text: string): (message: Altered) => Altered | undefined {
  let isLost = false;
  return (message) => {
    if (isLost || !JSON.stringify(message).includes(text)) return message;
    isLost = true;
    return undefined;
  };
}

/** A result whose step was changed, and its other messages as they are. */
function changed(
  message: Altered,
  change: (step: Altered & { description_placeholders?: Record<string, string> }) => object | undefined,
  drop?: string,
): Altered {
  const step = message.result as Altered | undefined;
  const to = step && change(step);
  if (step === undefined || to === undefined) return message;
  const result: Altered = { ...step, ...to };
  if (drop !== undefined) delete result[drop];
  return { ...message, result };
}

function without(message: Altered, key: string): Altered {
  return changed(message, (step) => (key in step ? {} : undefined), key);
}

/** An answer to a form that was changed. */
function answering(
  message: Altered,
  change: (input: Record<string, string>) => object | string | undefined,
): Altered {
  const input = message.user_input as Record<string, string> | undefined;
  const to = input && change(input);
  return typeof to === "object" ? { ...message, user_input: { ...input, ...to } } : message;
}

function clientOf<T extends { readonly step: FlowStep }>(all: T): T {
  expect(all.step.type).toBe("form");
  return all;
}

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { FlowStep } from "../../protocol/flow.ts";
import { createMemoryTokenStore, GatewayClient } from "../../src/client/index.ts";
import { createLog } from "../../src/observability/log.ts";
import { codeAt } from "../auth/factors/factor-people.ts";
import { command } from "../cli/command-in-process.ts";
import { eventually } from "../support/eventually.ts";
import { ownerPassword, setUpOwner, sharedIssuer, startNode } from "../support/gateway.ts";
import { patiently } from "../support/patiently.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { proofScrypt, rememberedScrypt } from "../support/scram-client.ts";

const secret = "a secret that the tests' gateways share";
const handler = ["homeassistant", null] as [string, null];
const old = "the old password of somebody";
const lines: string[] = [];
const closing: GatewayClient[] = [];
let redis: RedisServer;
let nodes: Awaited<ReturnType<typeof startNode>>[];
let owner: GatewayClient;

beforeAll(async () => {
  redis = await startRedis();
  const password = { scrypt_n: proofScrypt.N, scrypt_r: proofScrypt.r, scrypt_p: proofScrypt.p, workers: 1 };
  const log = createLog({ level: "info", sink: { write: (line: string) => void lines.push(line) } });
  const auth_providers = [{ type: "homeassistant" }, { type: "homeassistant", id: "staff" }] as const;
  const config = { store: redis.url, secret, password, auth_providers, log: { audit: true } };
  nodes = [await startNode(config, { log }), await startNode(config)];
  await setUpOwner(node().authority);
  owner = client();
  await patiently(async () => {
    await (await owner.login({ handler })).submit({ username: "paula", password: ownerPassword });
  });
});
afterAll(async () => {
  owner?.close();
  await Promise.all((nodes ?? []).map((each) => each.stop()));
  await redis?.dispose();
});
afterEach(() => {
  for (const each of closing.splice(0)) each.close();
});

function node(at = 0) {
  const found = nodes[at];
  if (found === undefined) throw new Error("no node");
  return found;
}

function client(at = 0, scram: "prefer" | "require" = "prefer"): GatewayClient {
  return new GatewayClient({
    url: node(at).url,
    tokens: createMemoryTokenStore(),
    scrypt: rememberedScrypt,
    scram,
  });
}

async function login(username: string, password: string, at = 0, scram: "prefer" | "require" = "prefer") {
  const made = client(at, scram);
  closing.push(made);
  const flow = await patiently(() => made.login({ handler }));
  return { client: made, flow, first: await patiently(() => flow.submit({ username, password })) };
}

async function person(username: string, groupIds: readonly string[] = ["system-users"]): Promise<string> {
  const made = { name: username, username, password: old, groupIds };
  return (await node().authority.localLogins.createUser(made)).id;
}

async function issued(userId: string, by = owner): Promise<string> {
  const create = () => by.call("gatehouse/password/reset/create", { user_id: userId });
  return (await patiently(create)).code;
}
const errorOf = async (work: Promise<unknown>) =>
  await work.then(
    () => "no error",
    (error: { code: string }) => error.code,
  );
const refused = { type: "form", step_id: "init", errors: { base: "invalid_auth" } };

describe("a reset code", () => {
  it("is taken by the SDK, also by one that proves passwords, and ends the user's sessions", async () => {
    const userId = await person("ada");
    const before = await login("ada", old);
    const code = await issued(userId);
    const { flow, first, client: used } = await login("ada", code, 1, "require");
    expect(first).toMatchObject({ step_id: "new_password" });
    expect(await patiently(() => flow.submit({ new_password: "short" }))).toMatchObject({
      errors: { new_password: "invalid_password" },
    });
    expect(await patiently(() => flow.submit({ new_password: "a new horse, a new battery" }))).toMatchObject({
      type: "create_entry",
    });
    expect(used.state).toBe("ready");
    await eventually("the end of the session", () => before.client.state !== "ready");
    const proved = await login("ada", "a new horse, a new battery", 0, "require");
    expect(proved.first).toMatchObject({ type: "create_entry", server_final: expect.any(String) });
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told).toContainEqual(
      expect.objectContaining({ audit: "password_reset_code", outcome: "allowed", user_id: userId }),
    );
    expect(lines.join("")).not.toContain(code.slice(6, 17));
  });

  it("is for a login of the local provider that is named, or of the first one", async () => {
    const made = { name: "sam", username: "sam", password: old, groupIds: ["system-users"] };
    const staff = node().authority.localLoginsOf("staff");
    const { id: user_id } = (await staff?.createUser(made)) ?? { id: "" };
    const create = (fields: object) =>
      patiently(() => owner.call("gatehouse/password/reset/create", { user_id, ...fields }));
    expect(await errorOf(create({}))).toBe("credentials_not_found");
    expect(await errorOf(create({ auth_provider_id: "none" }))).toBe("invalid_handler");
    const { code } = await create({ auth_provider_id: "staff" });
    const device = client();
    closing.push(device);
    const flow = await patiently(() => device.login({ handler: ["homeassistant", "staff"] }));
    expect(await patiently(() => flow.submit({ username: "sam", password: code }))).toMatchObject({
      step_id: "new_password",
    });
  });

  it("sets one password, of many that are tried at once on two nodes", async () => {
    const code = await issued(await person("bert"));
    const flows: Awaited<ReturnType<typeof login>>[] = [];
    for (const at of [0, 1, 0, 1]) flows.push(await login("bert", code, at));
    expect(flows.map(({ first }) => first)).toMatchObject(Array(4).fill({ step_id: "new_password" }));
    const passwords = flows.map((_, nth) => `a new horse, battery ${nth}`);
    const ends = await Promise.all(
      flows.map(({ flow }, nth) =>
        patiently(() => flow.submit({ new_password: passwords[nth] })).catch(
          (error: Error): FlowStep | Error => error,
        ),
      ),
    );
    const winners = ends.flatMap((end, nth) => ("type" in end && end.type === "create_entry" ? [nth] : []));
    expect(winners.length).toBeLessThan(2);
    const works: string[] = [];
    for (const password of passwords)
      if ((await login("bert", password)).first.type === "create_entry") works.push(password);
    expect(works).toHaveLength(1);
    expect(winners.map((nth) => passwords[nth])).toEqual(winners.length === 0 ? [] : works);
    expect((await login("bert", code)).first).toMatchObject(refused);
  });

  it("does not go around a second factor", async () => {
    const userId = await person("carla");
    const { client: carla } = await login("carla", old);
    const form = await patiently(() => carla.call("auth/setup_mfa", { mfa_module_id: "totp" }));
    const key = form.description_placeholders?.code ?? "";
    const user_input = { code: codeAt(key, Date.now()) };
    await patiently(() => carla.call("auth/setup_mfa", { flow_id: form.flow_id, user_input }));
    const { flow } = await login("carla", await issued(userId));
    const passwordChanges = () => lines.filter((line) => line.includes('"password_change"')).length;
    const before = passwordChanges();
    expect(await patiently(() => flow.submit({ new_password: "a new horse, a new battery" }))).toMatchObject({
      step_id: "mfa",
    });
    expect(await patiently(() => flow.submit({ code: "000000" }))).toMatchObject({
      errors: { base: "invalid_code" },
    });
    // The code alone has changed nothing: whoever has it can lock nobody out.
    expect(carla.state).toBe("ready");
    expect((await login("carla", old)).first).toMatchObject({ step_id: "mfa" });
    expect((await login("carla", "a new horse, a new battery")).first).toMatchObject(refused);
    expect(passwordChanges()).toBe(before);
    expect(await patiently(() => flow.submit({ code: codeAt(key, Date.now() + 30_000) }))).toMatchObject({
      type: "create_entry",
    });
    await eventually("the end of the session", () => carla.state !== "ready");
    expect((await login("carla", old)).first).toMatchObject(refused);
    expect((await login("carla", "a new horse, a new battery")).first).toMatchObject({ step_id: "mfa" });
    expect(passwordChanges()).toBe(before + 1);
  });

  it("that is cancelled, or whose password is changed, before the second factor sets nothing", async () => {
    const userId = await person("clara");
    const { client: clara } = await login("clara", old);
    const form = await patiently(() => clara.call("auth/setup_mfa", { mfa_module_id: "totp" }));
    const key = form.description_placeholders?.code ?? "";
    const user_input = { code: codeAt(key, Date.now()) };
    await patiently(() => clara.call("auth/setup_mfa", { flow_id: form.flow_id, user_input }));
    const { flow } = await login("clara", await issued(userId), 1);
    expect(await patiently(() => flow.submit({ new_password: "a new horse, a new battery" }))).toMatchObject({
      step_id: "mfa",
    });
    await patiently(() => owner.call("gatehouse/password/reset/cancel", { user_id: userId }));
    expect(await patiently(() => flow.submit({ code: codeAt(key, Date.now() + 30_000) }))).toMatchObject({
      type: "abort",
      reason: "not_allowed",
    });
    expect(clara.state).toBe("ready");
    expect((await login("clara", old)).first).toMatchObject({ step_id: "mfa" });
  });

  it("is taken by Home Assistant's clients", async () => {
    const code = await issued(await person("dora"));
    const [client_id, redirect_uri] = ["https://app.example/", "https://app.example/in"];
    const sent = async (path: string, body: object) => {
      const request = { method: "POST", body: JSON.stringify({ client_id, ...body }) };
      return (await (await fetch(`${node().url}/auth/login_flow${path}`, request)).json()) as {
        flow_id: string;
      };
    };
    const { flow_id } = await sent("", { handler, redirect_uri });
    expect(await sent(`/${flow_id}`, { username: "dora", password: code })).toMatchObject({
      step_id: "new_password",
      data_schema: [{ name: "new_password" }],
    });
    expect(await sent(`/${flow_id}`, { new_password: "a new horse, a new battery" })).toMatchObject({
      type: "create_entry",
      result: expect.any(String),
    });
  });

  it("comes from administrators, for everybody but the owner, and from the owner", async () => {
    const admin = await person("adam", ["system-admin"]);
    const user = await person("ursula");
    const ownerId = (await node().authority.users.list()).find(({ isOwner }) => isOwner)?.id ?? "";
    const [{ client: adam }, { client: ursula }] = [await login("adam", old), await login("ursula", old)];
    expect(await errorOf(issued(user, adam))).toBe("no error");
    expect(await errorOf(issued(ownerId, adam))).toBe("unauthorized");
    expect(await errorOf(adam.call("gatehouse/password/reset/cancel", { user_id: ownerId }))).toBe(
      "unauthorized",
    );
    expect(await errorOf(issued(admin, ursula))).toBe("unauthorized");
    expect(await errorOf(issued(user, ursula))).toBe("unauthorized");
    expect(await errorOf(issued("0".repeat(32), adam))).toBe("user_not_found");
    expect(await errorOf(issued(ownerId))).toBe("no error");
    expect(await owner.call("gatehouse/password/reset/cancel", { user_id: user })).toEqual({
      cancelled: true,
    });
    expect(await owner.call("gatehouse/password/reset/cancel", { user_id: user })).toEqual({
      cancelled: false,
    });
  });

  it("comes from the command line, for the owner too", async () => {
    const env = {
      GATEHOUSE_SECRET: secret,
      GATEHOUSE_STORE: redis.url,
      GATEHOUSE_TOKENS_ISSUER: sharedIssuer,
    };
    const { code, stdout } = await command(["users", "reset-code", "paula", "--json"], env);
    expect(code).toBe(0);
    const made = JSON.parse(stdout) as { readonly code: string };
    expect((await login("paula", made.code)).first).toMatchObject({ step_id: "new_password" });
    const cancelled = await command(["users", "reset-code", "paula", "--cancel"], env);
    expect(cancelled.stdout).toBe("paula: the reset code is worth nothing any more\n");
    expect((await login("paula", made.code)).first).toMatchObject(refused);
    const piped = ["login", node().url, "--username", "paula", "--password-stdin"];
    const again = JSON.parse((await command(["users", "reset-code", "paula", "--json"], env)).stdout);
    expect((await command(piped, {}, `${again.code}\n`)).stderr).toContain("run the command at a terminal");
  });
});

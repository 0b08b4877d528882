import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, it } from "vitest";

import { createFactors, type FactorEntry } from "../../../src/auth/factors/factor-types.ts";
import { effectiveConfig } from "../../../src/server/config/effective.ts";
import { defineConfig } from "../../../src/server/config/load.ts";
import { startAuthority, type TestAuthority } from "../../support/authority.ts";
import { startCodeWebhook, wrongCode } from "../../support/code-webhook.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { codeOf } from "../login/login-domain.ts";
import { Login, outcomeOf, passwordSession } from "./factor-people.ts";

type Entry = Extract<FactorEntry, { type: "notify" }>;

let node: TestAuthority;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  await node?.stop();
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(entry: Omit<Entry, "type">) {
  node = await startAuthority({
    factors: (tools) => createFactors([{ type: "notify", ...entry }], tools),
    loginBudgets: { pair: { attempts: 1000, refillMs: 1 }, account: { attempts: 1000, refillMs: 1 } },
  });
  await node.owner();
  await node.user("ada");
  return await passwordSession(node, "ada");
}

async function webhook() {
  const hook = await startCodeWebhook();
  ends.push(() => hook.stop());
  return hook;
}

async function setUp(
  { principal }: Awaited<ReturnType<typeof start>>,
  latest: () => string,
  target = "+1 555",
) {
  const { secondFactors } = node.authority;
  const form = await secondFactors.beginSetup("notify", principal);
  if (form.type !== "form" || form.data_schema[0]?.name !== "target")
    throw new Error("no form for the target");
  const asked = await secondFactors.advanceSetup(form.flow_id, { target }, principal);
  expect(asked).toMatchObject({ type: "form", step_id: "setup", data_schema: [{ name: "code" }] });
  expect(
    await secondFactors.advanceSetup(form.flow_id, { code: wrongCode(latest()) }, principal),
  ).toMatchObject({
    errors: { base: "invalid_code" },
  });
  const done = await secondFactors.advanceSetup(form.flow_id, { code: latest() }, principal);
  expect(done).toMatchObject({ type: "create_entry", data: { result: null } });
}

it("a webhook gets a code for each login, which is good for that login alone, and for five minutes", async () => {
  const hook = await webhook();
  const session = await start({ webhook: hook.url, token: "canary-token" });
  const latest = () => hook.latest();
  await setUp(session, latest);
  expect(hook.received[0]).toMatchObject({
    headers: { authorization: "Bearer canary-token", "content-type": "application/json" },
    body: {
      user_id: session.principal.userId,
      user_name: "ada",
      target: "+1 555",
      message: `${latest()} is your Gatehouse login code`,
    },
  });
  const one = await new Login(node).begin("ada");
  const code = latest();
  const two = await new Login(node).begin("ada");
  expect(outcomeOf(await two.send({ code }))).toBe(code === latest() ? "create_entry" : "invalid_code");
  expect(outcomeOf(await one.send({ code }))).toBe("create_entry");
  const { secondFactors } = node.authority;
  const again = await secondFactors.beginSetup("notify", session.principal);
  await secondFactors.advanceSetup(again.flow_id, { target: "+1 556" }, session.principal);
  node.clock.advance(5 * 60_000);
  expect(
    await secondFactors.advanceSetup(again.flow_id, { code: latest() }, session.principal),
  ).toMatchObject({ errors: { base: "invalid_code" } });
});

it("three wrong codes end a login, and no more than five codes are sent at once", async () => {
  const hook = await webhook();
  const session = await start({ webhook: hook.url });
  await setUp(session, hook.latest);
  const login = await new Login(node).begin("ada");
  const code = wrongCode(hook.latest());
  expect([await login.send({ code }), await login.send({ code })].map(outcomeOf)).toEqual([
    "invalid_code",
    "invalid_code",
  ]);
  expect(outcomeOf(await login.send({ code }))).toBe("too_many_retry");
  for (let sent = 2; sent < 5; sent += 1)
    expect(outcomeOf((await new Login(node).begin("ada")).step)).toBe("mfa");
  expect(outcomeOf((await new Login(node).begin("ada")).step)).toBe("too_many_messages");
  expect(hook.received).toHaveLength(5);
  const { throttles } = await node.authority.throttles.page({ after: undefined, limit: 10 });
  expect(throttles).toContainEqual(
    expect.objectContaining({ kind: "second_factor_message", userId: session.principal.userId }),
  );
});

it("a webhook that fails lets nobody in, and the login can be tried again", async () => {
  const hook = await webhook();
  const session = await start({ webhook: hook.url });
  await setUp(session, hook.latest);
  hook.status = 500;
  const login = await new Login(node).start();
  const password = { username: "ada", password: "correct horse battery" };
  expect(await codeOf(login.send(password))).toBe("unavailable");
  hook.status = 200;
  expect(outcomeOf(await login.send(password))).toBe("mfa");
  expect(outcomeOf(await login.send({ code: hook.latest() }))).toBe("create_entry");
});

it("a program gets the code in its environment alone, and is killed when it takes too long", async () => {
  const folder = temporaryFolder();
  ends.push(() => folder.remove());
  const command = path.join(folder.path, "send.sh");
  const write = (script: string) => {
    writeFileSync(command, `#!/bin/sh\n${script}\n`);
    chmodSync(command, 0o700);
  };
  const out = path.join(folder.path, "out");
  write(`printf '%s|%s|%s|%s' "$code" "$target" "$user_name" "$*" > ${out}`);
  const session = await start({ command, args: ["by-mail"], timeout_ms: 1_000 });
  const read = () => readFileSync(out, "utf8").split("|");
  await setUp(session, () => read()[0] ?? "", "ada@example.org; $(touch x)");
  expect(read().slice(1)).toEqual(["ada@example.org; $(touch x)", "ada", "by-mail"]);
  write("exec sleep 60");
  const login = await new Login(node).start();
  const password = { username: "ada", password: "correct horse battery" };
  expect(await codeOf(login.send(password))).toBe("unavailable");
});

it("an entry is checked, and its token is never shown", () => {
  const config = (entry: object) =>
    defineConfig({ auth_mfa_modules: [{ type: "notify", ...entry } as never] });
  expect(() => config({})).toThrow("needs webhook or command, and not both");
  expect(() => config({ webhook: "https://a.example/", command: "/bin/true" })).toThrow("not both");
  expect(() => config({ command: "/bin/true", token: "canary" })).toThrow(
    "has a token, which is for a webhook",
  );
  expect(() => config({ webhook: "https://canary:canary@a.example/" })).toThrow("give a token");
  expect(() => config({ command: "true" })).toThrow("auth_mfa_modules");
  const shown = effectiveConfig(config({ webhook: "https://a.example/", token: "canary" }));
  expect(JSON.stringify(shown.auth_mfa_modules)).toBe(
    '[{"type":"notify","webhook":"https://a.example/","token":"***"}]',
  );
  const twice = [{ type: "totp" }, { type: "totp" }] as const;
  expect(() => defineConfig({ auth_mfa_modules: twice as never })).toThrow(
    "entry 2 has the id of another entry",
  );
});

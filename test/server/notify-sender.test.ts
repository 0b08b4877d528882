import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, it } from "vitest";

import type { FactorEntry } from "../../src/auth/factors/factor-types.ts";
import { startCodeWebhook } from "../support/code-webhook.ts";
import { eventually } from "../support/eventually.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { type Message, openSocket } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/* What bounds the sending of codes: one at a time here, and the time of a program. */

const client_id = "https://app.example/";
const handler = ["homeassistant", null];

let node: Awaited<ReturnType<typeof startNode>>;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(entry: Omit<Extract<FactorEntry, { type: "notify" }>, "type">) {
  node = await startNode({ auth_mfa_modules: [{ type: "notify", concurrent: 1, ...entry }] });
  ends.push(() => node.stop());
  await setUpOwner(node.authority);
}

/** A login on a socket of its own, up to the password. */
async function begin(username: string) {
  const socket = await openSocket(node.port);
  ends.push(() => socket.close());
  const { result } = await socket.call("auth/login/start", { handler });
  const { flow_id } = result as { readonly flow_id: string };
  const send = (user_input: object) => socket.call("auth/login/step", { flow_id, user_input });
  return { socket, send, enter: () => send({ username, password: ownerPassword }) };
}

/** A user who has set the factor up. `codeOf`: the code that was sent. */
async function enrolled(username: string, codeOf: () => string): Promise<void> {
  const login = { name: username, username, password: ownerPassword, groupIds: ["system-users"] };
  await node.authority.localLogins.createUser(login);
  const { socket, enter } = await begin(username);
  await enter();
  const set = async (fields: object) => (await socket.call("auth/setup_mfa", fields)).result as Message;
  const { flow_id } = await set({ mfa_module_id: "notify" });
  await set({ flow_id, user_input: { target: username } });
  const done = await set({ flow_id, user_input: { code: codeOf() } });
  expect(done).toMatchObject({ type: "create_entry" });
}

async function enterOverHttp(username: string) {
  const post = async (at: string, body: object) => {
    const answer = await fetch(`${node.url}/auth/login_flow${at}`, {
      method: "POST",
      body: JSON.stringify({ client_id, ...body }),
    });
    const { status, headers } = answer;
    return { status, after: headers.get("retry-after"), body: (await answer.json()) as Message };
  };
  const begun = await post("", { handler, redirect_uri: "https://app.example/in" });
  return await post(`/${begun.body.flow_id}`, { username, password: ownerPassword });
}

const form = { result: { type: "form", step_id: "mfa", errors: {} } };

it("refuses a message above the configured number at once with overloaded, until one is done", async () => {
  const hook = await startCodeWebhook();
  ends.push(() => hook.stop());
  await start({ webhook: hook.url });
  for (const name of ["ada", "bea"]) await enrolled(name, () => hook.latest(name));
  let release = () => {};
  hook.holds = new Promise((resolve) => {
    release = resolve;
  });
  const [ada, bea] = [await begin("ada"), await begin("bea")];
  const entered = ada.enter();
  await eventually("the message that is held", () => hook.sentTo("ada").length === 2);
  expect(await bea.enter()).toMatchObject({ error: { code: "overloaded", retry_after: 2 } });
  expect(await enterOverHttp("bea")).toMatchObject({ status: 503, after: "2", body: { code: "overloaded" } });
  expect(hook.sentTo("bea")).toHaveLength(1);
  // One that fails is done too.
  hook.status = 500;
  release();
  expect(await entered).toMatchObject({ error: { code: "unavailable" } });
  hook.status = 204;
  expect(await bea.enter()).toMatchObject(form);
  expect(await ada.enter()).toMatchObject(form);
  expect(await bea.send({ code: hook.latest("bea") })).toMatchObject({ result: { type: "create_entry" } });
});

/** Ended, perhaps not yet waited for by its parent. */
const isGone = (pid: string) => {
  const status = `/proc/${pid}/status`;
  return !existsSync(status) || /^State:\s+[ZX]/m.test(readFileSync(status, "utf8"));
};

it("ends a program that takes too long, with what it started, and sends the next message", async () => {
  const folder = temporaryFolder();
  ends.push(() => folder.remove());
  const at = (name: string) => path.join(folder.path, name);
  const script = `#!/bin/sh
if [ ! -e ${at("hangs")} ]; then printf %s "$code" > ${at("code")}; exit 0; fi
sleep 120 &
echo "$$ $!" > ${at("new")}; mv ${at("new")} ${at("pids")}
wait
`;
  writeFileSync(at("send"), script);
  chmodSync(at("send"), 0o700);
  // Enough for a shell to begin on a busy machine.
  await start({ command: at("send"), timeout_ms: 3_000 });
  const codeOf = () => readFileSync(at("code"), "utf8");
  await enrolled("ada", codeOf);
  writeFileSync(at("hangs"), "");
  const login = await begin("ada");
  const answer = login.enter();
  await eventually("the processes", () => existsSync(at("pids")));
  const pids = readFileSync(at("pids"), "utf8").trim().split(" ");
  expect(pids.map(isGone)).toEqual([false, false]);
  expect(await answer).toMatchObject({ error: { code: "unavailable", retry_after: 5 } });
  await eventually("their end", () => pids.every(isGone), 20_000);
  rmSync(at("hangs"));
  expect(await login.enter()).toMatchObject(form);
  expect(await login.send({ code: codeOf() })).toMatchObject({ result: { type: "create_entry" } });
});

import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";

import { gatehouse, gatehouseJson, serve } from "../support/command-line.ts";
import { sharedIssuer } from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

interface Begun {
  readonly flow_id: string;
  readonly flow_secret: string;
}

/** Two processes on one Redis, and what reaches their store from the command line. */
async function cluster() {
  const folder = temporaryFolder();
  undo.push(() => folder.remove());
  const redis = await startRedis();
  undo.push(() => redis.dispose());
  const program = path.join(folder.path, "everybody");
  writeFileSync(program, "#!/bin/sh\nexit 0\n");
  chmodSync(program, 0o755);
  const providers = [{ type: "homeassistant" }, { type: "command_line", command: program }];
  const env = {
    GATEHOUSE_TOKENS_ISSUER: sharedIssuer,
    GATEHOUSE_AUTH_PROVIDERS: JSON.stringify(providers),
    GATEHOUSE_DATA: folder.path,
    GATEHOUSE_STORE: redis.url,
  };
  const add = ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin"];
  expect(await gatehouse(add, { stdin: "correct horse battery\n", env })).toMatchObject({ code: 0 });
  const [dying, living] = [await serve([], { env }), await serve([], { env })];
  for (const node of [dying, living]) undo.push(() => node.kill("SIGKILL"));
  return { dying, living, env };
}

async function begin(socket: SocketClient, type: string): Promise<Begun> {
  return (await socket.call("auth/login/start", { handler: [type, null] })).result as Begun;
}

async function resume(port: number, { flow_id, flow_secret }: Begun) {
  const socket = await openSocket(port);
  const { id, result } = await socket.call("auth/login/resume", { flow_id, flow_secret });
  return { socket, id, step: result };
}

const entered = (socket: SocketClient) => socket.find(({ type }) => type === "auth_ok", "auth_ok");

describe("a login whose node is killed", () => {
  it("goes on at the same step on another node: a form, and a wait for approval", async () => {
    const { dying, living, env } = await cluster();
    const form = await begin(await openSocket(dying.port), "homeassistant");
    const waitingSocket = await openSocket(dying.port);
    const waiting = await begin(waitingSocket, "command_line");
    const input = { flow_id: waiting.flow_id, user_input: { username: "gus", password: "x" } };
    const shown = (await waitingSocket.call("auth/login/step", input)).result;
    await dying.kill("SIGKILL");

    const atForm = await resume(living.port, form);
    expect(atForm.step).toMatchObject({ type: "form", step_id: "init", errors: {} });
    const user_input = { username: "paula", password: "correct horse battery" };
    await atForm.socket.call("auth/login/step", { flow_id: form.flow_id, user_input });
    await entered(atForm.socket);

    const atWait = await resume(living.port, waiting);
    expect(atWait.step).toMatchObject(shown as object);
    const [gus] = await gatehouseJson<{ user_id: string }[]>(["approvals", "list"], { env });
    await gatehouseJson(["approvals", "approve", gus?.user_id ?? ""], { env });
    const pushed = await atWait.socket.find(
      ({ id, type }) => type === "event" && id === atWait.id,
      "the next step",
    );
    expect(pushed.event).toMatchObject({ type: "create_entry" });
    await entered(atWait.socket);
    for (const { socket } of [atForm, atWait]) socket.close();
  });

  it("is over for whoever was approved while nobody was there, at the resume", async () => {
    const { dying, living, env } = await cluster();
    const socket = await openSocket(dying.port);
    const waiting = await begin(socket, "command_line");
    const user_input = { username: "gus", password: "x" };
    await socket.call("auth/login/step", { flow_id: waiting.flow_id, user_input });
    await dying.kill("SIGKILL");
    const [gus] = await gatehouseJson<{ user_id: string }[]>(["approvals", "list"], { env });
    await gatehouseJson(["approvals", "approve", gus?.user_id ?? ""], { env });
    const back = await resume(living.port, waiting);
    expect(back.step).toMatchObject({ type: "create_entry" });
    await entered(back.socket);
    back.socket.close();
  });
});

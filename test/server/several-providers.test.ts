import { afterEach, describe, expect, it } from "vitest";

import { command } from "../cli/command-in-process.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { type Message, openSocket } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const providers = [
  { type: "homeassistant", id: "family", name: "Family" },
  { type: "homeassistant", id: "guests" },
] as const;

async function start() {
  const data = temporaryFolder();
  ends.push(() => data.remove());
  const gateway = await startNode({ data: data.path, auth_providers: providers });
  ends.push(() => gateway.stop());
  const owner = await setUpOwner(gateway.authority);
  const env = {
    GATEHOUSE_DATA: data.path,
    GATEHOUSE_SECRET: "a secret that the tests' gateways share",
    GATEHOUSE_AUTH_PROVIDERS: JSON.stringify(providers),
  };
  const users = (args: readonly string[], password = "guests and guests") =>
    command(["users", ...args], env, `${password}\n`);
  return { ...gateway, owner, users };
}

async function logIn(port: number, id: string | null, password: string, username = "paula") {
  const socket = await openSocket(port);
  ends.push(() => socket.close());
  const handler = ["homeassistant", id];
  const started = await socket.call("auth/login/start", { handler });
  if (started.success !== true) return started.error;
  const { flow_id } = started.result as Message;
  const answer = await socket.call("auth/login/step", { flow_id, user_input: { username, password } });
  if (answer.success !== true) return answer.error;
  const step = answer.result as Message;
  if (step.type !== "create_entry") return step.errors;
  const me = (await socket.call("auth/current_user")).result as Message;
  return { id: me.id, credentials: me.credentials };
}

describe("two providers of one type", () => {
  it("are offered in their order, under their names", async () => {
    const { port, url } = await start();
    const socket = await openSocket(port);
    ends.push(() => socket.close());
    const shown = [
      { name: "Family", type: "homeassistant", id: "family" },
      { name: "Home Assistant Local (guests)", type: "homeassistant", id: "guests" },
    ];
    expect(await socket.call("auth/providers")).toMatchObject({ result: { providers: shown } });
    const answer = await fetch(`${url}/auth/providers`);
    expect(await answer.json()).toMatchObject({ providers: shown });
  });

  it("have login names of their own: the same name is two people, each with a password", async () => {
    const { port, owner, users } = await start();
    const wrong = { base: "invalid_auth" };
    expect(await logIn(port, "guests", ownerPassword)).toEqual(wrong);
    const added = await users([
      "add",
      "Other Paula",
      "--username",
      "paula",
      "--provider",
      "guests",
      "--password-stdin",
    ]);
    expect(added).toMatchObject({ code: 0 });
    const family = await logIn(port, "family", ownerPassword);
    const guest = await logIn(port, "guests", "guests and guests");
    const credential = (id: string) => [{ auth_provider_type: "homeassistant", auth_provider_id: id }];
    expect(family).toEqual({ id: owner.id, credentials: credential("family") });
    expect(guest).toEqual({ id: expect.not.stringMatching(owner.id), credentials: credential("guests") });
    expect(await logIn(port, "guests", ownerPassword)).toEqual(wrong);
    expect(await logIn(port, "family", "guests and guests")).toEqual(wrong);
    expect(await logIn(port, null, ownerPassword)).toMatchObject({ code: "invalid_handler" });
  });

  it("are managed one by one on the command line", async () => {
    const { port, authority, users } = await start();
    const at = ["--provider", "guests"];
    const guest = ["--username", "paula", ...at, "--password-stdin"];
    await users(["add", "Guest", ...guest]);
    expect(await users(["passwd", "paula", ...at, "--password-stdin"], "another of theirs")).toMatchObject({
      code: 0,
    });
    expect(await logIn(port, "guests", "another of theirs")).toMatchObject({ id: expect.any(String) });
    expect(await logIn(port, "family", ownerPassword)).toMatchObject({ id: expect.any(String) });
    expect(await users(["list", "--provider", "strangers"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("names no homeassistant provider"),
    });
    await authority.localLoginsOf("guests")?.remove("paula");
    expect(await logIn(port, "guests", "another of theirs")).toEqual({ base: "invalid_auth" });
    expect(await logIn(port, "family", ownerPassword)).toMatchObject({ id: expect.any(String) });
  });

  it("count guesses apart", async () => {
    const { port } = await start();
    const answers: unknown[] = [];
    for (let n = 0; n < 11; n += 1) answers.push(await logIn(port, "guests", "wrong and wrong"));
    expect(answers.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => ({ base: "invalid_auth" })));
    expect(answers[10]).toMatchObject({ code: "rate_limited" });
    expect(await logIn(port, "family", ownerPassword)).toMatchObject({ id: expect.any(String) });
  });
});

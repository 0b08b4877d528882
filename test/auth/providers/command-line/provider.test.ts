import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { AuthError } from "../../../../src/auth/errors.ts";
import {
  type CommandLineOptions,
  createCommandLineProvider,
} from "../../../../src/auth/providers/command-line/provider.ts";
import type { ProviderContext } from "../../../../src/auth/providers/provider.ts";
import { eventually } from "../../../support/eventually.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../support/temporary-folder.ts";
import { within } from "../../../support/within.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const at = (name: string) => path.join(folder.path, name);
const read = (name: string) => readFileSync(at(name), "utf8");
const context = (address = "203.0.113.7"): ProviderContext => ({
  flowId: "f",
  peer: { address },
  known: false,
});
const credential = { id: "c", userId: "u1", providerType: "command_line", providerId: null, createdAt: 0 };

/** A shell script in the folder. */
function script(text: string, name = "command.sh"): string {
  writeFileSync(at(name), `#!/bin/sh\n${text}\n`);
  chmodSync(at(name), 0o700);
  return at(name);
}

function provider(text: string, more: Partial<CommandLineOptions> = {}) {
  return createCommandLineProvider({
    id: null,
    command: script(text),
    args: [],
    meta: false,
    timeoutMs: 8_000,
    concurrent: 2,
    newUsers: { activate: false, groups: ["system-users"] },
    credentials: {
      find: async (_type, _id, subject) =>
        subject === "ada" ? { credential: { ...credential, subject }, version: 1 } : undefined,
    },
    ...more,
  });
}

const send = (
  made: ReturnType<typeof provider>,
  input: Readonly<Record<string, unknown>> = { username: "ada", password: "canary-password" },
  from?: string,
) => within(made.advance("init", input, {}, context(from)), "the command");
const refused = { kind: "form", errors: { base: "invalid_auth" } };
const failure = async (work: Promise<unknown>) => {
  const error = await work.catch((reason: unknown) => reason);
  if (!(error instanceof AuthError)) throw new Error(`no AuthError: ${String(error)}`);
  return error;
};
/** Ended, perhaps not yet waited for by its parent. */
const isGone = (pid: string) =>
  eventually(`the end of ${pid.trim()}`, () => {
    const status = `/proc/${pid.trim()}/status`;
    return !existsSync(status) || /^State:\s+[ZX]/m.test(readFileSync(status, "utf8"));
  });

describe("the command", () => {
  it("gets the variables username and password, its arguments, and nothing else", async () => {
    const command = `/usr/bin/env > ${at("env")}; echo "$@" > ${at("args")}; cat > ${at("stdin")}`;
    vi.stubEnv("CANARY_OF_THE_GATEWAY", "x");
    const made = provider(command, { args: ["--realm", "a b"] });
    expect(await send(made, { username: "  ada ", password: " spaces stay " })).toMatchObject({
      kind: "done",
      subject: "ada",
      amr: ["pwd"],
      profile: undefined,
    });
    const names = read("env").split("\n").filter(Boolean);
    // The shell adds these by itself.
    const given = names.filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line));
    expect(given.sort()).toEqual(["password= spaces stay ", "username=ada"]);
    expect(read("args")).toBe("--realm a b\n");
    expect(read("stdin")).toBe("");
  });

  it("lets in with exit code 0 only, and a signal is a wrong password too", async () => {
    expect(await send(provider("exit 0"))).toMatchObject({ kind: "done", userId: "u1" });
    for (const end of ["exit 1", "exit 255", "kill -TERM $$"])
      expect(await send(provider(end))).toMatchObject({ ...refused, userId: "u1" });
  });

  it("decides about every name alike: unknown and known, the answers are equal", async () => {
    const made = provider("exit 1");
    const began = performance.now();
    const known = await send(made);
    expect(performance.now() - began).toBeGreaterThan(240);
    const unknown = await send(made, { username: "nobody", password: "canary-password" });
    expect({ ...known, userId: undefined }).toEqual({ ...unknown, userId: undefined });
  });

  it("is not run for what it could not be given", async () => {
    const made = provider(`touch ${at("ran")}`);
    const inputs = [
      { username: "  ", password: "x" },
      { username: "a\0b", password: "x" },
      { username: "a\ud800", password: "x" },
      { username: "ada", password: "x\0y" },
      { username: 5, password: "x" },
    ];
    for (const input of inputs) expect(await send(made, input)).toMatchObject(refused);
    expect(existsSync(at("ran"))).toBe(false);
  });

  it("gets an empty password, as in Home Assistant", async () => {
    expect(await send(provider('[ -z "$password" ]'), { username: "ada", password: "" })).toMatchObject({
      kind: "done",
    });
  });

  it("counts all spellings of a name as one", () => {
    const made = provider("exit 0");
    const name = (username: string) => made.guessedName?.("init", { username });
    expect(name(" ADA ")).toBe(name("ada"));
  });
});

describe("meta lines", () => {
  const profileOf = async (output: string) => {
    writeFileSync(at("output"), output);
    const step = await send(provider(`cat ${at("output")}`, { meta: true }));
    return step.kind === "done" ? step.profile : step;
  };

  it("give name, group and local_only; the last of two counts", async () => {
    const output =
      "# name = no\nname = Bob\n  name=Ada Lovelace \r\ngroup = system-users\nlocal_only = true\nx = y\n";
    expect(await profileOf(output)).toEqual({
      name: "Ada Lovelace",
      groupIds: ["system-users"],
      localOnly: true,
    });
    expect(await profileOf("local_only = yes\nname =\nname=\u202eevil\ngroup=\n")).toEqual({
      name: "evil",
      localOnly: false,
    });
  });

  it("are ignored if they are none, and of a command that refuses", async () => {
    expect(await profileOf("hello\n=\n\nname\n\xff = 1")).toEqual({});
    expect(await send(provider("echo name = x; exit 3", { meta: true }))).toMatchObject(refused);
  });

  it("are not read without the option", async () => {
    expect(await send(provider("echo name = x"))).toMatchObject({ kind: "done", profile: undefined });
  });
});

describe("a command that misbehaves", () => {
  it("is ended with everything it started when it is too slow, and the log says why, without the password", async () => {
    const slow = provider(`sleep 600 & echo $! > ${at("child")}; echo $$ > ${at("self")}; wait`, {
      timeoutMs: 500,
      meta: true,
    });
    const error = await failure(send(slow));
    expect(error).toMatchObject({ code: "unavailable", publicMessage: "Temporarily unavailable" });
    expect(error.detail).toContain("did not end within 500 ms");
    expect(JSON.stringify({ ...error, message: error.message })).not.toContain("canary");
    await isGone(read("child"));
    await isGone(read("self"));
  });

  it("leaves nothing behind when it ends by itself, and what holds its output open delays nothing", async () => {
    const made = provider(`sleep 600 & echo $! > ${at("child")}; echo name = Ada`, { meta: true });
    expect(await send(made)).toMatchObject({ kind: "done", profile: { name: "Ada" } });
    await isGone(read("child"));
  });

  it("is ended when it writes without end", async () => {
    const made = provider(`echo $$ > ${at("self")}; exec yes`, { meta: true });
    expect((await failure(send(made))).detail).toContain("wrote more than 65536 bytes");
    await isGone(read("self"));
  });

  it("is unavailable if it cannot be started, for every name", async () => {
    const absent = provider("", { command: at("absent") });
    expect(await failure(send(absent))).toMatchObject({
      code: "unavailable",
      detail: expect.stringContaining("could not be started (ENOENT)"),
    });
    writeFileSync(at("plain"), "");
    const plain = provider("", { command: at("plain") });
    expect((await failure(send(plain))).detail).toContain("EACCES");
  });

  it("runs only so often at once; the others wait, not for long, and are told to try again", async () => {
    // Each notes that it runs, and ends when the file is there.
    const made = provider(`touch ${at("run")}.$$; until [ -e ${at("go")} ]; do sleep 0.02; done`);
    const addresses = Array.from({ length: 6 }, (_, n) => `203.0.113.${n + 1}`);
    const answers = addresses.map((from) => send(made, undefined, from).catch((error: unknown) => error));
    const late = await Promise.all(answers.slice(2));
    for (const error of late) expect(error).toMatchObject({ code: "overloaded", retryAfterSeconds: 2 });
    writeFileSync(at("go"), "");
    for (const step of await Promise.all(answers.slice(0, 2))) expect(step).toMatchObject({ kind: "done" });
    expect(await send(made)).toMatchObject({ kind: "done" });
  });

  it("refuses the fifth try of one address at once", async () => {
    const made = provider(`until [ -e ${at("go")} ]; do sleep 0.02; done`, { concurrent: 8 });
    const four = [1, 2, 3, 4].map(() => send(made));
    expect(await failure(send(made))).toMatchObject({ code: "overloaded" });
    writeFileSync(at("go"), "");
    for (const step of await Promise.all(four)) expect(step).toMatchObject({ kind: "done" });
  });
});

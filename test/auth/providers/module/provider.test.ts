import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { AuthError } from "../../../../src/auth/errors.ts";
import { guardedProvider } from "../../../../src/auth/providers/module/provider.ts";
import type { ModuleProvider } from "../../../../src/auth/providers/module/provider-module.ts";
import type { LoginProvider } from "../../../../src/auth/providers/provider.ts";
import { defineConfig } from "../../../../src/server/config/load.ts";
import { ConfigError } from "../../../../src/server/config/problems.ts";
import { loadConfiguredModules } from "../../../../src/server/configured-providers.ts";
import { command } from "../../../cli/command-in-process.ts";
import { startNode } from "../../../support/gateway.ts";
import { quickLogin } from "../../../support/quick-login.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../support/temporary-folder.ts";

const example = path.join(import.meta.dirname, "pin-provider.mjs");
const context = { flowId: "f", peer: { address: "203.0.113.7" }, known: false };
const form = {
  kind: "form",
  stepId: "init",
  fields: [{ name: "x", type: "string", required: true }],
} as const;

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

/** A module with this text in the test's folder. */
function module(text: string): string {
  const file = path.join(folder.path, `m${Math.random().toString(36).slice(2)}.mjs`);
  writeFileSync(file, text);
  return file;
}

describe("the example", () => {
  const pins = { type: "module", id: "pins", path: example, options: { pins: { Ada: "4711" } } } as const;

  it("is short, and lets its people in through a gateway", async () => {
    expect(readFileSync(example, "utf8").trimEnd().split("\n").length).toBeLessThanOrEqual(48);
    const auth_providers = [{ type: "homeassistant" }, { ...pins, new_users: { activate: true } }] as const;
    const { port, authority, stop } = await startNode({ auth_providers });
    try {
      const setupCode = await authority.onboarding.setupCode();
      const owner = { name: "Paula", username: "paula", password: "correct horse battery" };
      await authority.onboarding.createOwner({ setupCode, ...owner });
      const login = (username: string, password: string) =>
        quickLogin(port, ["module", "pins"], { username, password });
      const ada = await login("ADA", "4711");
      expect(await ada.me()).toMatchObject({
        name: "ADA",
        credentials: [{ auth_provider_type: "module", auth_provider_id: "pins" }],
      });
      const answers = [await login("ada", "4712"), await login("nobody", "")];
      for (const { step } of answers)
        expect(step).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
      for (const { socket } of [ada, ...answers]) socket.close();
    } finally {
      await stop();
    }
  });

  it("is loaded by check, which shows none of its options; a command does without it", async () => {
    const env = (entry: object) => ({
      GATEHOUSE_DATA: folder.path,
      GATEHOUSE_SECRET: "a secret that the tests' gateways share",
      GATEHOUSE_AUTH_PROVIDERS: JSON.stringify([{ type: "homeassistant" }, entry]),
    });
    const checked = await command(["check"], env(pins));
    expect(checked).toMatchObject({ code: 0, stderr: "" });
    expect(checked.stdout).toContain('"options":"***"');
    expect(checked.stdout).not.toContain("4711");
    const broken = env({ ...pins, path: module("throw new Error('at load')") });
    expect(await command(["check"], broken)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("at load"),
    });
    const first = await startNode({ data: folder.path });
    await first.stop();
    expect(await command(["users", "list"], broken)).toMatchObject({ code: 0 });
  });
});

describe("a module is refused with its name", () => {
  const problem = async (file: string, options?: Readonly<Record<string, unknown>>) => {
    const entry = { type: "module", path: file, ...(options && { options }) } as const;
    const config = defineConfig({ auth_providers: [entry] });
    const error = await loadConfiguredModules(config)
      .then(
        () => startNode({ auth_providers: [entry] }).then((node) => node.stop()),
        (reason: unknown) => Promise.reject(reason),
      )
      .catch((reason: unknown) => reason);
    if (!(error instanceof ConfigError)) throw new Error(`no ConfigError: ${String(error)}`);
    expect(error.message).toContain(`the login provider module ${file}: `);
    return error.message;
  };

  it.each([
    ["is not there", undefined, "cannot be loaded"],
    ["throws when it is loaded", "throw new Error('boom')", "cannot be loaded: boom"],
    ["is no JavaScript", "export default {", "cannot be loaded"],
    ["exports something else", "export const create = 1", "its default export is not {options?, create}"],
    [
      "has a schema that is none",
      "export default {options: {patternProperties: {'(': {}}}, create() {}}",
      "schema of options cannot be used",
    ],
    ["throws in create", "export default {create() { throw new Error('boom') }}", "create threw: boom"],
    ["gives nothing", "export default {create() {}}", "create gave no object with begin and advance"],
    [
      "gives a promise",
      "export default {create: async () => ({begin() {}, advance() {}})}",
      "create gave no object",
    ],
    [
      "reads headers that are none",
      "export default {create: () => ({begin() {}, advance() {}, upgradeHeaders: ['A b']})}",
      "create gave no object",
    ],
  ])("if it %s", async (_what, text, words) => {
    const file = text === undefined ? path.join(folder.path, "absent.mjs") : module(text);
    expect(await problem(file)).toContain(words);
  });

  it("if its options do not fit its schema, without their values", async () => {
    const wrong = await problem(example, { pins: { ada: "1" } });
    expect(wrong).toContain("has wrong options: pins.ada");
    expect(await problem(example)).toContain("has wrong options: they must have required properties pins");
    expect(await problem(module("export default {create() {}}"), { a: 1 })).toContain("takes no options");
  });
});

describe("a module's fault", () => {
  const guarded = (made: Partial<ModuleProvider>): LoginProvider =>
    guardedProvider({ id: null, path: "./m.mjs", newUsers: undefined }, {
      begin: () => form,
      advance: () => form,
      ...made,
    } as ModuleProvider);
  const failure = async (work: Promise<unknown>) => {
    const error = await work.catch((reason: unknown) => reason);
    return error instanceof AuthError ? `${error.code}: ${error.detail}` : String(error);
  };
  const begin = (answer: unknown) =>
    guarded({ begin: (() => answer) as ModuleProvider["begin"] }).begin(context);

  it("in a step is an error with its name, and an error of its own keeps its code", async () => {
    const throws = (error: unknown) => () => {
      throw error;
    };
    const name = "the login provider module ./m.mjs";
    expect(await failure(guarded({ begin: throws(new Error("boom")) }).begin(context))).toBe(
      `Error: ${name}: begin threw: boom`,
    );
    const rejects = guarded({ advance: () => Promise.reject(new Error("late")) });
    expect(await failure(rejects.advance("init", {}, {}, context))).toContain(`${name}: advance threw: late`);
    const own = guarded({ begin: throws(new AuthError("unavailable", { detail: "d" })) });
    expect(await failure(own.begin(context))).toBe("unavailable: d");
    expect(() => guarded({ guessedName: throws(new Error("g")) }).guessedName?.("init", {})).toThrow(
      `${name}: guessedName`,
    );
    const five = guarded({ guessedName: (() => 5) as unknown as NonNullable<ModuleProvider["guessedName"]> });
    expect(() => five.guessedName?.("init", {})).toThrow("gave no text");
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["an unknown kind", { kind: "yes" }],
    ["a form without fields", { kind: "form", stepId: "init", fields: [] }],
    ["a form with a function", { kind: "form", stepId: "init", fields: () => [] }],
    ["another key", { ...form, admin: true }],
    ["done without a subject", { kind: "done", subject: "", amr: [] }],
    [
      "done with a profile of another shape",
      { kind: "done", subject: "a", amr: [], profile: { isOwner: true } },
    ],
    ["a number that JSON does not have", { kind: "done", subject: 1n, amr: [] }],
  ])("that answers with %s is one too", async (_what, answer) => {
    expect(await failure(begin(answer))).toContain("./m.mjs: begin answered with what is no step");
  });

  it("in a judgement refuses", () => {
    const throws = () => {
      throw new Error("boom");
    };
    const yes = (() => "yes") as unknown as NonNullable<ModuleProvider["admits"]>;
    for (const judge of [throws, yes]) {
      const provider = guarded({ admits: judge, isOffered: judge });
      expect([provider.admits?.(context.peer), provider.isOffered?.(context.peer)]).toEqual([false, false]);
    }
    expect(guarded({ admits: () => true }).admits?.(context.peer)).toBe(true);
  });

  it("leaves what it should have no say in to the entry, and takes a class", async () => {
    class Provider {
      readonly type = "homeassistant";
      readonly #subject = "ada";
      begin() {
        return form;
      }
      advance() {
        return { kind: "done" as const, subject: this.#subject, amr: [] };
      }
    }
    const entry = { id: null, path: "./m.mjs", newUsers: undefined };
    const provider = guardedProvider(entry, new Provider());
    expect(provider).toMatchObject({ type: "module", id: null, supportsMfa: true });
    expect(await provider.advance("init", {}, {}, context)).toEqual({
      kind: "done",
      subject: "ada",
      amr: [],
      evidence: [],
    });
  });
});

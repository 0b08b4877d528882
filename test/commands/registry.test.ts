import { describe, expect, it } from "vitest";

import { commands } from "../../protocol/commands/index.ts";
import { createDispatch, dispatchOf } from "../../src/commands/registry.ts";
import { compileValidator } from "../../src/connection/validator.ts";
import { command } from "../support/connection-rig.ts";

const authority = {} as Parameters<typeof createDispatch>[0];
const parts = {} as Parameters<typeof createDispatch>[1];
const proper = Object.entries(commands)
  .filter(([, { guard }]) => guard !== "anyone")
  .map(([type]) => command(type, () => null));

describe("command registry", () => {
  it("has a handler for every command of a session, and for nothing else", () => {
    const dispatch = createDispatch(authority, parts);
    for (const [type, { guard }] of Object.entries(commands))
      expect([type, dispatch(type)?.type]).toEqual([type, guard === "anyone" ? undefined : type]);
    for (const type of ["", "auth", "constructor", "__proto__", "get_states"])
      expect(dispatch(type)).toBeUndefined();
  });

  it("refuses a command that is there twice, is unknown to protocol/, or is missing", () => {
    expect(() => dispatchOf(proper)).not.toThrow();
    expect(() => dispatchOf([...proper, command("ping", () => null)])).toThrow(/ping is there twice/);
    expect(() => dispatchOf([...proper, command("get_states", () => null)])).toThrow(/not in protocol/);
    expect(() => dispatchOf(proper.slice(1))).toThrow(/has no handler/);
  });
});

describe("shapes", () => {
  it("say which field is wrong and how", () => {
    const problem = compileValidator(commands["auth/long_lived_access_token"].params);
    const good = { id: 1, type: "auth/long_lived_access_token", lifespan: 3, client_name: "x" };
    expect(problem(good)).toBeUndefined();
    expect(problem({ ...good, lifespan: "3" })).toBe("lifespan: must be integer");
    expect(problem({ ...good, lifespan: 0 })).toBe("lifespan: must be >= 1");
    expect(problem({ ...good, client_name: "" })).toBe("client_name: must not have fewer than 1 characters");
    expect(problem({ ...good, surplus: 1 })).toBe("extra keys not allowed");
    expect(problem({ id: 1, type: good.type })).toBe("required key not provided: lifespan, client_name");
    expect(problem(7)).toBe("expected an object");
  });
});

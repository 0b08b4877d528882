import { Type } from "typebox";
import { describe, expect, it } from "vitest";

import { commands } from "../../protocol/commands/index.ts";
import { compileValidator } from "../../src/connection/validator.ts";

const numbered = (count: number, value: unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, place) => [place.toString(36), value]));

describe("what is wrong with a message", () => {
  it.each([
    ["gatehouse/revoke", { target: numbered(3, 1) }, "target: is not one of what is allowed"],
    ["config/auth/create", { name: "x", group_ids: ["a", 1] }, "group_ids: has an item that does not fit"],
    ["config/auth/create", { name: "x", group_ids: 7 }, "group_ids: must be array"],
    [
      "config/auth/create",
      { name: "x", group_ids: Array(65).fill("a") },
      "group_ids: must not have more than 64 items",
    ],
    ["supported_features", { features: { a: "x" } }, "features: has a key or a value that does not fit"],
    ["supported_features", { features: 1 }, "features: must be object"],
    ["supported_features", {}, "required key not provided: features"],
  ] as const)("is one short text: %s", (type, fields, text) => {
    expect(compileValidator(commands[type].params)({ id: 1, type, ...fields })).toBe(text);
  });

  /** How often a getter of the input is asked shows what was looked at, on whatever machine. */
  it("is found without a look at what follows the first error", () => {
    let reads = 0;
    const counting = (object: object, count: number, value: unknown) => {
      for (let place = 0; place < count; place += 1)
        Object.defineProperty(object, Array.isArray(object) ? place : `k${place}`, {
          enumerable: true,
          get() {
            reads += 1;
            return value;
          },
        });
      return object;
    };
    const items = compileValidator(Type.Object({ all: Type.Array(Type.Integer()) }));
    expect(items({ all: counting([], 5000, "x") })).toContain("all:");
    expect(reads).toBeLessThan(10);
    reads = 0;
    const strict = compileValidator(Type.Object({}, { additionalProperties: false }));
    expect(strict(counting({}, 5000, 1))).toBe("extra keys not allowed");
    expect(reads).toBeLessThan(10);
  });
});

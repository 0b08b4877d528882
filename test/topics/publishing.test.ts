import { describe, expect, it } from "vitest";

import type { Permissions, Verb } from "../../src/auth/permissions/permissions.ts";
import { requireControl } from "../../src/topics/publishing.ts";

function permissionsTo(...verbs: readonly Verb[]): Permissions {
  return {
    isAdmin: false,
    mayUseEntity: () => false,
    mayUseTopic: (topic, verb) => topic === "a/b" && verbs.includes(verb),
    mayUseSomeOf: () => false,
    mayCommand: () => false,
  };
}

function refusalOf(permissions: Permissions, topic: string, retain?: number): string | undefined {
  try {
    requireControl(permissions, { topic, retain });
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("the rights of a publisher", () => {
  it.each([
    ["nothing", [], undefined, "unauthorized"],
    ["read", ["read"], undefined, "unauthorized"],
    ["edit alone", ["edit"], undefined, "unauthorized"],
    ["control", ["control"], undefined, undefined],
    ["control, for a last value", ["control"], 60, undefined],
    ["control, to remove the last value", ["control"], 0, "unauthorized"],
    ["control and edit, to remove it", ["control", "edit"], 0, undefined],
  ] as const)("%s", (_, verbs, retain, refusal) => {
    expect(refusalOf(permissionsTo(...verbs), "a/b", retain)).toBe(refusal);
  });

  it("do not make a topic of what is none, or of what is reserved", () => {
    const all = { ...permissionsTo(), mayUseTopic: () => true };
    for (const topic of ["", "a/+", "#", "a//b", "$events/state_changed"])
      expect(refusalOf(all, topic), topic).toBe("invalid_format");
  });
});

import { describe, expect, it } from "vitest";

import type { LoginProvider } from "../../../src/auth/providers/provider.ts";
import { createProviderRegistry } from "../../../src/auth/providers/registry.ts";

function provider(type: string, id: string | null): LoginProvider {
  const abort = async () => ({ kind: "abort", reason: "not_allowed" }) as const;
  return { type, id, name: type, supportsMfa: true, begin: abort, advance: abort };
}

describe("providers", () => {
  it("of one type are told apart by id and keep their order", () => {
    const all = [provider("ldap", "b"), provider("ldap", null), provider("homeassistant", null)];
    const registry = createProviderRegistry(all);
    expect(registry.providers).toEqual(all);
    expect(registry.find("ldap", "b")).toBe(all[0]);
    expect(registry.find("ldap", null)).toBe(all[1]);
    expect(registry.find("ldap", "null")).toBeUndefined();
    expect(registry.find("toString", null)).toBeUndefined();
  });

  it("with one key are refused in Home Assistant's words", () => {
    expect(() => createProviderRegistry([provider("ldap", null), provider("ldap", null)])).toThrow(
      "Duplicate auth provider ldap found. Please add unique IDs if you want to have the same auth provider twice",
    );
  });

  it("are at least one", () => {
    expect(() => createProviderRegistry([])).toThrow("No auth provider");
  });
});

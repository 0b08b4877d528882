import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Policy } from "../../../protocol/policy.ts";
import { patternCovers, segmentsOf } from "../../../protocol/topic-pattern.ts";
import { coversPolicy } from "../../../src/auth/permissions/covers-policy.ts";
import { allSystemGroups } from "../../../src/auth/permissions/system-groups.ts";
import { anyPolicy, grantsOf, names } from "./policies.ts";

describe("a policy covers another one", () => {
  it("only if it grants everything that the other one grants", () => {
    fc.assert(
      fc.property(anyPolicy, anyPolicy, (outer, inner) => {
        if (!coversPolicy([outer], inner)) return;
        const granted = grantsOf(outer);
        for (const grant of grantsOf(inner)) expect(granted).toContain(grant);
      }),
      { numRuns: 2_000 },
    );
  });

  it("if the other one is a part of it", () => {
    fc.assert(
      fc.property(anyPolicy, anyPolicy, (a, b) => {
        expect(coversPolicy([a], a)).toBe(true);
        expect(coversPolicy([a, b], b)).toBe(true);
        expect(coversPolicy([b], {})).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it.each<[Policy, Policy, boolean]>([
    [{ entities: { domains: { light: true } } }, { entities: { entity_ids: { "light.hall": true } } }, true],
    [{ entities: { domains: { light: { read: true } } } }, { entities: { domains: { light: true } } }, false],
    [{ entities: { all: { read: true } } }, { entities: { area_ids: { hall: { read: true } } } }, true],
    // What is in the area is decided elsewhere, and later.
    [{ entities: { entity_ids: { "light.hall": true } } }, { entities: { area_ids: { hall: true } } }, false],
    [{ entities: { device_ids: true } }, { entities: true }, true],
    [{ topics: { patterns: { "home/#": true } } }, { topics: { patterns: { "home/+/light": true } } }, true],
    [{ topics: { patterns: { "home/+": true } } }, { topics: { patterns: { "home/#": true } } }, false],
    [{ topics: { all: { read: true } } }, { topics: { patterns: { a: { control: true } } } }, false],
    [
      { commands: { namespaces: { "gatehouse/users": true } } },
      { commands: { namespaces: { "gatehouse/users/list": true } } },
      true,
    ],
    [
      { commands: { namespaces: { "gatehouse/users/list": true } } },
      { commands: { namespaces: { "gatehouse/users": true } } },
      false,
    ],
    [{}, { commands: { namespaces: {} } }, true],
  ])("%j covers %j: %s", (outer, inner, expected) => {
    expect(coversPolicy([outer], inner)).toBe(expected);
  });

  it("if one of its patterns stands for all topics of each of the other one's", () => {
    const pattern = fc.constantFrom(...names.patterns, "a/b/#", "+/b/c");
    const patterns = fc.uniqueArray(pattern, { maxLength: 4 });
    const policyOf = (list: readonly string[]): Policy => ({
      topics: { patterns: Object.fromEntries(list.map((each) => [each, true])) },
    });
    fc.assert(
      fc.property(patterns, patterns, (outer, inner) => {
        const expected = inner.every((each) =>
          outer.some((wider) => patternCovers(segmentsOf(wider), segmentsOf(each))),
        );
        expect(coversPolicy([policyOf(outer)], policyOf(inner))).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("as the system's groups do", () => {
    const [admin = {}, users = {}, readOnly = {}] = allSystemGroups.map(({ policy }) => policy);
    expect([coversPolicy([admin], users), coversPolicy([users], readOnly)]).toEqual([true, true]);
    expect([coversPolicy([readOnly], users), coversPolicy([users], admin)]).toEqual([false, false]);
  });
});

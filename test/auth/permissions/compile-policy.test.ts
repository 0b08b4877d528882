import fc from "fast-check";
import { Compile } from "typebox/compile";
import { describe, expect, it } from "vitest";

import { Policy } from "../../../protocol/policy.ts";
import { matchesTopic, segmentsOf } from "../../../protocol/topic-pattern.ts";
import { createCallerPermissions } from "../../../src/auth/permissions/caller-permissions.ts";
import { compilePolicy, grants } from "../../../src/auth/permissions/compile-policy.ts";
import { isDelegable } from "../../../src/auth/permissions/delegation.ts";
import { noResources } from "../../../src/auth/permissions/entity-rules.ts";
import { haveCommonTopic, patternTree } from "../../../src/auth/permissions/pattern-tree.ts";
import { allSystemGroups } from "../../../src/auth/permissions/system-groups.ts";
import { mergePolicies } from "./merge-policies.ts";
import { anyPolicy, naive, names, resources, verbs } from "./policies.ts";

const schema = Compile(Policy);

/** What a policy for entities grants, as `entity verb`. */
function grantedEntities(entities: NonNullable<Policy["entities"]>, of = names.entities): readonly string[] {
  const compiled = compilePolicy({ entities }, resources);
  return of.flatMap((entityId) =>
    verbs.filter((verb) => grants(compiled, "entities", entityId, verb)).map((verb) => `${entityId} ${verb}`),
  );
}

const everything = names.entities.flatMap((entityId) => verbs.map((verb) => `${entityId} ${verb}`));
const about = (entityId: string) => everything.filter((each) => each.startsWith(`${entityId} `));

describe("a policy about entities, as Home Assistant decides it", () => {
  it("grants nothing if it says nothing", () => {
    expect(grants(compilePolicy({}, noResources), "entities", "light.kitchen", "read")).toBe(false);
    expect(grantedEntities({})).toEqual([]);
    expect(grantedEntities({ all: {} })).toEqual([]);
  });

  it.each([
    ["the category", true],
    ["all", { all: true }],
    ["entity_ids", { entity_ids: true }],
    ["device_ids", { device_ids: true }],
    ["area_ids", { area_ids: true }],
    ["domains", { domains: true }],
  ] as const)("grants everything if %s is true, also what has no such id", (_, entities) => {
    expect(grantedEntities(entities)).toEqual(everything);
  });

  it("grants by entity, by domain, and by verb", () => {
    expect(grantedEntities({ entity_ids: { "light.kitchen": true } })).toEqual(about("light.kitchen"));
    expect(grantedEntities({ entity_ids: { "light.kitchen": { read: true } } })).toEqual([
      "light.kitchen read",
    ]);
    expect(grantedEntities({ domains: { light: true } })).toEqual([
      ...about("light.kitchen"),
      ...about("light.hall"),
    ]);
    expect(grantedEntities({ domains: { lock: { read: true, control: true } } })).toEqual([
      "lock.front read",
      "lock.front control",
    ]);
    expect(grantedEntities({ all: { control: true } })).toEqual(
      everything.filter((each) => each.endsWith("control")),
    );
  });

  it("grants by device, and by the area of the device", () => {
    expect(grantedEntities({ device_ids: { latch: { read: true } } })).toEqual(["lock.front read"]);
    expect(grantedEntities({ area_ids: { kitchen: { read: true } } })).toEqual([
      "light.kitchen read",
      "light.hall read",
    ]);
    expect(grantedEntities({ area_ids: { hall: true } })).toEqual([]);
  });

  it("adds up: a rule that says less than another takes nothing away", () => {
    const entities = { entity_ids: { "light.kitchen": { read: true } }, all: { control: true } } as const;
    expect(grantedEntities(entities, ["light.kitchen"] as never)).toEqual([
      "light.kitchen read",
      "light.kitchen control",
    ]);
  });
});

describe("the schema of a policy", () => {
  it.each([
    { entities: false },
    { entities: null },
    { entities: { domains: { light: false } } },
    { entities: { entity_ids: false } },
    { entities: { entity_ids: { "light.kitchen": false } } },
    { entities: { rooms: true } },
    { entities: { all: { delete: true } } },
    { topics: { patterns: { "a/#/b": true } } },
    { topics: { patterns: { "": true } } },
    { commands: { namespaces: { "gatehouse/": true } } },
    { commands: { namespaces: { "gatehouse/users": { read: true } } } },
    { config_entries: true },
    [],
    true,
  ])("refuses %j", (policy) => {
    expect(schema.Check(policy)).toBe(false);
  });

  it("takes the policies of the system's groups, and random ones", () => {
    for (const { policy } of allSystemGroups) expect(schema.Check(policy)).toBe(true);
    fc.assert(fc.property(anyPolicy, (policy) => schema.Check(policy)));
  });

  it("keeps a key of JavaScript's own a key", () => {
    const policy = JSON.parse('{"entities":{"entity_ids":{"__proto__":true,"constructor":{"read":true}}}}');
    expect(schema.Check(policy)).toBe(true);
    const compiled = compilePolicy(policy, noResources);
    expect(grants(compiled, "entities", "__proto__", "edit")).toBe(true);
    expect(grants(compiled, "entities", "constructor", "edit")).toBe(false);
    expect(grants(compiled, "entities", "toString", "read")).toBe(false);
  });
});

describe("the system's groups", () => {
  const of = (id: string) => allSystemGroups.find((group) => group.id === id)?.policy ?? {};

  it("have Home Assistant's policies for entities", () => {
    expect(grantedEntities(of("system-admin").entities ?? {})).toEqual(everything);
    expect(grantedEntities(of("system-users").entities ?? {})).toEqual(everything);
    expect(grantedEntities(of("system-read-only").entities ?? {})).toEqual(
      everything.filter((each) => each.endsWith("read")),
    );
  });

  it("let only administrators publish, and only administrators administer", () => {
    const may = (id: string, category: "topics" | "commands") =>
      verbs.filter((verb) => grants(compilePolicy(of(id), noResources), category, "a/b", verb));
    expect(may("system-admin", "topics")).toEqual(verbs);
    expect(may("system-users", "topics")).toEqual(["read"]);
    expect(may("system-read-only", "topics")).toEqual(["read"]);
    expect([may("system-users", "commands"), may("system-read-only", "commands")]).toEqual([[], []]);
  });
});

describe("policies of several groups", () => {
  /** What a member of groups with these policies may do. */
  const permissionsWith = (policies: readonly Policy[]) => {
    const known = policies.map((policy, at) => ({
      id: `group-${at}`,
      name: "Made",
      policy,
      systemGenerated: false,
      version: 1,
      revision: 1,
    }));
    const groups = { get: (id: string) => known.find((group) => group.id === id) };
    const standing = { isOwner: false, isActive: true, groupIds: known.map(({ id }) => id) };
    const lookup = { ...resources, revision: 0 };
    return createCallerPermissions({ groups, resources: lookup }).of(standing, { scope: null, policy: null });
  };
  const may = (policies: readonly Policy[]) => {
    const { mayUseEntity, mayUseTopic, mayUseSomeOf, mayCommand } = permissionsWith(policies);
    return [
      ...verbs.flatMap((verb) => names.entities.map((id) => [id, verb, mayUseEntity(id, verb)])),
      ...verbs.flatMap((verb) => names.topics.map((topic) => [topic, verb, mayUseTopic(topic, verb)])),
      ...verbs.flatMap((verb) => names.patterns.map((each) => [each, verb, mayUseSomeOf(each, verb)])),
      ...names.commands.map((type) => [type, mayCommand(type)]),
    ];
  };

  it("grant what Home Assistant's merge of them grants", () => {
    const one: Policy = { topics: true, entities: { entity_ids: { "light.kitchen": true } } };
    const two: Policy = { entities: { entity_ids: true } };
    const domain = (value: { read?: true; control?: true }): Policy => ({
      entities: { domains: { light: value } },
    });
    for (const policies of [
      [one, two],
      [{}, two],
      [two, { entities: true } as const],
      [],
      [domain({ read: true }), domain({ control: true })],
    ])
      expect(may(policies)).toEqual(may([mergePolicies(policies)]));
    fc.assert(
      fc.property(fc.array(anyPolicy, { maxLength: 4 }), (policies) => {
        expect(may(policies)).toEqual(may([mergePolicies(policies)]));
      }),
      { numRuns: 300 },
    );
  });

  it("grant what one of them grants, and nothing else", () => {
    fc.assert(
      fc.property(fc.array(anyPolicy, { maxLength: 4 }), (policies) => {
        const permissions = permissionsWith(policies);
        for (const verb of verbs) {
          for (const entityId of names.entities)
            expect(permissions.mayUseEntity(entityId, verb)).toBe(
              policies.some((policy) => naive.entity(policy, entityId, verb)),
            );
          for (const topic of names.topics)
            expect(permissions.mayUseTopic(topic, verb)).toBe(
              policies.some((policy) => naive.topic(policy, topic, verb)),
            );
        }
        for (const type of names.commands.filter(isDelegable))
          expect(permissions.mayCommand(type)).toBe(policies.some((policy) => naive.command(policy, type)));
      }),
      { numRuns: 300 },
    );
  });
});

describe("patterns that have a topic in common", () => {
  const segments = ["a", "b", "c", "z"];
  const topics = segments.flatMap((one) => [
    [one],
    ...segments.flatMap((two) => [[one, two], ...segments.map((three) => [one, two, three])]),
  ]);
  const lists = fc.array(fc.constantFrom(...names.patterns).map(segmentsOf), { maxLength: 4 });

  it("are found as by trying every topic", () => {
    fc.assert(
      fc.property(fc.array(lists, { minLength: 1, maxLength: 3 }), (all) => {
        const inAll = topics.some((topic) =>
          all.every((patterns) => patterns.some((pattern) => matchesTopic(pattern, topic))),
        );
        expect(haveCommonTopic(all.map(patternTree))).toBe(inAll);
      }),
      { numRuns: 500 },
    );
  });

  const attacks = Array.from({ length: 4 }, (_, level) =>
    Array.from({ length: 128 }, (__, at) => [...Array<string>(level).fill("+"), `k${at}`]),
  ).flat();
  const wide = patternTree([...attacks, segmentsOf("+/+/+/+/y")]);

  it("are searched in as many steps as the patterns have segments", () => {
    const budget = { left: 1_000 };
    expect(haveCommonTopic([patternTree([segmentsOf("+/+/+/+/x")]), wide], budget)).toBe(false);
    expect(budget.left).toBeGreaterThan(0);
    expect(haveCommonTopic([patternTree([segmentsOf("+/+/+/+/y")]), wide])).toBe(true);
  });

  it("are not found beyond a bound of steps, which denies", () => {
    const deep = (end: string) =>
      patternTree(
        Array.from({ length: 512 }, (_, at) => [
          ...at.toString(2).padStart(9, "0").replaceAll("0", "+").replaceAll("1", end),
          end,
        ]),
      );
    const budget = { left: 2_000 };
    expect(haveCommonTopic([deep("a"), deep("b"), wide], budget)).toBe(false);
    expect(budget.left).toBe(0);
  });
});

import fc from "fast-check";
import { expect, it } from "vitest";

import { Policy } from "../../../protocol/policy.ts";
import { hasTooManyWildcards, isReservedTopic, isTopicPattern } from "../../../protocol/topic-pattern.ts";
import { policyProblem } from "../../../src/auth/permissions/policy-problem.ts";
import { compileValidator } from "../../../src/connection/validator.ts";
import { anyPolicy } from "./policies.ts";

const schema = compileValidator(Policy);

it.each([
  [false, "must be an object. What is not granted is left out."],
  [true, "must be an object."],
  [{ entity: true }, "has an unknown key. Known are entities, topics, commands."],
  [{ entities: false }, "entities: must be an object. What is not granted is left out."],
  [
    { entities: { domain: { light: true } } },
    "entities: has an unknown key. Known are all, area_ids, device_ids, domains, entity_ids.",
  ],
  [
    { entities: { domains: { light: { read: false } } } },
    "entities.domains.light.read: only true is allowed. What is not granted is left out.",
  ],
  [
    { entities: { domains: { light: { write: true } } } },
    "entities.domains.light: has an unknown key. Known are read, control, edit.",
  ],
  [
    { entities: { entity_ids: { "light of a very long name, in words": null } } },
    "entities.entity_ids.…: must be an object. What is not granted is left out.",
  ],
  [
    { topics: { patterns: { "home/#/x": true } } },
    "topics.patterns: the key home/#/x is no pattern over topics: the segment + is any one segment, # stands at the end only, and there are at most 16 segments and 256 characters.",
  ],
  [
    { topics: { patterns: { "$events/#": { read: true } } } },
    "topics.patterns: the key $events/# begins with $: such topics are the gateway's own.",
  ],
  [
    { commands: { namespaces: { "Gatehouse.users": true } } },
    "commands.namespaces: the key Gatehouse.users is no namespace: that is the type of a command or its first segments, such as gatehouse/users.",
  ],
])("says what is wrong with %j", (policy, text) => {
  expect(policyProblem(policy)).toBe(text);
});

it("refuses what the schema refuses, and bad patterns, and nothing else", () => {
  const key = fc.constantFrom(
    "entities",
    "topics",
    "commands",
    "domains",
    "patterns",
    "all",
    "namespaces",
    "read",
    "a/#",
    "+/+/+/+/+",
    "#/a",
    "$a",
    "gatehouse/users",
  );
  const leaf = fc.constantFrom(true, false, null, 1, "true", [], {});
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaf,
      fc.dictionary(key, tie("tree"), { maxKeys: 3, noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(fc.oneof(tree, anyPolicy), (policy) => {
      const fits =
        schema(policy) === undefined &&
        patternsOf(policy as Policy).every(
          (each) => isTopicPattern(each) && !isReservedTopic(each) && !hasTooManyWildcards(each),
        );
      expect(policyProblem(policy) === undefined).toBe(fits);
    }),
    { numRuns: 5_000 },
  );
});

function patternsOf({ topics }: Policy): readonly string[] {
  return typeof topics === "object" && typeof topics.patterns === "object"
    ? Object.keys(topics.patterns)
    : [];
}

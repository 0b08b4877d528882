import { expect, it } from "vitest";

import type { TopicPolicy } from "../../../protocol/policy.ts";
import { segmentsOf } from "../../../protocol/topic-pattern.ts";
import { createCallerPermissions } from "../../../src/auth/permissions/caller-permissions.ts";
import { noResources } from "../../../src/auth/permissions/entity-rules.ts";
import { treeMatches } from "../../../src/auth/permissions/pattern-tree.ts";
import { topicTrees } from "../../../src/auth/permissions/topic-rules.ts";

/** As many nodes of trees as a group can have. */
const patterns = Object.fromEntries(
  Array.from({ length: 400 }, (_, at) => [`${"a/b/c/d/e/f/g/h/i/j/k/l/m/n/"}${at}/x`, true as const]),
);

it("a policy's trees are made once, and verbs with the same patterns share one", () => {
  const policy: TopicPolicy = { patterns: { ...patterns, "only/read": { read: true } } };
  const [first, second] = [topicTrees(policy), topicTrees(policy)];
  expect(first.read).toBe(second.read);
  expect(first.control).toBe(first.edit);
  expect(first.read).not.toBe(first.edit);
  expect(treeMatches(first.read, segmentsOf("only/read"))).toBe(true);
  expect(treeMatches(first.edit, segmentsOf("only/read"))).toBe(false);
});

it("tokens of their own cost a user no copies of what the groups give", () => {
  const group = {
    id: "wide",
    name: "Wide",
    policy: { topics: { patterns } },
    systemGenerated: false,
    version: 1,
    revision: 1,
  };
  const callers = createCallerPermissions({
    groups: { get: (id) => (id === group.id ? group : undefined) },
    resources: { ...noResources, revision: 0 },
  });
  const standing = { isOwner: false, isActive: true, groupIds: [group.id] };
  const may = (n: number) => {
    const policy = JSON.stringify({ topics: { patterns: { [`a/${n}/#`]: true } } });
    return callers.of(standing, { scope: null, policy }).mayUseSomeOf("a/#", "read");
  };
  may(0);
  const before = process.memoryUsage().heapUsed;
  for (let n = 1; n <= 1_000; n += 1) may(n);
  // A copy has some megabytes.
  expect((process.memoryUsage().heapUsed - before) / 1_000).toBeLessThan(100_000);
});

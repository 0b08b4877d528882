import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type CommandType, commands } from "../../../protocol/commands/index.ts";
import type { Policy } from "../../../protocol/policy.ts";
import { matchesTopic, segmentsOf } from "../../../protocol/topic-pattern.ts";
import { allows } from "../../../src/auth/clients/scopes.ts";
import { createCallerPermissions, type Standing } from "../../../src/auth/permissions/caller-permissions.ts";
import { delegableCommands } from "../../../src/auth/permissions/delegation.ts";
import { explain } from "../../../src/auth/permissions/explain.ts";
import { createGroupTable } from "../../../src/auth/permissions/group-table.ts";
import { isOpenToNarrowed } from "../../../src/auth/permissions/narrowed-tokens.ts";
import { anyPolicy, naive, names, resources, verbs } from "./policies.ts";

const isOwnersAlone = (type: string) => type.startsWith("gatehouse/approvals/");

interface Case {
  readonly policies: readonly Policy[];
  readonly standing: Standing;
  readonly token: { readonly scope: string | null; readonly policy: string | null };
}

const systemIds = ["system-admin", "system-users", "system-read-only", "unknown"];
const cases: fc.Arbitrary<Case> = fc
  .record({
    policies: fc.array(anyPolicy, { maxLength: 3 }),
    systemGroups: fc.subarray(systemIds, { maxLength: 2 }),
    isOwner: fc.constantFrom(false, false, true),
    isActive: fc.constantFrom(true, true, true, false),
    scope: fc.constantFrom(null, null, "api", "openid profile"),
    policy: fc.option(anyPolicy),
  })
  .map(({ policies, systemGroups, isOwner, isActive, scope, policy }) => ({
    policies,
    standing: { isOwner, isActive, groupIds: [...policies.map((_, n) => `g${n}`), ...systemGroups] },
    token: { scope, policy: policy === null ? null : JSON.stringify(policy) },
  }));

function permissionsIn({ policies, standing, token }: Case) {
  const table = createGroupTable();
  for (const [place, policy] of policies.entries())
    table.apply({ id: `g${place}`, version: 1, content: { name: "Made", policy } });
  const callers = createCallerPermissions({ groups: table, resources: { ...resources, revision: 0 } });
  return { table, permissions: callers.of(standing, token) };
}

const questions = [
  ...names.entities.map((thing) => ["entities", thing] as const),
  ...names.topics.map((thing) => ["topics", thing] as const),
];
const asked: readonly string[] = [
  ...names.commands,
  "gatehouse/owner/transfer",
  "config/auth_provider/homeassistant/create",
  "ping",
  "auth/current_user",
  "auth/sign_path",
  "auth/login/start",
  "no/such/command",
];

describe("an explanation", () => {
  it("says what the permissions say, of entities and topics", () => {
    fc.assert(
      fc.property(
        cases,
        fc.constantFrom(...questions),
        fc.constantFrom(...verbs),
        (each, [category, thing], verb) => {
          const { table, permissions } = permissionsIn(each);
          const { allowed, rules } = explain({ table, resources, isOwnersAlone }, each.standing, each.token, {
            category,
            thing,
            verb,
          });
          const may =
            category === "entities"
              ? permissions.mayUseEntity(thing, verb)
              : permissions.mayUseTopic(thing, verb);
          expect([allowed, rules.length > 2]).toEqual([may, true]);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it("says what the guards of commands say", () => {
    fc.assert(
      fc.property(cases, fc.constantFrom(...asked), (each, thing) => {
        const { table, permissions } = permissionsIn(each);
        const question = { category: "commands", thing, verb: "read" } as const;
        const { allowed } = explain({ table, resources, isOwnersAlone }, each.standing, each.token, question);
        expect(allowed).toBe(mayBeSent(thing, each, permissions.mayCommand(thing)));
      }),
      { numRuns: 3_000 },
    );
  });

  it("names each rule of each group with its verdict", () => {
    const policies: readonly Policy[] = [
      { entities: { entity_ids: { "light.hall": { read: true } }, domains: { light: true } } },
      { topics: true },
    ];
    const standing = { isOwner: false, isActive: true, groupIds: ["g0", "g1", "gone"] };
    const token = { scope: null, policy: JSON.stringify({ entities: { domains: { lock: true } } }) };
    const { table } = permissionsIn({ policies, standing, token });
    const question = { category: "entities", thing: "light.hall", verb: "control" } as const;
    const { allowed, rules } = explain({ table, resources, isOwnersAlone }, standing, token, question);
    const shown = rules.map(({ rule, groupId, part, verdict }) => [rule, groupId, part, verdict].join(" "));
    expect(allowed).toBe(false);
    expect(shown).toEqual([
      "user   pass",
      "owner   pass",
      "group g0 entity_ids pass",
      "group g0 domains allow",
      "group g1  pass",
      "token_scope   pass",
      "token_policy  domains deny",
    ]);
  });
});

/** As the guards of commands decide: a second implementation. */
function mayBeSent(type: string, { standing, token, policies }: Case, mayCommand: boolean): boolean {
  const contract = Object.hasOwn(commands, type) ? commands[type as CommandType] : undefined;
  if (contract === undefined || contract.guard === "anyone") return false;
  if (!standing.isActive && !standing.isOwner) return false;
  const needed = contract.scope;
  if (needed !== null && !allows(token.scope, "api") && !allows(token.scope, needed)) return false;
  if (contract.guard === "user") return token.policy === null || isOpenToNarrowed(type);
  if ((contract.guard === "owner" || isOwnersAlone(type)) && !standing.isOwner) return false;
  const isAdmin = standing.isOwner || standing.groupIds.includes("system-admin");
  const given = policies.some((policy) => naive.command(policy, type));
  const isDelegable = delegableCommands.some((each) => each === type);
  const isGiven = (isAdmin && token.policy === null) || ((given || isAdmin) && isDelegable);
  const narrowed = token.policy !== null && !naive.command(JSON.parse(token.policy) as Policy, type);
  expect(mayCommand).toBe(isGiven && !narrowed);
  return mayCommand;
}

describe("a token with a policy", () => {
  it("may do what its user may and its policy grants, and nothing else", () => {
    fc.assert(
      fc.property(cases, (each) => {
        const { permissions: narrowed } = permissionsIn(each);
        const { permissions: whole } = permissionsIn({ ...each, token: { ...each.token, policy: null } });
        const policy = each.token.policy === null ? undefined : (JSON.parse(each.token.policy) as Policy);
        for (const verb of verbs) {
          for (const entityId of names.entities)
            expect(narrowed.mayUseEntity(entityId, verb)).toBe(
              whole.mayUseEntity(entityId, verb) &&
                (policy === undefined || naive.entity(policy, entityId, verb)),
            );
          for (const topic of names.topics)
            expect(narrowed.mayUseTopic(topic, verb)).toBe(
              whole.mayUseTopic(topic, verb) && (policy === undefined || naive.topic(policy, topic, verb)),
            );
        }
        if (policy !== undefined) expect(narrowed.isAdmin).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("may use some topics of a pattern exactly if there is one that it may use", () => {
    const segments = ["a", "b", "c", "z"];
    const topics = segments.flatMap((one) => [
      one,
      ...segments.flatMap((two) => [`${one}/${two}`, ...segments.map((three) => `${one}/${two}/${three}`)]),
    ]);
    fc.assert(
      fc.property(
        cases,
        fc.constantFrom(...names.patterns),
        fc.constantFrom(...verbs),
        (each, pattern, verb) => {
          const { permissions } = permissionsIn(each);
          const some = topics.some(
            (topic) =>
              matchesTopic(segmentsOf(pattern), segmentsOf(topic)) && permissions.mayUseTopic(topic, verb),
          );
          expect(permissions.mayUseSomeOf(pattern, verb)).toBe(some);
        },
      ),
      { numRuns: 500 },
    );
  });
});

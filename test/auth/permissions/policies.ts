import fc from "fast-check";
import type { Policy } from "../../../protocol/policy.ts";
import { matchesTopic, segmentsOf } from "../../../protocol/topic-pattern.ts";
import type { ResourceLookup } from "../../../src/auth/permissions/entity-rules.ts";
import type { Verb } from "../../../src/auth/permissions/permissions.ts";

/** Few names, so that random policies and questions meet. */
export const names = {
  entities: ["light.kitchen", "light.hall", "lock.front", "sensor.attic"],
  devices: ["lamp", "latch"],
  areas: ["kitchen", "hall"],
  domains: ["light", "lock"],
  topics: ["a", "a/b", "a/b/c", "b", "b/a"],
  patterns: ["#", "+", "a/#", "a/+", "+/b", "a/b", "a/b/c", "b", "+/+/#"],
  namespaces: ["gatehouse/approvals", "gatehouse/users", "gatehouse/users/list", "config/auth"],
  commands: [
    "gatehouse/approvals/list",
    "gatehouse/users/list",
    "gatehouse/users/sessions",
    "config/auth/list",
    "config/auth_other/list",
    "gatehouse/clients/list",
  ],
} as const;
export const verbs = ["read", "control", "edit"] as const satisfies readonly Verb[];

/** The hall's lamp and the front door's latch. The attic's sensor has no device. */
export const resources: ResourceLookup = {
  deviceOf: (entityId) =>
    ({ "light.kitchen": "lamp", "light.hall": "lamp", "lock.front": "latch" })[entityId],
  areaOf: (deviceId) => ({ lamp: "kitchen" })[deviceId],
};

const granted = fc.constant(true as const);
const value = fc.oneof(
  granted,
  fc.record({ read: granted, control: granted, edit: granted }, { requiredKeys: [] }),
);
function mapOf<Value>(keys: readonly string[], of: fc.Arbitrary<Value>) {
  return fc.oneof(
    { weight: 1, arbitrary: granted },
    {
      weight: 5,
      arbitrary: fc.dictionary(fc.constantFrom(...keys), of, { maxKeys: 3, noNullPrototype: true }),
    },
  );
}

const entities = fc.oneof(
  { weight: 1, arbitrary: granted },
  {
    weight: 6,
    arbitrary: fc.record(
      {
        all: value,
        area_ids: mapOf(names.areas, value),
        device_ids: mapOf(names.devices, value),
        domains: mapOf(names.domains, value),
        entity_ids: mapOf(names.entities, value),
      },
      { requiredKeys: [] },
    ),
  },
);
const topics = fc.oneof(
  { weight: 1, arbitrary: granted },
  {
    weight: 6,
    arbitrary: fc.record({ all: value, patterns: mapOf(names.patterns, value) }, { requiredKeys: [] }),
  },
);
const commands = fc.oneof(
  { weight: 1, arbitrary: granted },
  { weight: 6, arbitrary: fc.record({ namespaces: mapOf(names.namespaces, granted) }, { requiredKeys: [] }) },
);

export const anyPolicy: fc.Arbitrary<Policy> = fc.record(
  { entities, topics, commands },
  { requiredKeys: [] },
);

/** A second implementation, which reads the policy as it stands. Slow, and without any of the code under test. */
export const naive = {
  entity({ entities: policy }: Policy, entityId: string, verb: Verb): boolean {
    if (policy === undefined || policy === true) return policy === true;
    const device = resources.deviceOf(entityId);
    const area = device === undefined ? undefined : resources.areaOf(device);
    const [domain] = entityId.split(".");
    return (
      inMap(policy.entity_ids, entityId, verb) ||
      inMap(policy.device_ids, device, verb) ||
      inMap(policy.area_ids, area, verb) ||
      inMap(policy.domains, domain, verb) ||
      has(policy.all, verb)
    );
  },
  topic({ topics: policy }: Policy, topic: string, verb: Verb): boolean {
    if (policy === undefined || policy === true) return policy === true;
    if (policy.patterns === true || has(policy.all, verb)) return true;
    return Object.entries(policy.patterns ?? {}).some(
      ([pattern, verbsOf]) => has(verbsOf, verb) && matchesTopic(segmentsOf(pattern), segmentsOf(topic)),
    );
  },
  command({ commands: policy }: Policy, type: string): boolean {
    if (policy === undefined || policy === true) return policy === true;
    if (policy.namespaces === undefined || policy.namespaces === true) return policy.namespaces === true;
    return Object.keys(policy.namespaces).some((name) => type === name || type.indexOf(`${name}/`) === 0);
  },
};

/** Everything among the names that a policy grants, as words. */
export function grantsOf(policy: Policy): readonly string[] {
  const granted = <Thing extends string>(
    things: readonly Thing[],
    grants: (policy: Policy, thing: Thing, verb: Verb) => boolean,
  ) =>
    things.flatMap((thing) =>
      verbs.filter((verb) => grants(policy, thing, verb)).map((verb) => `${verb} ${thing}`),
    );
  return [
    ...granted(names.entities, naive.entity),
    ...granted(names.topics, naive.topic),
    ...names.commands.filter((type) => naive.command(policy, type)),
  ];
}

type Value = true | { readonly [Name in Verb]?: true } | undefined;

function has(verbsOf: Value, verb: Verb): boolean {
  return verbsOf === true || (verbsOf !== undefined && verbsOf[verb] === true);
}

function inMap(map: true | Readonly<Record<string, Value>> | undefined, key: string | undefined, verb: Verb) {
  if (map === undefined || map === true) return map === true;
  return key !== undefined && Object.hasOwn(map, key) && has(map[key], verb);
}

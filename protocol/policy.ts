import { type Static, type TSchema, Type } from "typebox";

import { topicPatternShape } from "./topic-pattern.ts";

/*
 * Permission policies, as Home Assistant's: what is granted is `true`, and what is not said is not granted. There is no
 * rule that denies. `entities` is Home Assistant's own category; `topics` and `commands` have the same shape.
 */

/** `bytes`: of a policy as JSON. `tokenBytes`: of a policy that narrows one token. `keys`: of one map. */
export const policyLimits = { bytes: 16_384, tokenBytes: 1_024, keys: 512, groups: 256 } as const;

const Granted = Type.Literal(true);

/** What may be done: all of it, or some of three. */
const Verbs = Type.Union([
  Granted,
  Type.Object(
    {
      read: Type.Optional(Granted),
      control: Type.Optional(Granted),
      edit: Type.Optional(Granted),
    },
    { additionalProperties: false },
  ),
]);
export type PolicyVerbs = Static<typeof Verbs>;

/** Everything that there is, or what is named. */
function named<Value extends TSchema>(shape: string, value: Value) {
  const map = Type.Record(Type.String({ pattern: shape }), value, {
    additionalProperties: false,
    maxProperties: policyLimits.keys,
  });
  return Type.Union([Granted, map]);
}

const idShape = "^[\\s\\S]{1,255}$";
const ById = named(idShape, Verbs);
export type PolicyMap = Static<typeof ById>;

export const EntityPolicy = Type.Union([
  Granted,
  Type.Object(
    {
      all: Type.Optional(Verbs),
      area_ids: Type.Optional(ById),
      device_ids: Type.Optional(ById),
      domains: Type.Optional(ById),
      entity_ids: Type.Optional(ById),
    },
    { additionalProperties: false },
  ),
]);
export type EntityPolicy = Static<typeof EntityPolicy>;

export const TopicPolicy = Type.Union([
  Granted,
  Type.Object(
    { all: Type.Optional(Verbs), patterns: Type.Optional(named(topicPatternShape, Verbs)) },
    { additionalProperties: false },
  ),
]);
export type TopicPolicy = Static<typeof TopicPolicy>;

/** A namespace is the type of a command, or the first segments of one: `gatehouse/approvals`. */
const namespaceShape = "^[a-z_]{1,32}(?:/[a-z_]{1,32}){0,5}$";

export const CommandPolicy = Type.Union([
  Granted,
  Type.Object({ namespaces: Type.Optional(named(namespaceShape, Granted)) }, { additionalProperties: false }),
]);
export type CommandPolicy = Static<typeof CommandPolicy>;

/** Tells the schema from others: what is wrong with a policy has texts of its own. */
export const policyTitle = "policy";

export const Policy = Type.Object(
  {
    entities: Type.Optional(EntityPolicy),
    topics: Type.Optional(TopicPolicy),
    commands: Type.Optional(CommandPolicy),
  },
  { additionalProperties: false, title: policyTitle },
);
export type Policy = Static<typeof Policy>;

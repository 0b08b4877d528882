import { type Static, Type } from "typebox";

import { topicLimits, topicShape } from "../topic-pattern.ts";
import { command, OpaqueId } from "./define.ts";

const strict = { additionalProperties: false } as const;

/** What is asked about: an entity, a topic, or a command. */
export const PolicyResource = Type.Union([
  Type.Object({ entity_id: Type.String({ minLength: 1, maxLength: 255 }) }, strict),
  Type.Object({ topic: Type.String({ maxLength: topicLimits.length, pattern: topicShape }) }, strict),
  Type.Object({ command: Type.String({ minLength: 1, maxLength: 128 }) }, strict),
]);
export type PolicyResource = Static<typeof PolicyResource>;

const Text = Type.Union([Type.String(), Type.Null()]);

/** One rule of the explanation, in the order in which they are asked. */
export const RuleVerdict = Type.Object({
  rule: Type.Union([
    Type.Literal("user"),
    Type.Literal("owner"),
    Type.Literal("guard"),
    Type.Literal("group"),
    Type.Literal("delegation"),
    Type.Literal("token_scope"),
    Type.Literal("token_policy"),
  ]),
  /** Of a group's policy. */
  group_id: Text,
  /** Which part of the policy: `domains`, `patterns`. Null: the policy says nothing about it. */
  part: Text,
  verdict: Type.Union([Type.Literal("allow"), Type.Literal("pass"), Type.Literal("deny")]),
});

export const permissionCommands = {
  /** Everybody about themself; administrators about anybody. Without a subject it is the sender's own session. */
  "gatehouse/permissions/explain": command(
    "gatehouse/permissions/explain",
    "user",
    {
      user_id: Type.Optional(OpaqueId),
      session_id: Type.Optional(OpaqueId),
      resource: PolicyResource,
      verb: Type.Optional(
        Type.Union([Type.Literal("read"), Type.Literal("control"), Type.Literal("edit")], {
          default: "read",
          description: "What is to be done with an entity or a topic. Of a command it is not asked.",
        }),
      ),
    },
    Type.Object({
      user_id: OpaqueId,
      /** Whose token's scopes and policy count. Null: no token was asked about. */
      session_id: Text,
      allowed: Type.Boolean(),
      rules: Type.Array(RuleVerdict),
    }),
  ),
} as const;

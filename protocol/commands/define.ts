import { type Static, type TProperties, type TSchema, Type } from "typebox";

import { Id } from "../frames.ts";

/**
 * Who may send a command. `anyone` is before `auth_ok`. The others are after it: `user` is any authenticated user,
 * `admin` a member of system-admin, the owner, or somebody to whom a group gives the command, `owner` the owner alone.
 */
export type Guard = "anyone" | "user" | "admin" | "owner";

/** The scope that a token needs, if it has scopes at all; null: none. */
export type NeededScope = "api" | "profile" | null;

/** One command's wire contract. */
export interface CommandContract<Params extends TSchema = TSchema, Result extends TSchema = TSchema> {
  readonly guard: Guard;
  readonly scope: NeededScope;
  /** The whole message, with `id` and `type`; unknown keys are refused. */
  readonly params: Params;
  readonly result: Result;
}

/** Builds a contract. `fields` are the message's own fields beside `id` and `type`. */
export function command<const Name extends string, Fields extends TProperties, Result extends TSchema>(
  type: Name,
  guard: Guard,
  fields: Fields,
  result: Result,
  scope: NeededScope = "api",
) {
  const params = Type.Object(
    { id: Id, type: Type.Literal(type), ...fields },
    { additionalProperties: false },
  );
  return { guard, scope, params, result };
}

export type ParamsOf<C extends CommandContract> = Static<C["params"]>;
export type ResultOf<C extends CommandContract> = Static<C["result"]>;

/** An opaque id on the wire. Ids become part of record keys, so only these characters are allowed. */
export const OpaqueId = Type.String({ minLength: 1, maxLength: 64, pattern: "^[A-Za-z0-9_-]+$" });
/** The keys of a record, as a pattern: JSON Schema has no other way to bound them. */
export const ShortKey = Type.String({ pattern: "^[\\s\\S]{1,64}$" });
export const FlowId = Type.String({ minLength: 32, maxLength: 32, pattern: "^[0-9a-f]{32}$" });
/** What a form was filled in with. */
export const UserInput = Type.Record(ShortKey, Type.Unknown(), { additionalProperties: false });
export const Name = Type.String({ minLength: 1, maxLength: 128 });
export const Username = Type.String({ minLength: 1, maxLength: 128 });
/** The provider checks the length again, in bytes after NFKC. */
export const Password = Type.String({ minLength: 1, maxLength: 1024 });
export const Empty = Type.Object({}, { additionalProperties: false });

/** Number of entries in one page of a list. */
export const pageLimits = { default: 100, most: 500 } as const;
/** The fields of a list in pages. `cursor` comes from the previous answer; without it the list starts. */
export const PageFields = {
  cursor: Type.Optional(OpaqueId),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: pageLimits.most,
      default: pageLimits.default,
      description: "Most entries of the page.",
    }),
  ),
};
/** Where to continue; null: there are no more entries. */
export const Cursor = Type.Union([OpaqueId, Type.Null()]);

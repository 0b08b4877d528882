import { type Static, type TProperties, type TSchema, Type } from "typebox";

import { Id } from "../frames.ts";

/**
 * Who may send a command. `anyone` is before `auth_ok`; the others after it: `user` any authenticated user,
 * `admin` a member of system-admin or the owner, `owner` the owner alone.
 */
export type Guard = "anyone" | "user" | "admin" | "owner";

/** One command's wire contract. */
export interface CommandContract<Params extends TSchema = TSchema, Result extends TSchema = TSchema> {
  readonly guard: Guard;
  /** The whole message, `id` and `type` included; unknown keys are refused. */
  readonly params: Params;
  readonly result: Result;
}

/** Builds a contract: `fields` are the message's own fields beside `id` and `type`. */
export function command<const Name extends string, Fields extends TProperties, Result extends TSchema>(
  type: Name,
  guard: Guard,
  fields: Fields,
  result: Result,
) {
  const params = Type.Object(
    { id: Id, type: Type.Literal(type), ...fields },
    { additionalProperties: false },
  );
  return { guard, params, result };
}

export type ParamsOf<C extends CommandContract> = Static<C["params"]>;
export type ResultOf<C extends CommandContract> = Static<C["result"]>;

/** An opaque id on the wire. Ids become part of record keys, so nothing else than these characters gets in. */
export const OpaqueId = Type.String({ minLength: 1, maxLength: 64, pattern: "^[A-Za-z0-9_-]+$" });
/** The keys of a record: a pattern, because JSON Schema bounds them in no other way. */
export const ShortKey = Type.String({ pattern: "^[\\s\\S]{1,64}$" });
export const Name = Type.String({ minLength: 1, maxLength: 128 });
export const Username = Type.String({ minLength: 1, maxLength: 128 });
/** Length is checked again in bytes after NFKC by the provider. */
export const Password = Type.String({ minLength: 1, maxLength: 1024 });
export const Empty = Type.Object({}, { additionalProperties: false });

/** Entries of one page of a list. */
export const pageLimits = { default: 100, most: 500 } as const;
/** The fields of a list in pages. `cursor` is the answer's before it; without one the list begins. */
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
/** Where to go on; null: there are no more. */
export const Cursor = Type.Union([OpaqueId, Type.Null()]);

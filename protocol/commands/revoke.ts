import { type Static, Type } from "typebox";

import { command, OpaqueId } from "./define.ts";

const strict = { additionalProperties: false } as const;

/** Whose sessions end: a user's, one session, a client's for every user, or all. */
export const RevocationTarget = Type.Union([
  Type.Object({ user_id: OpaqueId }, strict),
  Type.Object({ session_id: OpaqueId }, strict),
  Type.Object({ client_id: Type.String({ minLength: 1, maxLength: 512 }) }, strict),
  Type.Object({ all: Type.Literal(true) }, strict),
]);
export type RevocationTarget = Static<typeof RevocationTarget>;

const Count = Type.Integer({ minimum: 0 });

/**
 * What is known of a revocation. Null means unknown: sessions of a client and of all are not counted, and a command
 * that ends its own socket is answered before the rest is known.
 */
export const RevocationState = Type.Object({
  revocation_id: OpaqueId,
  /** Sessions that were live. */
  sessions: Type.Union([Count, Type.Null()]),
  /** Sockets that the answering node closed. */
  sockets_closed: Type.Union([Count, Type.Null()]),
  /**
   * `applied`: nodes that have applied it. `fenced`: silent nodes whose lease has run out, so that they serve nobody.
   * `pending`: the rest.
   */
  nodes: Type.Union([Type.Object({ applied: Count, pending: Count, fenced: Count }), Type.Null()]),
  /** What kept the revocation when the store answered. */
  durability: Type.Union([
    Type.Literal("memory"),
    Type.Literal("fsync"),
    Type.Literal("replicated"),
    Type.Null(),
  ]),
  /** `all`: no node serves what was revoked any more. */
  effective: Type.Union([Type.Literal("all"), Type.Literal("pending")]),
});
export type RevocationState = Static<typeof RevocationState>;

/** An event of `gatehouse/revoke` with `subscribe`: the state after a change. The last one has `done`. */
export const SecurityEvent = Type.Object({ ...RevocationState.properties, done: Type.Boolean() });

export const revokeCommands = {
  /** `wait`: answered once every node applied it, or after 60 s. `subscribe`: answered at once, then events follow. */
  "gatehouse/revoke": command(
    "gatehouse/revoke",
    "admin",
    {
      target: RevocationTarget,
      wait: Type.Optional(
        Type.Boolean({ default: false, description: "Answer once every node applied it, or after 60 s." }),
      ),
      subscribe: Type.Optional(
        Type.Boolean({ default: false, description: "Answer at once, then send an event for each change." }),
      ),
    },
    RevocationState,
  ),
} as const;

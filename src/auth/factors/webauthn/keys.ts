import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../../errors.ts";
import type { JsonObject } from "../../store.ts";
import type { Sealing } from "../../tokens/sealing.ts";

/** A passkey or security key of a user. Binary values are base64url. */
const Key = Type.Object({
  id: Type.String(),
  publicKey: Type.String(),
  counter: Type.Number(),
  transports: Type.Array(Type.String()),
});
export type Key = Static<typeof Key>;
const keys = Compile(Type.Array(Key));

/** Most keys of one user. */
export const mostKeys = 10;

/**
 * The keys as they are kept. They are no secret, and sealed nevertheless: whoever can write into the store cannot put a key
 * of their own there.
 */
export function sealKeys(sealing: Pick<Sealing, "seal">, name: string, list: readonly Key[]): JsonObject {
  return { keys: sealing.seal(name, Buffer.from(JSON.stringify(list))) };
}

export function openKeys(
  sealing: Pick<Sealing, "open">,
  name: string,
  data: JsonObject | undefined,
): readonly Key[] {
  if (data === undefined) return [];
  const list: unknown = JSON.parse(sealing.open(name, String(data.keys)).toString());
  if (keys.Check(list)) return list;
  throw new AuthError("unavailable", { detail: "a user's keys have a shape that this version cannot read" });
}

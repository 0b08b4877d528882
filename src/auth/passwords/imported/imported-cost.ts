import { type Static, Type } from "typebox";

const count = Type.Integer({ minimum: 1 });
export const ImportedCost = Type.Union([
  Type.Object({ kdf: Type.Literal("bcrypt"), cost: count }),
  Type.Object({
    kdf: Type.Union([Type.Literal("argon2id"), Type.Literal("argon2i"), Type.Literal("argon2d")]),
    memoryKiB: count,
    passes: count,
    lanes: count,
  }),
  Type.Object({
    kdf: Type.Literal("pbkdf2"),
    digest: Type.Union([Type.Literal("sha1"), Type.Literal("sha256"), Type.Literal("sha512")]),
    iterations: count,
    /** Bytes of the result: each block of the digest's length costs all iterations. */
    bytes: count,
  }),
  Type.Object({ kdf: Type.Literal("scrypt"), N: count, r: count, p: count }),
]);

/** What one check against an imported hash runs. Hashes with the same cost take the same time. */
export type ImportedCost = Static<typeof ImportedCost>;

/** The same text for the same cost, for people. */
export function costText(cost: ImportedCost): string {
  switch (cost.kdf) {
    case "bcrypt":
      return `bcrypt cost=${cost.cost}`;
    case "pbkdf2":
      return `PBKDF2-HMAC-${cost.digest.toUpperCase()} iterations=${cost.iterations} bytes=${cost.bytes}`;
    case "scrypt":
      return `scrypt N=${cost.N} r=${cost.r} p=${cost.p}`;
    default:
      return `${cost.kdf} m=${cost.memoryKiB} t=${cost.passes} p=${cost.lanes}`;
  }
}

export function areSameCost(a: ImportedCost, b: ImportedCost): boolean {
  return costText(a) === costText(b);
}

import { type Static, Type } from "typebox";

import type { Frozen } from "../../providers/provider-type.ts";
import { type FactorTools, type FactorType, factorEntrySchema } from "../factor-type.ts";
import { createWebauthn } from "./webauthn.ts";

const entry = factorEntrySchema("webauthn", {
  rp_id: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 253,
      pattern: "^[a-z0-9.-]+$",
      description:
        "The domain that keys are bound to: the host of `public_url`, or a domain above it. The first one by default. Keys are good for no other, so do not change it.",
    }),
  ),
  origins: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 256, pattern: "^https?://[^/]+$" }), {
      maxItems: 16,
      default: [],
      description: "Origins under that domain, beside the gateway's own, whose pages may ask for a key.",
    }),
  ),
  user_verification: Type.Optional(
    Type.Union([Type.Literal("preferred"), Type.Literal("required")], {
      default: "preferred",
      description:
        "`required`: the key must verify who holds it, by a PIN or a fingerprint. It is then two factors by itself.",
    }),
  ),
});

type Entry = Frozen<Static<typeof entry>>;

/** The factor of an entry; `verifiesUser` if its keys must verify their holders also where the entry does not say so. */
export function webauthnOf(
  { id, name, rp_id, origins = [], user_verification }: Entry,
  { publicUrl, sealing }: Pick<FactorTools, "publicUrl" | "sealing">,
  verifiesUser = user_verification === "required",
) {
  return createWebauthn({
    id: id ?? "webauthn",
    name: name ?? "Passkey or security key",
    rpId: rp_id ?? null,
    rpName: "Gatehouse",
    origins,
    verifiesUser,
    publicUrl,
    sealing,
  });
}

export const webauthnType: FactorType<typeof entry> = {
  entry,
  create: (options, tools) => webauthnOf(options, tools),
};

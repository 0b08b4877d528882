import { Type } from "typebox";

import { type FactorType, factorEntrySchema } from "../factor-type.ts";
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

export const webauthnType: FactorType<typeof entry> = {
  entry,
  create: (
    { id = "webauthn", name = "Passkey or security key", rp_id = null, origins = [], user_verification },
    tools,
  ) =>
    createWebauthn({
      id,
      name,
      rpId: rp_id,
      rpName: "Gatehouse",
      origins,
      verifiesUser: user_verification === "required",
      ...tools,
    }),
};

import { Type } from "typebox";

import { type FactorType, factorEntrySchema } from "../factor-type.ts";
import { createTotp } from "./totp.ts";

const entry = factorEntrySchema("totp", {
  issuer: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: "^[^:]+$",
      default: "Gatehouse",
      description: "What authenticator apps show beside the user's name.",
    }),
  ),
});

export const totpType: FactorType<typeof entry> = {
  entry,
  create: ({ id = "totp", name = "Authenticator app", issuer = "Gatehouse" }, tools) =>
    createTotp({ id, name, issuer, ...tools }),
};

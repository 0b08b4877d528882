import { type FactorType, factorEntrySchema } from "../factor-type.ts";
import { createRecovery } from "./recovery.ts";

const entry = factorEntrySchema("recovery", {});

export const recoveryType: FactorType<typeof entry> = {
  entry,
  create: ({ id = "recovery", name = "Recovery codes" }, tools) => createRecovery({ id, name, ...tools }),
};

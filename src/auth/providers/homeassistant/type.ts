import type { Static } from "typebox";

import { entrySchema, type ProviderTools } from "../provider-type.ts";
import { localType } from "./login-record.ts";
import { createHomeAssistantProvider } from "./provider.ts";

const entry = entrySchema(localType, {});

/** Login names and passwords of this installation. */
export const homeAssistantProviderType = {
  entry,
  create: ({ id, name }: Static<typeof entry>, tools: ProviderTools) =>
    createHomeAssistantProvider({ ...tools, id: id ?? null, name }),
};

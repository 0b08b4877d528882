import { pageLimits } from "../../protocol/commands/define.ts";
import type { PageRequest } from "../auth/model.ts";

/** The fields that every list in pages has. */
export function pageRequestOf(message: { readonly cursor?: string; readonly limit?: number }): PageRequest {
  return { after: message.cursor, limit: message.limit ?? pageLimits.default };
}

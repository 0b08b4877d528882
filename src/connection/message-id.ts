import type { ErrorBody } from "../../protocol/frames.ts";
import { errorBody } from "./error-body.ts";

/** Home Assistant's rule of ids (reference 4.3): a positive integer that is higher than the last one. */
export function idProblem(id: unknown, lastId: number): ErrorBody | undefined {
  if (!isId(id)) return errorBody("invalid_format");
  return id <= lastId ? errorBody("id_reuse") : undefined;
}

export function isId(id: unknown): id is number {
  return Number.isSafeInteger(id) && (id as number) > 0;
}

import type { ErrorBody } from "../../protocol/frames.ts";
import { errorBody } from "./error-body.ts";

/** As in Home Assistant, an id is a positive integer that is higher than the last one. */
export function idProblem(id: unknown, lastId: number): ErrorBody | undefined {
  if (!isId(id)) return errorBody("invalid_format");
  return id <= lastId ? errorBody("id_reuse") : undefined;
}

export function isId(id: unknown): id is number {
  return Number.isSafeInteger(id) && (id as number) > 0;
}

/** The id of the answer: what the client sent as the id, whatever it is. 0 if there is none, as in Home Assistant. */
export function answerIdOf(message: unknown): unknown {
  if (typeof message !== "object" || message === null || Array.isArray(message)) return 0;
  return (message as { id?: unknown }).id ?? 0;
}

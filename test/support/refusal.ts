import type { ErrorName } from "../../protocol/errors.ts";
import { AuthError } from "../../src/auth/errors.ts";

/** The code that `work` is refused with; "accepted" if it is not refused. Any other error fails the test. */
export async function refusal(work: Promise<unknown>): Promise<ErrorName | "accepted"> {
  try {
    await work;
    return "accepted";
  } catch (error) {
    if (error instanceof AuthError) return error.code;
    throw error;
  }
}

import { AuthError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { RevocationCause } from "../model.ts";
import type { Step } from "../store.ts";
import type { EndingTools } from "./ending.ts";
import type { RecordCut } from "./memory.ts";
import { createUserEnding } from "./user-ending.ts";

/** What takes from a user's record what the user has again, and had lost. */
export interface Lessening {
  /** Fails on a record that has changed since it was read. */
  readonly step: Step;
  /** All sessions end with it, also those that were opened since; null: none does. */
  readonly ends: RevocationCause | null;
}

/** Undefined: there is nothing to take. Rejects with `unavailable`, but not for a damaged record. */
export type LesseningOf = (userId: string, cut: RecordCut) => Promise<Lessening | undefined>;

export interface RecordReassertionTools extends EndingTools {
  readonly lessening: LesseningOf;
}

/** Other nodes that do the same, and administrators, come in between; each does so once or twice. */
const mostAttempts = 10;

/**
 * Takes again what was taken by a change of users' records, all at the same time. Resolves to how many it changed. Rejects
 * with `unavailable`; then it has to be done again.
 */
export async function assertRecords(
  tools: RecordReassertionTools,
  cuts: readonly (readonly [string, RecordCut])[],
): Promise<number> {
  const written = await Promise.all(cuts.map(([userId, cut]) => assertRecord(tools, userId, cut)));
  return written.filter(Boolean).length;
}

/** Goes on until there is nothing to take: a login may be linked to a user while that one is removed. */
async function assertRecord(tools: RecordReassertionTools, userId: string, cut: RecordCut): Promise<boolean> {
  let written = false;
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const lessening = await tools.lessening(userId, cut);
    if (lessening === undefined) return written;
    written = (await commit(tools, userId, lessening)) || written;
  }
  throw new AuthError("unavailable", { detail: "re-assertion: a user's record changes all the time" });
}

/** False: something has changed meanwhile. */
async function commit(
  tools: RecordReassertionTools,
  userId: string,
  { step, ends }: Lessening,
): Promise<boolean> {
  if (ends === null) return (await tools.journal.commit({ ...step, durable: true })).ok;
  try {
    const request = { cause: ends, revocationId: newId(), also: step };
    await createUserEnding(tools)({ kind: "user", userId }, request);
    return true;
  } catch (error) {
    if (error instanceof AuthError && error.code === "conflict") return false;
    throw error;
  }
}

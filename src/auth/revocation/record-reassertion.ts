import { AuthError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { RevocationCause } from "../model.ts";
import type { Step } from "../store.ts";
import type { EndingTools } from "./ending.ts";
import type { LoginCut } from "./memory.ts";
import type { RevokeTarget, RightsDecision } from "./revocation.ts";
import { createSessionEnding } from "./session-ending.ts";
import { createUserEnding } from "./user-ending.ts";

/** What takes from a record what somebody has again, and had lost. */
export interface Lessening {
  /** Fails on a record that has changed since it was read. */
  readonly step: Step;
  /** What ends with it, also of what was opened since; null: nothing does. */
  readonly ends: {
    readonly target: Extract<RevokeTarget, { kind: "user" | "sessions" }>;
    readonly cause: RevocationCause;
  } | null;
}

/** Undefined: there is nothing to take. Both reject with `unavailable`, but not for a damaged record. */
export interface Lessenings {
  ofUser(userId: string, cut: RightsDecision): Promise<Lessening | undefined>;
  ofLogin(credentialId: string, cut: LoginCut): Promise<Lessening | undefined>;
}

export interface RecordReassertionTools extends EndingTools {
  readonly lessenings: Lessenings;
  /** Told of each that was written; `cause` null: rights, without an end of sessions. */
  readonly onLessened: (userId: string, cause: RevocationCause | null) => void;
}

/** Other nodes that do the same, and administrators, come in between; each does so once or twice. */
const mostAttempts = 10;

/**
 * Takes again what was taken by a change of users' records, all at the same time. Resolves to how many it changed. Rejects
 * with `unavailable`; then it has to be done again.
 */
export async function assertRecords(
  tools: RecordReassertionTools,
  cuts: readonly (readonly [string, RightsDecision])[],
): Promise<number> {
  return await countTrue(
    cuts.map(([userId, cut]) => lessen(tools, userId, () => tools.lessenings.ofUser(userId, cut))),
  );
}

/** The same of logins; their changes get into the log again, which other nodes may never have seen. */
export async function assertLogins(
  tools: RecordReassertionTools,
  cuts: readonly (readonly [string, LoginCut])[],
): Promise<number> {
  return await countTrue(
    cuts.map(([id, cut]) => lessen(tools, cut.userId, () => tools.lessenings.ofLogin(id, cut))),
  );
}

async function countTrue(all: readonly Promise<boolean>[]): Promise<number> {
  return (await Promise.all(all)).filter(Boolean).length;
}

/** Goes on until there is nothing to take: a login may be linked to a user while that one is removed. */
async function lessen(
  tools: RecordReassertionTools,
  userId: string,
  look: () => Promise<Lessening | undefined>,
): Promise<boolean> {
  let written = false;
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const lessening = await look();
    if (lessening === undefined) return written;
    if (!(await commit(tools, lessening))) continue;
    written = true;
    tools.onLessened(userId, lessening.ends?.cause ?? null);
  }
  throw new AuthError("unavailable", { detail: "re-assertion: a record changes all the time" });
}

/** False: something has changed meanwhile. */
async function commit(tools: RecordReassertionTools, { step, ends }: Lessening): Promise<boolean> {
  if (ends === null) return (await tools.journal.commit({ ...step, durable: true })).ok;
  const { target, cause } = ends;
  const request = { cause, revocationId: newId(), also: step };
  try {
    if (target.kind === "user") await createUserEnding(tools)(target, request);
    else await createSessionEnding(tools)(target, request);
    return true;
  } catch (error) {
    // `unauthorized`: the session to spare is over.
    if (error instanceof AuthError && (error.code === "conflict" || error.code === "unauthorized"))
      return false;
    throw error;
  }
}

import { AuthError } from "../../errors.ts";
import { newId } from "../../ids.ts";
import type { RevocationCause } from "../../model.ts";
import type { Step } from "../../store.ts";
import type { RevokeTarget } from "../receipt.ts";
import type { LoginChange } from "../revocation-cache.ts";
import type { RevokeTools } from "../revoke.ts";
import { createSessionRevoker } from "../revoke.ts";
import { createUserRevoker } from "../revoke-user.ts";
import type { RightsDecision } from "../view.ts";

/** What takes from a record what somebody has again, and had lost. */
export interface Repair {
  /** Fails on a record that has changed since it was read. */
  readonly step: Step;
  /** What ends with it, also of what was opened since; null: nothing does. */
  readonly revokes: {
    readonly target: Extract<RevokeTarget, { kind: "user" | "sessions" }>;
    readonly cause: RevocationCause;
  } | null;
}

/** Undefined: there is nothing to take. Both reject with `unavailable`, but not for a damaged record. */
export interface RecordRepairs {
  ofUser(userId: string, cut: RightsDecision): Promise<Repair | undefined>;
  ofLogin(credentialId: string, cut: LoginChange): Promise<Repair | undefined>;
}

export interface RecordRepairTools extends RevokeTools {
  readonly repairs: RecordRepairs;
  /** Told of each that was written; `cause` null: rights, without an end of sessions. */
  readonly onRepaired: (userId: string, cause: RevocationCause | null) => void;
}

/** Other nodes that do the same, and administrators, come in between; each does so once or twice. */
const maxAttempts = 10;

/**
 * Takes again what was taken by a change of users' records, all at the same time. Resolves to how many it changed. Rejects
 * with `unavailable`; then it has to be done again.
 */
export async function repairUsers(
  tools: RecordRepairTools,
  cuts: readonly (readonly [string, RightsDecision])[],
): Promise<number> {
  return await countTrue(
    cuts.map(([userId, cut]) => repairRecord(tools, userId, () => tools.repairs.ofUser(userId, cut))),
  );
}

/** The same of logins; their changes get into the log again, which other nodes may never have seen. */
export async function repairLogins(
  tools: RecordRepairTools,
  cuts: readonly (readonly [string, LoginChange])[],
): Promise<number> {
  return await countTrue(
    cuts.map(([id, cut]) => repairRecord(tools, cut.userId, () => tools.repairs.ofLogin(id, cut))),
  );
}

async function countTrue(all: readonly Promise<boolean>[]): Promise<number> {
  return (await Promise.all(all)).filter(Boolean).length;
}

/** Goes on until there is nothing to take: a login may be linked to a user while that one is removed. */
async function repairRecord(
  tools: RecordRepairTools,
  userId: string,
  look: () => Promise<Repair | undefined>,
): Promise<boolean> {
  let written = false;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const repair = await look();
    if (repair === undefined) return written;
    if (!(await commit(tools, repair))) continue;
    written = true;
    tools.onRepaired(userId, repair.revokes?.cause ?? null);
  }
  throw new AuthError("unavailable", { detail: "re-assertion: a record changes all the time" });
}

/** False: something has changed meanwhile. */
async function commit(tools: RecordRepairTools, { step, revokes }: Repair): Promise<boolean> {
  if (revokes === null) return (await tools.logWriter.commit({ ...step, durable: true })).ok;
  const { target, cause } = revokes;
  const request = { cause, revocationId: newId(), also: step };
  try {
    if (target.kind === "user") await createUserRevoker(tools)(target, request);
    else await createSessionRevoker(tools)(target, request);
    return true;
  } catch (error) {
    // `unauthorized`: the session to spare is over.
    if (error instanceof AuthError && (error.code === "conflict" || error.code === "unauthorized"))
      return false;
    throw error;
  }
}

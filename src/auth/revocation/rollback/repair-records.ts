import { AuthError } from "../../errors.ts";
import { newId } from "../../ids.ts";
import type { RevocationCause } from "../../model.ts";
import type { Step } from "../../store.ts";
import type { RevokeTarget } from "../receipt.ts";
import type { LoginChange } from "../revocation-cache.ts";
import type { RevokeTools } from "../revoke.ts";
import { createSessionRevoker } from "../revoke.ts";
import { createUserRevoker } from "../revoke-user.ts";
import type { OwnerChange, RightsDecision } from "../view.ts";

/** How to remove from a record the rights that a rollback of the store gave back. */
export interface Repair {
  /** Fails on a record that has changed since it was read. */
  readonly step: Step;
  /** The sessions that end with it, also those opened since the rollback. Null: none. */
  readonly revokes: {
    readonly target: Extract<RevokeTarget, { kind: "user" | "sessions" }>;
    readonly cause: RevocationCause;
  } | null;
}

/** Undefined: there is nothing to repair. All reject with `unavailable`, but not for a damaged record. */
export interface RecordRepairs {
  ofUser(userId: string, change: RightsDecision): Promise<Repair | undefined>;
  ofLogin(credentialId: string, change: LoginChange): Promise<Repair | undefined>;
  ofOwner(change: OwnerChange): Promise<Repair | undefined>;
  /** Of what belongs to no user: groups, and what is registered. */
  others(): readonly (() => Promise<Repair | undefined>)[];
}

export interface RecordRepairTools extends RevokeTools {
  readonly repairs: RecordRepairs;
  /** Called for each repair that was committed. `cause` is null if rights were removed and no session ended. */
  readonly onRepaired: (userId: string, cause: RevocationCause | null) => void;
}

/** Conflicts come from other nodes with the same repair and from administrators, once or twice each. */
const maxAttempts = 10;

/**
 * Applies lost changes of users' records again, all at the same time. Resolves to how many records it changed.
 * Rejects with `unavailable`; then it must be called again.
 */
export async function repairUsers(
  tools: RecordRepairTools,
  changes: readonly (readonly [string, RightsDecision])[],
): Promise<number> {
  return await countRepaired(
    changes.map(([userId, change]) =>
      repairRecord(tools, userId, () => tools.repairs.ofUser(userId, change)),
    ),
  );
}

/** The same for logins. It also logs their changes again, because other nodes may never have seen them. */
export async function repairLogins(
  tools: RecordRepairTools,
  changes: readonly (readonly [string, LoginChange])[],
): Promise<number> {
  return await countRepaired(
    changes.map(([id, change]) =>
      repairRecord(tools, change.userId, () => tools.repairs.ofLogin(id, change)),
    ),
  );
}

/** The same for the owner. Before the users, because an owner is not removed. */
export async function repairOwner(
  tools: RecordRepairTools,
  changes: readonly (readonly ["owner", OwnerChange])[],
): Promise<number> {
  return await countRepaired(
    changes.map(([, change]) => repairRecord(tools, change.userId, () => tools.repairs.ofOwner(change))),
  );
}

/** The same for what belongs to no user. */
export async function repairOthers(tools: RecordRepairTools): Promise<number> {
  return await countRepaired(tools.repairs.others().map((plan) => repairRecord(tools, null, plan)));
}

async function countRepaired(all: readonly Promise<boolean>[]): Promise<number> {
  return (await Promise.all(all)).filter(Boolean).length;
}

/** Repeats until there is nothing to repair: a login may be linked to a user while that user is removed. */
async function repairRecord(
  tools: RecordRepairTools,
  userId: string | null,
  plan: () => Promise<Repair | undefined>,
): Promise<boolean> {
  let written = false;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const repair = await plan();
    if (repair === undefined) return written;
    if (!(await commit(tools, repair))) continue;
    written = true;
    if (userId !== null) tools.onRepaired(userId, repair.revokes?.cause ?? null);
  }
  throw new AuthError("unavailable", { detail: "rollback repair: a record keeps changing" });
}

/** False: a record has changed since it was read. */
async function commit(tools: RecordRepairTools, { step, revokes }: Repair): Promise<boolean> {
  if (revokes === null) return (await tools.logWriter.commit({ ...step, durable: true })).ok;
  const { target, cause } = revokes;
  const request = { cause, revocationId: newId(), also: step };
  try {
    if (target.kind === "user") await createUserRevoker(tools)(target, request);
    else await createSessionRevoker(tools)(target, request);
    return true;
  } catch (error) {
    // `unauthorized`: the session to spare has ended.
    if (error instanceof AuthError && (error.code === "conflict" || error.code === "unauthorized"))
      return false;
    throw error;
  }
}

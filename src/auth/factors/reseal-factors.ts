import { AuthError } from "../errors.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { sliceSize } from "../scheduling/loop-yielder.ts";
import { type JsonObject, mergeSteps, retryConflicts, type Step, type Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import { type Enrolment, parseEnrolments, writeEnrolmentsStep } from "./enrolments.ts";
import { factorSecretName } from "./factor.ts";

export interface Reseal {
  readonly store: Store;
  readonly from: Sealing;
  readonly to: Sealing;
}

/**
 * Seals what is kept of all users' factors with another secret. What was used of them stays. What `from` does not open
 * is left alone: it was sealed anew before a call that was cut short, or is damaged, and lets nobody in.
 */
export async function resealFactors(reseal: Reseal): Promise<void> {
  let after: string | undefined;
  do {
    const from = after === undefined ? {} : { after };
    const ids = await reseal.store.list(indexKeys.users, { limit: sliceSize, ...from });
    if (ids.length > 0) await retryConflicts(() => resealPage(reseal, ids));
    after = ids.length < sliceSize ? undefined : ids.at(-1);
  } while (after !== undefined);
}

/** Undefined: something was changed meanwhile. */
async function resealPage(reseal: Reseal, userIds: readonly string[]): Promise<true | undefined> {
  const records = await reseal.store.get(userIds.map(recordKeys.factors));
  const steps = userIds.flatMap((userId, place): Step[] => {
    const before = unlessDamaged(() => parseEnrolments(records[place]));
    if (before === undefined || before.all.length === 0) return [];
    const after = before.all.map((each) => resealed(reseal, userId, each));
    return [writeEnrolmentsStep(userId, before, after)];
  });
  if (steps.length === 0) return true;
  return (await reseal.store.commit(mergeSteps(...steps))).ok ? true : undefined;
}

/** Every text in a factor's data is a box. The factor itself may not be configured any more. */
function resealed({ from, to }: Reseal, userId: string, enrolment: Enrolment): Enrolment {
  const name = factorSecretName(enrolment.factor, userId);
  const entries = Object.entries(enrolment.data).map(([key, value]): [string, JsonObject[string]] => {
    const plain = typeof value === "string" ? unlessDamaged(() => from.open(name, value)) : undefined;
    return [key, plain === undefined ? value : to.seal(name, plain)];
  });
  return { ...enrolment, data: Object.fromEntries(entries) };
}

function unlessDamaged<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof AuthError && error.code === "unavailable") return undefined;
    throw error;
  }
}

import { AuthError } from "../errors.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { type LoopYielder, sliceSize } from "../scheduling/loop-yielder.ts";
import type { Store, StoredRecord } from "../store.ts";
import type { FactorDemands } from "./demands.ts";
import { type Enrolments, parseEnrolments } from "./enrolments.ts";
import type { Factor } from "./factor.ts";

export interface FactorWarningsOptions {
  readonly store: Pick<Store, "get" | "list">;
  readonly yielder: LoopYielder;
  readonly factors: readonly Factor[];
  readonly demands: Pick<FactorDemands, "list">;
}

/** Ids of factors that the user has and that are not configured any more. */
export function unconfigured(
  factors: readonly Pick<Factor, "id">[],
  { all }: Pick<Enrolments, "all">,
): readonly string[] {
  return all.map(({ factor }) => factor).filter((id) => !factors.some((each) => each.id === id));
}

/** See `SecondFactors.warnings`. */
export async function factorWarnings(options: FactorWarningsOptions): Promise<readonly string[]> {
  const { factors, demands } = options;
  const warnings = factors.flatMap(({ id, warnings: own }) =>
    (own?.() ?? []).map((warning) => `the second factor ${id}: ${warning}`),
  );
  const demanding = await demands.list();
  if (demanding.length > 0 && factors.every(({ backup }) => backup))
    warnings.push(
      `no second factor is configured that people can set up, and these groups demand one, so their members cannot log in: ${demanding.join(", ")}`,
    );
  for (const [id, count] of await usesOfUnconfigured(options)) {
    const [people, they] = count === 1 ? ["person has", "the person"] : ["people have", "they"];
    warnings.push(
      `${count} ${people} set up the second factor ${id}, which is not configured: without another one ${they} cannot log in until it is reset`,
    );
  }
  return warnings;
}

async function usesOfUnconfigured({ store, yielder, factors }: FactorWarningsOptions) {
  const found = new Map<string, number>();
  let after: string | undefined;
  do {
    await yielder.next();
    const from = after === undefined ? {} : { after };
    const ids = await store.list(indexKeys.users, { limit: sliceSize, ...from });
    const records = ids.length === 0 ? [] : await store.get(ids.map(recordKeys.factors));
    for (const record of records)
      for (const id of unconfigured(factors, enrolmentsIn(record))) found.set(id, (found.get(id) ?? 0) + 1);
    after = ids.length < sliceSize ? undefined : ids.at(-1);
  } while (after !== undefined);
  return found;
}

/** None in a damaged record: its user is told of it at the login. */
function enrolmentsIn(record: StoredRecord | undefined): Pick<Enrolments, "all"> {
  try {
    return parseEnrolments(record);
  } catch (error) {
    if (error instanceof AuthError) return { all: [] };
    throw error;
  }
}

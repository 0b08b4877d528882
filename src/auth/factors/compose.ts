import type { Clock } from "../clock/clock.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { LoopYielder } from "../scheduling/loop-yielder.ts";
import type { Store } from "../store.ts";
import type { Budget } from "../throttling/budget.ts";
import { createAssurance } from "./assurance.ts";
import { type DemandTable, followDemands } from "./demand-table.ts";
import { createFactorDemands } from "./demands.ts";
import type { Factor } from "./factor.ts";
import { createFactorProofs } from "./factor-proofs.ts";
import type { FactorTools } from "./factor-type.ts";
import { createFactors, defaultFactors } from "./factor-types.ts";

/** What everything that opens sessions, or changes groups, needs of second factors. */
export function composeFactors(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly yielder: LoopYielder;
  readonly revocation: LogWriter & Pick<Revocation, "revoke" | "onSecurityEvent" | "onRecovery">;
  readonly demandTable: DemandTable;
  readonly tools: FactorTools;
  readonly create: ((tools: FactorTools) => readonly Factor[]) | undefined;
  readonly isDeletedGroup: (groupId: string) => boolean;
  readonly budget: Budget;
}) {
  const { tools, create = (given) => createFactors(defaultFactors, given) } = options;
  const factors = create(tools);
  const assurance = createAssurance({ ...options, factors });
  followDemands({ ...options, table: options.demandTable });
  const demands = createFactorDemands({ ...options, assurance });
  const factorProofs = createFactorProofs({ ...options, factors });
  return { factors, assurance, demands, factorProofs };
}

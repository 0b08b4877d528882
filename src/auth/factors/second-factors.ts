import { AuthError } from "../errors.ts";
import type { Principal } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { askingSessionChecks } from "../sessions/asking-session.ts";
import { mergeSteps, readRecord, retryConflicts, type Step } from "../store.ts";
import { requireUser } from "../users/user-record.ts";
import type { FactorDemands } from "./demands.ts";
import { changeEnrolmentsStep, type Enrolments, readEnrolments } from "./enrolments.ts";
import type { Factor } from "./factor.ts";
import { factorWarnings, unconfigured } from "./factor-warnings.ts";
import {
  createSetupFlows,
  requireFactor,
  requireFit,
  type SetupFlows,
  type SetupFlowsOptions,
} from "./setup-flows.ts";

/** A factor as its user sees it; Home Assistant's MFA module. */
export interface FactorInfo {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
}

/** Second factors of users who are logged in, and what administrators do about them. */
export interface SecondFactors {
  /** Every factor of the configuration, in its order. */
  of(userId: string): Promise<readonly FactorInfo[]>;
  /** The same, with those that the user has and that are not configured any more. Their name is their id. */
  allOf(userId: string): Promise<readonly FactorInfo[]>;
  /** What an operator should know: why people cannot prove, or set up, what is demanded of them. Reads all users. */
  warnings(): Promise<readonly string[]>;
  beginSetup: SetupFlows["begin"];
  advanceSetup: SetupFlows["advance"];
  /**
   * Removes a factor of the principal's user. With the last one its backups go too. Sessions stay. Gives the ids of what
   * was removed. Throws like `beginSetup`, and `disable_failed` for a factor that the user does not have, and for the last one while a group demands
   * one.
   */
  remove(factorId: string, by: Principal): Promise<readonly string[]>;
  /**
   * The same, for an administrator who helps a person that lost a factor: every factor, or this one. A set-up that has begun is
   * over. A person in a group that demands one sets another up at the next login. `by`: who resets, or null for the command line.
   * Of their own factors they need a recent login, as for `remove`. Throws `not_found` for an unknown user, `recent_login_required`.
   */
  reset(userId: string, factorId: string | undefined, by: Principal | null): Promise<readonly string[]>;
  /** The groups whose members must have a second factor. */
  demandingGroups: FactorDemands["list"];
  /** See `FactorDemands.read`. */
  readDemands: FactorDemands["read"];
  /** See `FactorDemands.set`. */
  demand: FactorDemands["set"];
  /** See `FactorDemands.enforceAmong`. */
  enforce: FactorDemands["enforceAmong"];
}

export function createSecondFactors(options: SetupFlowsOptions): SecondFactors {
  const { store, factors, demands, assurance } = options;
  const setup = createSetupFlows(options);
  const infoOf = ({ all }: Enrolments) =>
    factors.map(({ id, name }) => ({ id, name, enabled: all.some(({ factor }) => factor === id) }));
  return {
    of: async (userId) => infoOf(await readEnrolments(store, userId)),
    async allOf(userId) {
      const enrolments = await readEnrolments(store, userId);
      const lost = unconfigured(factors, enrolments).map((id) => ({ id, name: id, enabled: true }));
      return [...infoOf(enrolments), ...lost];
    },
    warnings: () => factorWarnings(options),
    beginSetup: setup.begin,
    advanceSetup: setup.advance,
    async remove(factorId, by) {
      await requireFit(options, by);
      const { id, name } = requireFactor(factors, factorId);
      const failed = (why: string) =>
        new AuthError("disable_failed", { publicMessage: `Cannot disable MFA Module ${id}: ${why}` });
      return await retryConflicts(async () => {
        const demand = await assurance.demandOn(by.userId);
        const { enrolments } = demand;
        if (!enrolments.all.some(({ factor }) => factor === id)) throw failed(`${name} is not set up`);
        const after = without(factors, enrolments, id);
        if (demand.byGroup && after.length === 0) throw failed("a group demands a second factor");
        const asked = { check: await askingSessionChecks(options, by.userId, by.sessionId) };
        const step = mergeSteps(
          { check: demand.checks },
          asked,
          changeEnrolmentsStep(by.userId, enrolments, after),
          endSetupOf(by.userId),
        );
        return (await options.revocation.commit(step)).ok ? removed(enrolments, after) : undefined;
      });
    },
    async reset(userId, factorId, by) {
      if (by?.userId === userId) await options.stepUps.require("second_factors", by);
      return await retryConflicts(async () => {
        const record = await readRecord(store, recordKeys.user(userId));
        if (record === undefined) throw new AuthError("not_found", { publicMessage: "User not found" });
        requireUser(record);
        const enrolments = await readEnrolments(store, userId);
        const after = factorId === undefined ? [] : without(factors, enrolments, factorId);
        if (after.length === enrolments.all.length) {
          await options.store.commit(endSetupOf(userId));
          return [];
        }
        const outcome = await options.revocation.commit(
          mergeSteps(changeEnrolmentsStep(userId, enrolments, after), endSetupOf(userId)),
        );
        return outcome.ok ? removed(enrolments, after) : undefined;
      });
    },
    demandingGroups: demands.list,
    readDemands: demands.read,
    demand: demands.set,
    enforce: demands.enforceAmong,
  };
}

/** A set-up that has begun may show secrets of before, and rest on a factor that is removed. */
function endSetupOf(userId: string): Step {
  return { remove: [recordKeys.factorSetup(userId)] };
}

/** Without this one, and without its backups if it was the last. */
function without(factors: readonly Factor[], { all }: Enrolments, id: string): Enrolments["all"] {
  const isBackup = (factorId: string) => factors.find((each) => each.id === factorId)?.backup === true;
  const rest = all.filter(({ factor }) => factor !== id);
  return rest.some(({ factor }) => !isBackup(factor)) ? rest : [];
}

function removed({ all }: Enrolments, after: Enrolments["all"]): readonly string[] {
  return all.filter((each) => !after.includes(each)).map(({ factor }) => factor);
}

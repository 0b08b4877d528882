import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import { type Checks, type JsonObject, retryConflicts, type Store } from "../store.ts";
import { type Attempt, createAttempts } from "../throttling/attempts.ts";
import type { Budget } from "../throttling/budget.ts";
import { counterOf } from "../throttling/counter-record.ts";
import {
  type Enrolments,
  enrolmentChecks,
  readEnrolments,
  readFactorUses,
  useFactorStep,
} from "./enrolments.ts";
import type { Factor, FactorAbort, FactorContext, FactorForm } from "./factor.ts";

/** What a person has proved with a factor. */
export interface FactorProof {
  readonly kind: "proved";
  /** RFC 8176 values. */
  readonly amr: readonly string[];
  readonly verifiesUser: boolean;
  /** The user's factors: unchanged when something is granted because of the proof. */
  readonly evidence: Checks;
}

/** Proofs of factors that users have set up. */
export interface FactorProofs {
  /** Those of the factors that are configured and that the user has. */
  offered(enrolments: Enrolments): readonly Factor[];
  /** The form of a factor. `not_enrolled`: the user does not have it any more. */
  begin(factor: Factor, context: FactorContext): Promise<FactorForm | FactorAbort>;
  /**
   * Judges input at that form. What can be used once is used up by it, on all nodes. Wrong guesses are counted for the
   * user, across logins and nodes: throws `rate_limited` if none is left, and judges nothing then.
   */
  verify(
    factor: Factor,
    input: Readonly<Record<string, unknown>>,
    state: JsonObject,
    context: FactorContext,
  ): Promise<FactorForm | FactorAbort | FactorProof>;
}

export interface FactorProofsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly factors: readonly Factor[];
  /** Of wrong guesses. */
  readonly budget: Budget;
}

const notEnrolled: FactorAbort = { kind: "abort", reason: "not_enrolled" };

export function createFactorProofs({ store, clock, factors, budget }: FactorProofsOptions): FactorProofs {
  const charge = createAttempts({ store, clock, budget });
  const read = async ({ id }: Factor, { userId }: FactorContext) => {
    const enrolments = await readEnrolments(store, userId);
    const enrolment = enrolments.all.find(({ factor }) => factor === id);
    const uses = await readFactorUses(store, userId);
    return enrolment && { enrolments, enrolment, uses };
  };
  const judge = (factor: Factor, input: Parameters<FactorProofs["verify"]>[1], state: JsonObject) => {
    return async (context: FactorContext) => {
      const found = await read(factor, context);
      if (found === undefined) return notEnrolled;
      const { enrolments, enrolment, uses } = found;
      const enrolled = { data: enrolment.data, used: uses.of(enrolment) };
      const verdict = await factor.verify(input, enrolled, state, context);
      if (verdict.kind !== "proved") return verdict;
      const { used, ...proved } = verdict;
      if (used !== null) {
        const outcome = await store.commit(
          useFactorStep(context.userId, { uses, enrolments }, enrolment, used),
        );
        // A concurrent call used a code of this factor, perhaps this one: judge again.
        if (!outcome.ok) return undefined;
      }
      return { ...proved, evidence: enrolmentChecks(context.userId, enrolments) };
    };
  };
  return {
    offered: ({ all }) => factors.filter(({ id }) => all.some(({ factor }) => factor === id)),
    async begin(factor, context) {
      const found = await read(factor, context);
      if (found === undefined) return notEnrolled;
      const { enrolment, uses } = found;
      return await factor.begin({ data: enrolment.data, used: uses.of(enrolment) }, context);
    },
    async verify(factor, input, state, context) {
      const attempt = factor.guessable ? await charge(counterOf.secondFactor(context.userId)) : undefined;
      const judgeOnce = judge(factor, input, state);
      const verdict = await refundedOnFailure(attempt, () => retryConflicts(() => judgeOnce(context)));
      // Earlier wrong guesses stay: whoever knows the password must not get more of them by each login of the person.
      if (verdict.kind === "proved") await attempt?.refund().catch(() => undefined);
      return verdict;
    },
  };
}

/** A guess that could not be judged is returned. */
async function refundedOnFailure<Result>(
  attempt: Attempt | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AuthError) await attempt?.refund().catch(() => undefined);
    throw error;
  }
}

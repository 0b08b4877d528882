import type { FormField } from "../../../protocol/flow.ts";
import type { JsonObject } from "../store.ts";

/** Whose factor it is, and from where they come. */
export interface FactorContext {
  readonly userId: string;
  /** Display name; shown, never compared. */
  readonly userName: string;
  /** Names this try. Random, and the same for a form and its input. */
  readonly flowId: string;
  /** At a set-up: what the user has of this factor already. */
  readonly previous?: JsonObject | undefined;
  /** What was used of it. */
  readonly previousUsed?: JsonObject | null | undefined;
}

/** A form of a factor. Whoever sends it adds ids and attempts. */
export interface FactorForm {
  readonly kind: "form";
  /** Home Assistant's name of the step, in a set-up of a user who is logged in; `init` by default. */
  readonly stepId?: string | undefined;
  readonly fields: readonly FormField[];
  /** A form with errors costs one of the attempts. */
  readonly errors?: Readonly<Record<string, string>> | undefined;
  readonly placeholders?: Readonly<Record<string, string>> | undefined;
  /** Placeholders that are secret. They are sealed wherever the form is kept. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** Kept for the input; never a secret in clear. */
  readonly state: JsonObject;
}

export interface FactorAbort {
  readonly kind: "abort";
  readonly reason: string;
}

/** What set-up answers with. `data` is what is kept of the factor, with its secrets sealed or hashed. */
export type FactorSetup =
  | FactorForm
  | FactorAbort
  | {
      readonly kind: "done";
      readonly data: JsonObject;
      /** RFC 8176 values of what set-up has proved; absent if it has proved nothing. */
      readonly amr?: readonly string[] | undefined;
      readonly verifiesUser?: boolean | undefined;
    };

/** A factor of a user: what its set-up gave, and what was used of it. */
export interface EnrolledFactor {
  readonly data: JsonObject;
  /** Null: nothing yet. */
  readonly used: JsonObject | null;
}

/** What input at a factor's form comes to. */
export type FactorVerdict =
  | FactorForm
  | FactorAbort
  | {
      readonly kind: "proved";
      /** RFC 8176 values. */
      readonly amr: readonly string[];
      /** It proved by itself who holds it, as with a PIN or a fingerprint: two factors in one. */
      readonly verifiesUser: boolean;
      /**
       * What is used of the factor from now on. It is written before anything is given, if nothing else was used
       * meanwhile. So what can be used once is used once, on all nodes.
       */
      readonly used: JsonObject | null;
    };

/** A kind of second factor, as Home Assistant's MFA modules. It only has steps; it keeps nothing itself. */
export interface Factor {
  /** Home Assistant's module id. */
  readonly id: string;
  readonly type: string;
  readonly name: string;
  /** Wrong inputs that end a login, as in Home Assistant. */
  readonly attempts: number;
  /** Whether its input can be guessed. Then wrong ones are counted for the person, across logins. */
  readonly guessable: boolean;
  /** It stands in for another factor that was lost. It cannot be a user's only one, and nobody is asked to set it up. */
  readonly backup: boolean;
  /** Whether it proves by itself who holds it; see `FactorVerdict`. */
  readonly verifiesUser: boolean;
  /** What an operator should know of its configuration. */
  warnings?(): readonly string[];
  beginSetup(context: FactorContext): Promise<FactorSetup>;
  advanceSetup(
    input: Readonly<Record<string, unknown>>,
    state: JsonObject,
    context: FactorContext,
  ): Promise<FactorSetup>;
  begin(enrolled: EnrolledFactor, context: FactorContext): Promise<FactorForm | FactorAbort>;
  /** `input` fits the fields of the form. */
  verify(
    input: Readonly<Record<string, unknown>>,
    enrolled: EnrolledFactor,
    state: JsonObject,
    context: FactorContext,
  ): Promise<FactorVerdict>;
}

/** Names what a factor's secrets are sealed for: a box of one user or module opens for no other. */
export function factorSecretName(factorId: string, userId: string): string {
  return `factor ${factorId} ${userId}`;
}

import type { FormField } from "../../../protocol/flow.ts";
import type { Peer } from "../model.ts";
import type { JsonObject, Step } from "../store.ts";

/** What a provider's step answers with. The flow engine adds ids, attempts, deadlines, MFA and what follows. */
export type ProviderStep = (
  | {
      readonly kind: "form";
      readonly stepId: string;
      readonly fields: readonly FormField[];
      /** A form with errors costs one of the flow's attempts. */
      readonly errors?: Readonly<Record<string, string>>;
      readonly placeholders?: Readonly<Record<string, string>> | undefined;
      /** Kept in the flow's record for the next step; never a secret in clear. */
      readonly state?: JsonObject;
    }
  /** The person goes to `url`. What comes of it completes the step from outside, see `LoginFlows.completeExternalStep`. */
  | {
      readonly kind: "external";
      readonly stepId: string;
      readonly url: string;
      readonly placeholders?: Readonly<Record<string, string>> | undefined;
      readonly state?: JsonObject;
    }
  /** Something else has to happen first (an approval, a push); it completes the step from outside too. */
  | {
      readonly kind: "progress";
      readonly stepId: string;
      readonly action: string;
      readonly placeholders?: Readonly<Record<string, string>> | undefined;
      readonly state?: JsonObject;
    }
  | { readonly kind: "abort"; readonly reason: string }
  /** The person is who `subject` names at this provider. */
  | {
      readonly kind: "done";
      readonly subject: string;
      readonly amr: readonly string[];
      /** The records that this was decided on: unchanged when the session is made, or the login fails. */
      readonly evidence: NonNullable<Step["check"]>;
    }
) & {
  /** Whom the input was about, for the audit log; the client is not told. */
  readonly userId?: string;
};

export interface ProviderContext {
  /** Names the flow to whoever completes a step of it from outside; tells nobody its secret. */
  readonly flowId: string;
  readonly peer: Peer;
  /** The input's name logged in from this address lately; see `guessedName`. */
  readonly known: boolean;
}

/** A way to log in. Providers only have steps; several of one type are told apart by id. */
export interface LoginProvider {
  readonly type: string;
  readonly id: string | null;
  readonly name: string;
  /** False for a provider that is itself no proof of the person (trusted networks): no MFA is added to it. */
  readonly supportsMfa: boolean;
  /**
   * Of input that is a try at a secret: the login name, in its normal form, that tries are counted for; see
   * `LoginThrottle`. Undefined for other input.
   */
  guessedName?(stepId: string, input: Readonly<Record<string, unknown>>): string | undefined;
  begin(context: ProviderContext): Promise<ProviderStep>;
  /**
   * `input` fits the fields of the form that was sent out; for an `external` or `progress` step it is what its caller in
   * this process gave, and `peer` is that caller's. Unknown person, wrong secret, deactivated and pending user
   * cost the same and read the same.
   */
  advance(
    stepId: string,
    input: Readonly<Record<string, unknown>>,
    state: JsonObject,
    context: ProviderContext,
  ): Promise<ProviderStep>;
}

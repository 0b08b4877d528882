import type { FormField } from "../../../protocol/flow.ts";
import type { Peer } from "../model.ts";
import type { Checks, JsonObject, Step } from "../store.ts";
import type { Person } from "../users/person.ts";

/** What a provider says about a person. It is applied at every login; what is absent stays as it is. */
export interface Profile {
  /** Display name; shown, never compared. */
  readonly name?: string | undefined;
  /** Ids of groups. They replace the user's groups; those that do not exist are left out. */
  readonly groupIds?: readonly string[] | undefined;
  readonly localOnly?: boolean | undefined;
}

/** Who becomes a user by a first login at a provider. */
export interface NewUsers {
  /** False: the user waits for approval. */
  readonly activate: boolean;
  /** Groups of a new user whose profile names none. */
  readonly groups: readonly string[];
}

/** The session that the person has at the provider, if the provider may end it and tell us. */
export interface ProviderSession {
  /** How a session of ours remembers it. Null: the provider names none. */
  readonly name: string | null;
  /**
   * Records that change when it ends: unchanged when a session of ours is opened, also by a code, or the login
   * fails.
   */
  readonly open: Checks;
}

/** A form that a provider sends. */
export type AskingForm = Extract<ProviderStep, { readonly kind: "form" }>;

/** What a provider's step answers with. The flow engine adds ids, attempts, deadlines, MFA and what follows. */
export type ProviderStep = (
  | {
      readonly kind: "form";
      readonly stepId: string;
      readonly fields: readonly FormField[];
      /** A form with errors costs one of the flow's attempts. */
      readonly errors?: Readonly<Record<string, string>>;
      readonly placeholders?: Readonly<Record<string, string>> | undefined;
      /**
       * What the form may be answered with in place of its fields: `{mechanism, initial_response}`, with one of these
       * mechanisms.
       */
      readonly mechanisms?: readonly string[] | undefined;
      /** Of a refused proof: the password may be right nevertheless, and the fields check it. */
      readonly mayBeSent?: true | undefined;
      /** Kept in the flow's record for the next step; never a secret in clear. */
      readonly state?: JsonObject;
    }
  /**
   * The person goes to `url`. What comes of it completes the step from outside, see
   * `LoginFlows.completeExternalStep`.
   */
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
      /**
       * When the person proved it, ms, if that was before: a provider may know them by a session that they have there.
       * Absent: now.
       */
      readonly authenticatedAt?: number | undefined;
      /**
       * What the provider carries out only if the login has proved all that is demanded, see `LoginProvider.conclude`. The
       * flow's record keeps it sealed. Of the answer to a form, not of a step that is completed from outside.
       */
      readonly pending?: JsonObject | undefined;
      /** Of the secret that was proved; see `LoginProvider.secretVersion`. */
      readonly secretVersion?: string | undefined;
      /** It has proved two factors by itself. */
      readonly provesTwo?: true | undefined;
      readonly profile?: Profile | undefined;
      /**
       * The user that a credential nobody has yet is linked to; for providers that authenticate existing users
       * only. Absent: the first login makes a user, if the provider has `newUsers`.
       */
      readonly linkTo?: string | undefined;
      readonly providerSession?: ProviderSession | undefined;
      /** Who has the credential, if the provider has read that to judge. Absent: it is read now. */
      readonly asRead?: Person | undefined;
      /** The provider's own proof for the client, which goes out with every step that follows. */
      readonly serverFinal?: string | undefined;
      /** What is sent, with an error, if this person may not log in after all. Default: the form that was answered. */
      readonly form?: AskingForm | undefined;
      /** The records that this was decided on: unchanged when the session is made, or the login fails. */
      readonly evidence: Checks;
    }
) & {
  /** Whom the input was about, for the audit log; the client is not told. */
  readonly userId?: string;
};

/** A login that has proved all that is demanded. */
export interface ConcludedLogin {
  readonly evidence: Checks;
  readonly peer: Peer;
  /** Committed with what the provider does. */
  readonly also: Step;
}

export interface ProviderContext {
  /** Names the flow to whoever completes a step of it from outside; tells nobody its secret. */
  readonly flowId: string;
  readonly peer: Peer;
  /** This name logged in on this device before, or from this address lately; see `guessedName`. */
  readonly known: boolean;
  /** The device that the input's name logged in on before, if it has shown that. */
  readonly device?: string | undefined;
  /** The flow logs somebody in, so a forgotten password may be replaced. False where it proves a person once more, or links. */
  readonly mayReset?: boolean | undefined;
}

/** A way to log in. Providers only have steps; several of one type are told apart by id. */
export interface LoginProvider {
  readonly type: string;
  readonly id: string | null;
  readonly name: string;
  /**
   * False for a provider that is itself no proof of the person (trusted networks). A second factor is demanded all the same,
   * and only one that verifies its holder meets it.
   */
  readonly supportsMfa: boolean;
  /**
   * True if whoever holds the device would pass too: a proxy that remembers the person vouches. The login counts as a first
   * factor if `supportsMfa` says so, but nobody steps up with it, and `amr` is empty.
   */
  readonly vouchesOnly?: true | undefined;
  /** Whether it knows a user who has no credential of it. Absent: never. */
  knows?(userId: string): Promise<boolean>;
  /** True if its credentials are no way in to rely on, because what they need may be removed without them. */
  readonly isUnreliable?: true | undefined;
  /**
   * Lower-case names of headers of a socket's upgrade that it reads, see `Peer.upgrade`. No other header is kept.
   */
  readonly upgradeHeaders?: readonly string[] | undefined;
  /** Absent: a credential that nobody has yet lets nobody in. */
  readonly newUsers?: NewUsers | undefined;
  /**
   * Whether this peer may log in here. Asked for the list of providers and before every step. Absent: what
   * `admits` says. Must not throw.
   */
  isOffered?(peer: Peer): boolean;
  /**
   * Whether this peer may use a session that this provider gave. Asked whenever a session is opened or refreshed,
   * or its token authenticates a socket. Absent: everybody. Must not throw.
   */
  admits?: ((peer: Peer) => boolean) | undefined;
  /**
   * Of input that is a try at a secret: the login name, in its normal form, that tries are counted for; see
   * `LoginThrottle`. Undefined for other input. `state` is what the provider gave the step.
   */
  guessedName?(
    stepId: string,
    input: Readonly<Record<string, unknown>>,
    state?: JsonObject,
  ): string | undefined;
  /**
   * Names the secret that the login name of such input has now: after a change it is another one. Undefined for a name that
   * nobody has. Absent: the provider does not know when secrets change.
   */
  secretVersion?(
    stepId: string,
    input: Readonly<Record<string, unknown>>,
    state: JsonObject,
  ): Promise<string | undefined>;
  /**
   * True for input that costs a few reads and hashes to judge, and changes nothing that may not happen twice: parallel
   * calls with it are all judged, and one of them is told. Absent: false for all input.
   */
  isJudgedAtOnce?(stepId: string, input: Readonly<Record<string, unknown>>): boolean;
  /**
   * What is wrong with its configuration and only the store shows, in words for the operator. Asked at the start.
   */
  warnings?(): Promise<readonly string[]>;
  /**
   * Carries out the `pending` of its step, in one commit, right before the login's end or its first second factor is set up. Gives what the login is decided on from then on,
   * in place of `evidence`; undefined if something has changed: then nothing is done, and the login is refused.
   */
  conclude?(pending: JsonObject, login: ConcludedLogin): Promise<Checks | undefined>;
  begin(context: ProviderContext): Promise<ProviderStep>;
  /**
   * `input` fits the fields of the form that was sent out; for an `external` or `progress` step it is what its
   * caller in this process gave, and `peer` is that caller's. Unknown person, wrong secret, deactivated and
   * pending user cost the same and read the same.
   */
  advance(
    stepId: string,
    input: Readonly<Record<string, unknown>>,
    state: JsonObject,
    context: ProviderContext,
  ): Promise<ProviderStep>;
}

import type { AbortStep, FlowStep, Handler } from "../../../protocol/flow.ts";
import type { Peer } from "../model.ts";

export interface StartLogin {
  readonly handler: Handler;
  readonly purpose: "session" | "code";
  readonly clientId: string | null;
  readonly clientName: string | null;
  readonly redirectUri: string | null;
  readonly codeChallenge: string | null;
}

/** The socket that waits for a flow's answers, told apart by identity. */
export type FlowHolder = object;

export interface FlowAnswer {
  /** The wire's flow object, ready to be sent. */
  readonly step: FlowStep;
  /** Held by the connection, shown to the client once (on start and resume), asked for by every further call. */
  readonly flowSecret: string;
  /** Whom the input was about, for the audit log; the client is not told. */
  readonly userId?: string;
}

/**
 * The login-flow engine (D6): flows are records in the store, so any node continues them; a step is a compare-and-set;
 * ids, validation against the form that was sent out, attempts, deadline and MFA are the engine's.
 */
export interface LoginFlows {
  /** Providers that can be used from this address. */
  providers(
    peer: Peer,
  ): readonly { readonly type: string; readonly id: string | null; readonly name: string }[];
  /**
   * Client id and redirect URI are checked here, before anybody types a password. `holder` waits for the flow's answers,
   * until `left`; without one nobody does. Throws `invalid_handler`, `invalid_client`, `invalid_redirect_uri`,
   * `invalid_format` (the code challenge), `onboarding_required`.
   */
  start(request: StartLogin, peer: Peer, holder?: FlowHolder): Promise<FlowAnswer>;
  /**
   * Every call is a failed attempt until it is known to be none; five end the flow (abort `too_many_retry`). Past its
   * deadline the flow ends with abort `login_expired`, for who comes within a minute. Throws `invalid_flow` (unknown,
   * finished, long expired, another's secret: alike), `invalid_format` (input does not fit the form; the flow stays,
   * no attempt is charged), `overloaded` (the KDF queue is full; the same), `rate_limited` (no guess is left for the account
   * or the address; the same), `conflict` (two steps at once).
   */
  advance(
    request: {
      readonly flowId: string;
      readonly flowSecret: string;
      readonly input: Readonly<Record<string, unknown>>;
    },
    peer: Peer,
  ): Promise<FlowAnswer>;
  /**
   * The step that is waiting, on another socket or node; abort `login_expired` as above. `holder` waits for the flow
   * instead of whoever did. Throws `invalid_flow`.
   */
  resume(
    request: { readonly flowId: string; readonly flowSecret: string },
    peer: Peer,
    holder?: FlowHolder,
  ): Promise<FlowAnswer>;
  cancel(request: { readonly flowId: string; readonly flowSecret: string }): Promise<AbortStep>;
  /**
   * The holder is gone. The flow can be resumed until its deadline, or until newer ones that were left need its place.
   * Without effect when another holder has resumed it.
   */
  left(flowId: string, holder: FlowHolder): void;
}

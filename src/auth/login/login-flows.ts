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

export interface FlowAnswer {
  /** The wire's flow object, ready to be sent. */
  readonly step: FlowStep;
  /** Held by the connection, shown to the client once (on start and resume), asked for by every further call. */
  readonly flowSecret: string;
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
   * Client id and redirect URI are checked here, before anybody types a password. Throws `invalid_handler`,
   * `invalid_client`, `invalid_redirect_uri`, `invalid_format` (the code challenge), `onboarding_required`,
   * `too_many_flows`.
   */
  start(request: StartLogin, peer: Peer): Promise<FlowAnswer>;
  /**
   * Every call is a failed attempt until it is known to be none; five end the flow (abort `too_many_retry`). Past its
   * deadline the flow ends with abort `login_expired`, for who comes within a minute. Throws `invalid_flow` (unknown,
   * finished, long expired, another's secret: alike), `invalid_format` (input does not fit the form; the flow stays,
   * no attempt is charged), `overloaded` (the KDF queue is full; the same), `conflict` (two steps at once).
   */
  advance(
    request: {
      readonly flowId: string;
      readonly flowSecret: string;
      readonly input: Readonly<Record<string, unknown>>;
    },
    peer: Peer,
  ): Promise<FlowAnswer>;
  /** The step that is waiting, on another socket or node; abort `login_expired` as above. Throws `invalid_flow`. */
  resume(request: { readonly flowId: string; readonly flowSecret: string }, peer: Peer): Promise<FlowAnswer>;
  cancel(request: { readonly flowId: string; readonly flowSecret: string }): Promise<AbortStep>;
  /**
   * The flow's socket is gone. It can be resumed until its deadline, or until its address has all its places taken and
   * starts another one.
   */
  left(flowId: string): void;
}

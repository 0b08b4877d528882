import type { Handler } from "../../protocol/flow.ts";
import type { StepUpRequired } from "../../protocol/frames.ts";
import { LoginFlow, type LoginHost } from "./login-flow.ts";
import type { MessageSocket } from "./message-socket.ts";

/**
 * Calls wait until the person has logged in again. Start a login at one of `providers` and show its steps, as those of any
 * login. Once it is done, the calls resolve. If it ends otherwise, they reject with `step_up_failed`.
 */
export interface StepUpRequest {
  /** The least assurance level that the login must have. */
  readonly acr: StepUpRequired["acr"];
  /** How old a login may be for the first of these calls, in seconds. */
  readonly maxAge: number;
  /** The ways in which this user can log in again. */
  readonly providers: readonly StepUpRequired["providers"][number][];
  /** When the calls are given up, ms since the epoch. */
  readonly endsAt: number;
  /**
   * Starts a login on the client's own socket; another start replaces it. `resume` after a lost socket does not exist: the
   * calls have ended then. Rejects with the server's code, or `connection_lost`.
   */
  start(handler: Handler): Promise<LoginFlow>;
  /** The person does not log in. Without effect if the step-up is over. Never rejects. */
  cancel(): Promise<void>;
}

export type StepUpHandler = (request: StepUpRequest) => void | Promise<void>;

export type StepUpHost = Pick<LoginHost, "timeoutMs" | "backoff" | "device" | "proofs" | "tokens">;

/** Tells the handler once of each step-up of the socket. If it fails, the calls reject with `step_up_failed` and its error as `cause`. */
export function watchStepUps(socket: MessageSocket, handler: StepUpHandler, host: StepUpHost): void {
  let told: string | undefined;
  socket.onStepUp = (required) => {
    if (told === required.flow_id) return;
    told = required.flow_id;
    socket.stepUpFault = undefined;
    const request = requestOf(socket, required, host);
    void Promise.resolve()
      .then(() => handler(request))
      .catch((error: unknown) => {
        socket.stepUpFault = error;
        void request.cancel();
      });
  };
}

const nothing = () => {};

function requestOf(socket: MessageSocket, required: StepUpRequired, host: StepUpHost): StepUpRequest {
  const { flow_id, acr, max_age, providers, expires_in } = required;
  return {
    acr,
    maxAge: max_age,
    providers,
    endsAt: Date.now() + expires_in * 1000,
    start: (handler) =>
      LoginFlow.start(
        {
          ...host,
          messages: "auth/step_up",
          open: async () => socket,
          release: nothing,
          granted: async () => {},
        },
        { flow_id, handler },
      ),
    cancel: () =>
      socket.request({ type: "auth/step_up/cancel", flow_id }, host.timeoutMs).result.then(nothing, nothing),
  };
}

import { type Feature, features } from "../../protocol/features.ts";
import type { MessageSocket } from "./message-socket.ts";
import { type StepUpHandler, type StepUpHost, watchStepUps } from "./step-up.ts";

export interface Abilities extends StepUpHost {
  /** There is a refresh token. */
  readonly refreshes: boolean;
  /** The application lets people log in again. */
  readonly onStepUp: StepUpHandler | undefined;
}

/** Tells the server what this client can do. Rejects as a request does. */
export async function negotiate(
  socket: MessageSocket,
  { refreshes, onStepUp, ...host }: Abilities,
): Promise<void> {
  if (onStepUp !== undefined) watchStepUps(socket, onStepUp, host);
  const wanted: Partial<Record<Feature, number>> = {
    [features.coalesce_messages]: 1,
    [features.auth_suspended]: 1,
    ...(onStepUp === undefined ? {} : { [features.step_up]: 1 }),
    ...(refreshes ? { [features.auth_expiring]: 1 } : {}),
  };
  await socket.request({ type: "supported_features", features: wanted }, host.timeoutMs).result;
}

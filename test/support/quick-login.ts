import { type Message, openSocket, type SocketClient, type SocketClientOptions } from "./socket-client.ts";

/** What came of a login on a socket of its own: the last step, or the error of the call. */
export interface QuickLogin {
  readonly socket: SocketClient;
  readonly step: Message;
  /** The user's id, if the socket is authenticated. */
  me(): Promise<Message>;
}

/** Starts a login, and answers its form if there is input. */
export async function quickLogin(
  port: number,
  handler: readonly [string, string | null],
  input?: Readonly<Record<string, unknown>>,
  options: SocketClientOptions = {},
): Promise<QuickLogin> {
  const socket = await openSocket(port, options);
  const started = await socket.call("auth/login/start", { handler });
  const me = async () => (await socket.call("auth/current_user")).result as Message;
  const first = (started.result ?? started.error) as Message;
  if (input === undefined || started.success !== true || first.type !== "form")
    return { socket, step: first, me };
  const answer = await socket.call("auth/login/step", { flow_id: first.flow_id, user_input: input });
  return { socket, step: (answer.result ?? answer.error) as Message, me };
}

/** A step without what differs between two flows. */
export function withoutFlow({ flow_id: _, ...step }: Message): Message {
  return step;
}

import type { ChaosNode } from "./chaos-node.ts";
import { ChaosSocket, type Message } from "./chaos-socket.ts";
import { type Right, saysEnded } from "./history.ts";
import type { RunContext } from "./run-context.ts";
import type { SessionClient } from "./session-client.ts";

/** Requests of one socket that may wait for their answers: fewer than a suspended socket may send. */
const maxPending = 24;

/** An authenticated socket that records every frame. */
export interface RecordedSocket {
  readonly node: string;
  readonly socket: ChaosSocket;
  /** Sends a command, unless too many wait already. Its answer counts as a use. */
  use(what: string): void;
  /** Sends an administrator's command. Its answer counts as a use of that right, unless it is an error. */
  useAsAdmin(what: string): void;
}

/** A public address. */
export const remoteAddress = "203.0.113.9";

/**
 * Presents one of the session's tokens at a node, from the local or a remote address. Undefined if there is no
 * `auth_ok`.
 */
export async function authenticate(
  context: RunContext,
  node: ChaosNode,
  client: SessionClient,
  how: { readonly actor: string; readonly token: string; readonly remote?: boolean },
): Promise<RecordedSocket | undefined> {
  const name = context.socketName();
  const needs: readonly Right[] = how.remote === true ? ["remote"] : [];
  const subject = { ...client.subject, node: node.name, socket: name, needs };
  const socket = await ChaosSocket.open(node.port, how.remote === true ? remoteAddress : undefined);
  if (socket === undefined) return undefined;
  const done = context.history.begin(how.actor, { op: "authenticate", ...subject });
  const reception = await socket.authenticate(how.token);
  if (reception.kind === "ok") {
    done("ok");
    return recordSocket(context, socket, { ...subject, client, actor: how.actor });
  }
  if (saysEnded(reception.code)) done("fail", { dead: true });
  else done("info");
  socket.drop();
  return undefined;
}

interface Watched {
  readonly user: string;
  readonly session: string;
  readonly node: string;
  readonly socket: string;
  readonly needs?: readonly Right[];
  readonly client: SessionClient;
  readonly actor: string;
}

/** Every data frame counts as a use, solicited or not, also an error. Pongs and suspension messages do not. */
export function recordSocket(context: RunContext, socket: ChaosSocket, about: Watched): RecordedSocket {
  const { client, actor, ...subject } = about;
  const { history } = context;
  const administers = { ...subject, needs: [...(subject.needs ?? []), "admin" as const] };
  socket.onMessage = (message) => {
    // The only events that are subscribed to here are an administrator's.
    if (message.type === "event") history.tell(actor, { op: "use", what: "event", ...administers });
  };
  void socket.closed.then((code) => {
    history.tell(actor, { op: "close", code, dead: saysEnded(code), ...subject });
    if (saysEnded(code)) client.hasEnded = true;
  });
  return {
    node: subject.node,
    socket,
    use(what) {
      if (!socket.isOpen || socket.pending >= maxPending) return;
      const done = history.begin(actor, { op: "use", what, ...subject });
      void socket.request(what).then((answer) => done(answer.kind === "answer" ? "ok" : "info"));
    },
    useAsAdmin(what) {
      if (!socket.isOpen || socket.pending >= maxPending) return;
      const done = history.begin(actor, { op: "use", what, ...administers });
      void socket.request(what).then((answer) => {
        const carriedOut = answer.kind === "answer" && answer.message.success === true;
        done(carriedOut ? "ok" : "info");
      });
    },
  };
}

export function resultOf<T>(message: Message): T | undefined {
  return message.success === true ? (message.result as T) : undefined;
}

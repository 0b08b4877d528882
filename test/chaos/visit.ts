import type { ChaosNode } from "./chaos-node.ts";
import { ChaosSocket, type Message } from "./chaos-socket.ts";
import { type Right, saysDead } from "./history.ts";
import type { Holding } from "./people.ts";
import type { Scene } from "./scene.ts";

/** Requests of one socket that may wait for their answers: fewer than a suspended socket may send. */
const mostPending = 24;

/** An authenticated socket that records every frame. */
export interface Visit {
  readonly node: string;
  readonly socket: ChaosSocket;
  /** Sends a command, unless too many wait already. Its answer counts as a use. */
  use(what: string): void;
  /** Sends an administrator's command. Its answer counts as a use of that right, unless it is an error. */
  administer(what: string): void;
}

/** A public address. */
export const elsewhere = "203.0.113.9";

/**
 * Presents one of the session's tokens at a node, from the local or a remote address. Undefined if there is no
 * `auth_ok`.
 */
export async function enter(
  scene: Scene,
  node: ChaosNode,
  holding: Holding,
  how: { readonly actor: string; readonly token: string; readonly remote?: boolean },
): Promise<Visit | undefined> {
  const name = scene.socketName();
  const needs: readonly Right[] = how.remote === true ? ["remote"] : [];
  const subject = { ...holding.subject, node: node.name, socket: name, needs };
  const socket = await ChaosSocket.open(node.port, how.remote === true ? elsewhere : undefined);
  if (socket === undefined) return undefined;
  const done = scene.history.begin(how.actor, { op: "authenticate", ...subject });
  const reception = await socket.authenticate(how.token);
  if (reception.kind === "ok") {
    done("ok");
    return watched(scene, socket, { ...subject, holding, actor: how.actor });
  }
  if (saysDead(reception.code)) done("fail", { dead: true });
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
  readonly holding: Holding;
  readonly actor: string;
}

/** Every data frame counts as a use, solicited or not, also an error. Pongs and suspension messages do not. */
export function watched(scene: Scene, socket: ChaosSocket, about: Watched): Visit {
  const { holding, actor, ...subject } = about;
  const { history } = scene;
  const administers = { ...subject, needs: [...(subject.needs ?? []), "admin" as const] };
  socket.onMessage = (message) => {
    // The only events that are subscribed to here are an administrator's.
    if (message.type === "event") history.tell(actor, { op: "use", what: "event", ...administers });
  };
  void socket.closed.then((code) => {
    history.tell(actor, { op: "close", code, dead: saysDead(code), ...subject });
    if (saysDead(code)) holding.isOver = true;
  });
  return {
    node: subject.node,
    socket,
    use(what) {
      if (!socket.isOpen || socket.pending >= mostPending) return;
      const done = history.begin(actor, { op: "use", what, ...subject });
      void socket.request(what).then((answer) => done(answer.kind === "answer" ? "ok" : "info"));
    },
    administer(what) {
      if (!socket.isOpen || socket.pending >= mostPending) return;
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

import type { ChaosNode } from "../chaos-node.ts";
import type { ChaosSocket } from "../chaos-socket.ts";
import type { Receipt } from "../history.ts";
import type { Random } from "../random.ts";
import { type RunContext, waitOrStop } from "../run-context.ts";
import { logIn } from "./login-actor.ts";

const topic = "chaos/temperature";

/** At each node a socket that reads topics, and another one when it is gone. */
export async function readTopics(context: RunContext, random: Random): Promise<void> {
  await Promise.all(
    context.nodes.map(async (node) => {
      while (!context.stopSignal.aborted) {
        const socket = await openReader(context, node);
        if (socket !== undefined) await Promise.race([socket.closed, waitOrStop(60_000, context.stopSignal)]);
        socket?.drop();
        await waitOrStop(random.between(500, 1_500), context.stopSignal);
      }
    }),
  );
}

/** Every message that arrives is a use of the right to read it. Undefined if the socket cannot subscribe. */
export async function openReader(context: RunContext, node: ChaosNode): Promise<ChaosSocket | undefined> {
  const entered = await logIn(context, node, context.reader);
  if (entered === undefined) return undefined;
  const { client, recorded } = entered;
  const { socket } = recorded;
  const about = { ...client.subject, node: node.name, socket: "reader", needs: ["topic"] } as const;
  socket.onMessage = ({ type, event }) => {
    const isMessage = type === "event" && typeof event === "object" && event !== null && "topic" in event;
    if (isMessage) context.history.tell("readers", { op: "use", what: "topic", ...about });
  };
  const answer = await socket.request("gatehouse/topics/subscribe", { pattern: "chaos/#" }, 5_000);
  if (answer.kind === "answer" && answer.message.success === true) return socket;
  socket.drop();
  return undefined;
}

/** The owner publishes at every node, the next message after the answer to the one before. */
export async function publishRepeatedly(context: RunContext): Promise<void> {
  await Promise.all(context.nodes.map((node) => publishAt(context, node)));
}

export async function publishAt(context: RunContext, node: ChaosNode): Promise<void> {
  for (let n = 0; !context.stopSignal.aborted; n += 1) {
    await context.owner.command(node, "gatehouse/topics/publish", { topic, data: n }, 1_000);
    await waitOrStop(15, context.stopSignal);
  }
}

/** Once in a run. */
export async function takeTopics(context: RunContext, random: Random): Promise<void> {
  await waitOrStop(random.between(1_500, 5_000), context.stopSignal);
  if (!context.stopSignal.aborted) await takeTopicRight(context, random.pick(context.nodes));
}

/** The readers' group loses its topics. True if that was acknowledged. */
export async function takeTopicRight(context: RunContext, node: ChaosNode): Promise<boolean> {
  const group_id = context.readersGroup;
  const about = { op: "narrow", user: context.reader.id, node: node.name, takes: "topic" } as const;
  const read = await context.owner.command(node, "gatehouse/groups/get", { group_id }, 2_000);
  const found =
    read.kind === "answer" ? (read.message.result as { version?: number } | undefined) : undefined;
  if (found?.version === undefined) return false;
  const done = context.history.begin("narrower", about);
  const change = { group_id, version: found.version, policy: {} };
  const answer = await context.owner.command(node, "gatehouse/groups/update", change);
  const isDone = answer.kind === "answer" && answer.message.success === true;
  if (!isDone) {
    done("info");
    return false;
  }
  const { revocation } = answer.message.result as { readonly revocation: Receipt };
  done("ok", { receipt: revocation });
  return true;
}

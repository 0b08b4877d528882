import { randomUUID } from "node:crypto";
import { Cluster, Command, type Redis, ReplyError } from "ioredis";

import type { RedisClient } from "./client.ts";

/** How often a connection must prove that its replies still match its commands, ms. */
const everyMs = 1_000;

/**
 * Replaces connections whose replies no longer match their commands. Redis replies have no ids: only their order
 * assigns them to commands. If a reply, or bytes of one, got lost on the way, each later command gets another one's
 * reply, or the parser waits for an end that never comes. Since bytes still arrive, the connection does not look
 * silent. So once a second each connection must echo a unique text. If another reply comes, or none within `timeoutMs`,
 * the connection is destroyed. Its client then reconnects if it is set up to.
 *
 * NOT prevented: between the loss and the next check a command may get the reply of another one of the same kind.
 */
export function watchReplies(client: RedisClient, timeoutMs: number): void {
  if (client instanceof Cluster) client.on("+node", (node: Redis) => watchConnection(node, timeoutMs));
  else watchConnection(client, timeoutMs);
}

function watchConnection(client: Redis, timeoutMs: number): void {
  let timer: NodeJS.Timeout | undefined;
  const stop = () => clearInterval(timer);
  client.on("ready", () => {
    stop();
    const { stream } = client;
    let isAsking = false;
    timer = setInterval(() => {
      if (isAsking || client.status !== "ready" || client.stream !== stream) return;
      isAsking = true;
      void repliesMatch(client, timeoutMs).then((inStep) => {
        isAsking = false;
        if (!inStep)
          stream.destroy(new Error("replies of the Redis connection no longer match its commands"));
      });
    }, everyMs).unref();
  });
  client.on("close", stop);
  client.on("end", stop);
}

/** Never rejects. An error reply proves nothing: Redis refuses PING while it loads, and to some users. */
async function repliesMatch(client: Redis, timeoutMs: number): Promise<boolean> {
  const text = randomUUID();
  const ping = new Command("ping", [text], { replyEncoding: "utf8" });
  // A deadline of its own: a slow answer is not a wrong one.
  ping.setTimeout(timeoutMs);
  try {
    return (await client.sendCommand(ping)) === text;
  } catch (error) {
    return error instanceof ReplyError || !(error instanceof Error) || error.message !== "Command timed out";
  }
}

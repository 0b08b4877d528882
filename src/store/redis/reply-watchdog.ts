import { randomUUID } from "node:crypto";
import { Cluster, Command, type Redis, ReplyError } from "ioredis";

import type { RedisClient } from "./client.ts";

/** How often a connection has to show that its replies still belong to its commands. */
const everyMs = 1_000;

/**
 * Replaces connections that have lost step. Replies have no ids: they belong to commands by their order alone. When a
 * reply, or bytes of one, got lost on the way, each later command gets the reply of another one, or the parser waits for
 * an end that never comes; and since bytes do arrive, the connection does not look silent. So each connection is asked
 * once a second for a text made for that question. Where another reply comes, or none within `patienceMs`, the connection
 * is destroyed, and its client connects anew if it does so at all.
 *
 * NOT prevented: between the loss and the next question a command may get the reply of another one of the same kind.
 */
export function watchReplies(client: RedisClient, patienceMs: number): void {
  if (client instanceof Cluster) client.on("+node", (node: Redis) => watchConnection(node, patienceMs));
  else watchConnection(client, patienceMs);
}

function watchConnection(client: Redis, patienceMs: number): void {
  let timer: NodeJS.Timeout | undefined;
  const stop = () => clearInterval(timer);
  client.on("ready", () => {
    stop();
    const { stream } = client;
    let isAsking = false;
    timer = setInterval(() => {
      if (isAsking || client.status !== "ready" || client.stream !== stream) return;
      isAsking = true;
      void isInStep(client, patienceMs).then((inStep) => {
        isAsking = false;
        if (!inStep) stream.destroy(new Error("the connection to Redis has lost step"));
      });
    }, everyMs).unref();
  });
  client.on("close", stop);
  client.on("end", stop);
}

/** Never rejects. An error that Redis replied says nothing: it refuses PING while it loads, or to some users. */
async function isInStep(client: Redis, patienceMs: number): Promise<boolean> {
  const text = randomUUID();
  const ping = new Command("ping", [text], { replyEncoding: "utf8" });
  // A deadline of its own: a slow answer is no wrong one.
  ping.setTimeout(patienceMs);
  try {
    return (await client.sendCommand(ping)) === text;
  } catch (error) {
    return error instanceof ReplyError || !(error instanceof Error) || error.message !== "Command timed out";
  }
}

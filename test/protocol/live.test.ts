import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type RunningGateway, startGateway, transportNames } from "../support/gateway.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";
import { within } from "../support/within.ts";
import {
  type CodecName,
  framesOf,
  isPlayable,
  loadVectors,
  type Observed,
  type Phase,
  problemsOf,
  type Vector,
} from "./vectors.ts";

const codecs: readonly CodecName[] = ["json", "msgpack"];
const playable = loadVectors().filter(isPlayable);
/** Vectors that are played side by side, each on a socket of its own. */
const atOnce = 16;

describe.each(transportNames)(
  "a live gateway on %s reacts to the golden vectors as documented",
  (transport) => {
    let gateway: RunningGateway;
    let token: string;

    beforeAll(async () => {
      gateway = await startGateway({ store: "embedded", transport });
      const { accessToken } = await gateway.authority.sessions.openLongLived({
        userId: gateway.owner.id,
        clientName: "vectors",
        clientIcon: null,
        days: 1,
      });
      token = accessToken;
    });
    afterAll(() => gateway.stop());

    it.each(
      codecs.flatMap((codec) => (["before_auth", "after_auth"] as const).map((phase) => ({ codec, phase }))),
    )("in $codec, $phase", async ({ codec, phase }) => {
      const vectors = playable.filter((each) => each.phase === phase || each.phase === "any");
      const problems: string[] = [];
      for (let at = 0; at < vectors.length; at += atOnce) {
        await Promise.all(
          vectors.slice(at, at + atOnce).map(async (vector) => {
            for (const problem of await play(vector, codec, phase))
              problems.push(`${vector.file}: ${vector.name}: ${problem}`);
          }),
        );
      }
      expect(problems).toEqual([]);
    });

    async function play(vector: Vector, codec: CodecName, phase: Phase): Promise<readonly string[]> {
      const frames = framesOf(vector, codec);
      if (frames === undefined) return [];
      const client = await openSocket(gateway.port, { codec });
      try {
        if (phase === "after_auth") await client.authenticate(token);
        else await client.next();
        const before = vector.first?.length ?? 0;
        for (const frame of frames.slice(0, before)) {
          client.sendFrame(frame);
          await client.next();
        }
        for (const frame of frames.slice(before)) client.sendFrame(frame);
        return problemsOf(vector, await observe(client, vector));
      } finally {
        client.terminate();
      }
    }
  },
);

/** Reads on to the close where one is expected, else to the first answer. */
async function observe(client: SocketClient, { expect: expected }: Vector): Promise<Observed> {
  const reaction = "accepted" in expected ? expected.answer : expected;
  const closes = reaction !== undefined && "close" in reaction;
  const messages: Message[] = [];
  try {
    do messages.push(...([await client.next()].flat() as Message[]));
    while (closes);
    return { messages, closeCode: undefined };
  } catch {
    const { code } = await within(client.closed, "the close");
    return { messages, closeCode: code };
  }
}

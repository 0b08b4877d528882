import { describe, expect, it } from "vitest";
import type { MemoryTransport } from "../../src/transport/memory.ts";
import { createMemoryTransport } from "../../src/transport/memory.ts";
import { transportContract } from "../contract/transport.ts";
import { type Gate, maxBodyBytes, Rig, type TransportUnderTest } from "../contract/transport-rig.ts";
import { Events } from "../support/events.ts";
import { type Ending, type FrameClient, type FrameClientOptions, Refused } from "../support/frame-client.ts";
import { reply, textOf } from "../support/reply.ts";

/** One for the file, as there is one network for the others; `create` only says who hears of faults. */
function inProcess(): TransportUnderTest {
  let report: (error: unknown) => void = () => undefined;
  const transport = createMemoryTransport({ onError: (error) => report(error) });
  return {
    name: "memory",
    create: (onError) => {
      report = onError;
      return transport;
    },
    connect: async (gate, options) => connectTo(transport, gate, options),
    capabilities: {
      tcp: false,
      explainsBrokenFrames: true,
      destroysWithinMs: 2000,
      answersUnparsable: true,
      pipelining: true,
      keepsConnections: true,
    },
    skip: [],
  };
}

function connectTo(transport: MemoryTransport, gate: Gate, options: FrameClientOptions = {}): FrameClient {
  const frames = new Events<string | Uint8Array>("a frame");
  let ended: (ending: Ending) => void = () => undefined;
  const closed = new Promise<Ending>((resolve) => {
    ended = resolve;
  });
  const connection = transport.connect(
    {
      message: (frame) => frames.push(frame),
      drained: () => undefined,
      ping: () => undefined,
      pong: () => undefined,
      fragments: () => undefined,
      closed: (code, reason) => ended({ code, reason }),
    },
    { port: gate.port, ...options },
  );
  if (!connection.accepted) throw new Refused(connection.status, connection.body, connection.headers);
  const { peer, subprotocol } = connection;
  return {
    subprotocol,
    frames,
    closed,
    send: (frame) => void peer.send(frame),
    ping: () => peer.ping(),
    close: (code, reason) => peer.close(code, reason),
    terminate: () => peer.terminate(),
    pause: () => peer.pause(),
    resume: () => peer.resume(),
  };
}

const subject = inProcess();
transportContract(subject);

describe("memory transport over HTTP", () => {
  it("answers as the handler does, and 413 above the limit", async () => {
    const rig = new Rig(subject);
    const gate = await rig.start({ http: async (request) => reply(`read ${textOf(request)}`) });
    const post = (body: string) =>
      (gate.transport as MemoryTransport).fetch(new Request("http://gate.test/x", { method: "POST", body }));
    expect(await (await post("hello")).text()).toBe("read hello");
    expect((await post("x".repeat(maxBodyBytes + 1))).status).toBe(413);
    await rig.stop();
  });

  it("has nobody at a port that was closed", async () => {
    const rig = new Rig(subject);
    const gate = await rig.start();
    await gate.listener.close(0);
    await expect(rig.connect(gate)).rejects.toThrow(`nobody listens on port ${gate.port}`);
  });
});

import { describe, expect, it } from "vitest";
import { createWsTransport } from "../../src/transport/ws.ts";
import { transportContract } from "../contract/transport.ts";
import { Rig, socketPath, type TransportUnderTest } from "../contract/transport-rig.ts";
import { openFrameClient } from "../support/frame-client.ts";
import { frame, RawSocket } from "../support/raw-socket.ts";

const subject: TransportUnderTest = {
  name: "ws",
  create: (onError) => createWsTransport({ onError }),
  connect: (gate, options) => openFrameClient(gate.at, socketPath, options),
  capabilities: {
    tcp: true,
    explainsBrokenFrames: true,
    destroysWithinMs: 2000,
    answersUnparsable: true,
    pipelining: true,
    keepsConnections: true,
  },
  skip: [],
};

transportContract(subject);

describe("ws transport, after its close frame", () => {
  it("stops reading a peer that sends on and on", async () => {
    const rig = new Rig(subject);
    try {
      const gate = await rig.start();
      const raw = await RawSocket.upgrade(gate.at, socketPath);
      const server = await gate.sockets.next();
      server.socket.close(4105, "Too many messages");
      expect((await raw.frame())?.head).toBe(0x88);
      // More than the kernels of both sides hold.
      const megabyte = Buffer.concat(Array.from({ length: 8000 }, () => frame(0x8a, "p".repeat(125))));
      expect(await raw.writeUntilEnd(megabyte)).toBeLessThan(60);
      expect((await server.endings.next()).code).toBe(4105);
    } finally {
      await rig.stop();
    }
  });
});

import { createWsTransport } from "../../src/transport/ws.ts";
import { transportContract } from "../contract/transport.ts";
import { socketPath } from "../contract/transport-rig.ts";
import { openFrameClient } from "../support/frame-client.ts";

transportContract({
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
});

import { createUwsTransport } from "../../src/transport/uws.ts";
import { transportContract } from "../contract/transport.ts";
import { socketPath } from "../contract/transport-rig.ts";
import { openFrameClient } from "../support/frame-client.ts";

transportContract({
  name: "uws",
  create: (onError) => createUwsTransport({ onError }),
  connect: (gate, options) => openFrameClient(gate.at, socketPath, options),
  capabilities: {
    tcp: true,
    explainsBrokenFrames: false,
    destroysWithinMs: 4000,
    answersUnparsable: false,
    pipelining: false,
    keepsConnections: false,
  },
  skip: [
    {
      test: "reads frames that were sent together with the upgrade",
      reason: "uWebSockets.js drops what comes before its 101, for which clients wait (RFC 6455 section 4.1)",
    },
    {
      test: "ends an unfinished message over the limit of its socket, which changes",
      reason:
        "uWebSockets.js has one limit for all sockets, and shows nothing of a message before it is whole",
    },
    {
      test: "refuses an unmasked frame with 1002",
      reason: "uWebSockets.js takes the mask bit for granted and reads the first four bytes as the key",
    },
  ],
});

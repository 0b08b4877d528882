import { describe, expect, it } from "vitest";

import { closeCodes } from "../../protocol/close-codes.ts";
import { startSocketGateway } from "../support/socket-gateway.ts";
import { within } from "../support/within.ts";

describe("a client that stops reading", () => {
  for (const transport of ["ws", "uws"] as const) {
    it(`is closed as a slow consumer on ${transport}, and others are served meanwhile`, async () => {
      const gateway = await startSocketGateway({
        transport,
        limits: { outboxBytes: 65_536, messagesPerSecond: 1_000_000, messagesPerSecondPerUser: 1_000_000 },
      });
      const owner = await gateway.owner();
      const [{ client: slow }, { client: healthy }] = [
        await gateway.enter(owner),
        await gateway.enter(owner),
      ];
      slow.pause();
      // Answers that repeat what was sent: its id. The kernel's buffers fill up first.
      const huge = { id: "x".repeat(60_000), type: "ping" };
      const closed = async () => {
        for (let count = 0; gateway.connections.hub.sockets === 2; count += 1) {
          slow.send(huge);
          if (count % 16 === 0) expect(await healthy.call("ping")).toMatchObject({ type: "pong" });
        }
      };
      await within(closed(), "the slow client's end");
      slow.resume();
      const { code } = await within(slow.closed, "the close");
      expect([closeCodes.slow_consumer.number, 1006]).toContain(code);
      expect(await healthy.call("ping")).toMatchObject({ type: "pong" });
      healthy.terminate();
      await gateway.stop();
    });
  }
});

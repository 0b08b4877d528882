import { describe, expect, it } from "vitest";

import { openBusySocket } from "../../bench/support/busy-socket.ts";
import { type ScriptedSocket, startScriptedGateway } from "../support/scripted-gateway.ts";

const answered = 5;
/** From the last answer to the close, ms. */
const silentMs = 400;

/** Answers some commands, then sends only this until it closes. */
async function endAfter(say: (socket: ScriptedSocket) => void, silent = silentMs) {
  let saidAt = Number.NaN;
  const gateway = await startScriptedGateway((message, socket) => {
    if (message.type === "auth") socket.send({ type: "auth_ok", ha_version: "2026.11.0" });
    if (message.type !== "supported_features" || Number(message.id) > answered) return undefined;
    if (message.id === answered) {
      setTimeout(() => {
        saidAt = performance.now();
        say(socket);
      }, silent / 2);
      setTimeout(() => socket.close(4301), silent);
    }
    return null;
  });
  try {
    const { ended } = await openBusySocket(Number(new URL(gateway.url).port), "a token");
    return { ...(await ended), saidAt };
  } finally {
    await gateway.stop();
  }
}

describe("a busy socket of a benchmark", () => {
  it("is not served any more from the command that is never answered, although it stays open", async () => {
    const { unservedFrom, closedAt, saidAt } = await endAfter(() => undefined);
    expect(unservedFrom).toBeLessThan(saidAt);
    expect(closedAt - unservedFrom).toBeGreaterThan(silentMs / 2);
  });

  it("does not count as served by the message that it is suspended", async () => {
    const { unservedFrom, saidAt } = await endAfter((socket) => socket.send({ type: "auth_suspended" }));
    expect(unservedFrom).toBeLessThan(saidAt);
  });

  it("was served if anything else arrives after all", async () => {
    const { unservedFrom, saidAt } = await endAfter((socket) => socket.send({ id: 1, type: "event" }));
    expect(unservedFrom).toBeGreaterThanOrEqual(saidAt);
  });
});

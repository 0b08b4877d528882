import { expect } from "vitest";
import { stretched } from "../support/machine-share.ts";
import { within } from "../support/within.ts";
import type { Accepted, Fact } from "./transport-rig.ts";

async function endsOnce(server: Accepted): Promise<{ code: number; reason: string }> {
  const ending = await server.endings.next();
  server.socket.close(1000, "again");
  server.socket.terminate();
  expect(server.socket.send("x")).toBe("dropped");
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(server.endings.waiting).toEqual([]);
  return ending;
}

export function closingFacts(fact: Fact): void {
  fact("tells one close with the client's code and reason", async (rig) => {
    const { gate, client, server } = await rig.pair();
    client.close(4001, "done ✓");
    expect(await endsOnce(server)).toEqual({ code: 4001, reason: "done ✓" });
    expect(gate.listener.sockets).toBe(0);
  });

  fact("tells 1005 for a close without a code", async (rig) => {
    const { client, server } = await rig.pair();
    client.close();
    expect(await endsOnce(server)).toEqual({ code: 1005, reason: "" });
  });

  fact("tells 1006 for a client that is gone", async (rig) => {
    const { client, server } = await rig.pair();
    client.terminate();
    expect(await endsOnce(server)).toEqual({ code: 1006, reason: "" });
  });

  fact("tells its own code and reason after its own close", async (rig) => {
    const { client, server } = await rig.pair();
    server.socket.close(4301, "Session was revoked");
    server.socket.close(4302, "too late");
    expect(server.socket.send("after")).toBe("dropped");
    expect(server.endings.waiting).toEqual([]);
    expect(await within(client.closed, "the close")).toEqual({ code: 4301, reason: "Session was revoked" });
    expect(await endsOnce(server)).toEqual({ code: 4301, reason: "Session was revoked" });
    expect(client.frames.waiting).toEqual([]);
  });

  fact("delivers what was sent before its close", async (rig) => {
    const { client, server } = await rig.pair();
    for (let i = 0; i < 50; i += 1) server.socket.send(`m${i}`);
    server.socket.close(1000, "");
    for (let i = 0; i < 50; i += 1) expect(await client.frames.next()).toBe(`m${i}`);
    expect((await within(client.closed, "the close")).code).toBe(1000);
  });

  fact("gives no message to the handler after its own close", async (rig) => {
    const { client, server } = await rig.pair({
      react: { message: ({ socket }, frame) => frame === "bye" && socket.close(4301, "") },
    });
    client.send("bye");
    for (let i = 0; i < 20; i += 1) client.send("more");
    await server.endings.next();
    expect(server.messages.waiting).toEqual(["bye"]);
  });

  fact("terminates at once and tells 1006, not from inside the call", async (rig) => {
    const { client, server } = await rig.pair();
    server.socket.terminate();
    expect(server.endings.waiting).toEqual([]);
    expect(await endsOnce(server)).toEqual({ code: 1006, reason: "" });
    expect((await within(client.closed, "the loss")).code).toBe(1006);
  });

  fact("closes and terminates from inside the handler's making", async (rig) => {
    const gate = await rig.start({ react: { opened: ({ socket }) => socket.close(4101, "Too many") } });
    const client = await rig.connect(gate);
    expect(await within(client.closed, "the close")).toEqual({ code: 4101, reason: "Too many" });
    expect(await endsOnce(await gate.sockets.next())).toEqual({ code: 4101, reason: "Too many" });
    const other = await rig.start({ react: { opened: ({ socket }) => socket.terminate() } });
    await rig.connect(other).catch(() => undefined);
    expect((await endsOnce(await other.sockets.next())).code).toBe(1006);
  });

  fact("cuts a reason of more than 123 bytes at a character", async (rig) => {
    for (const [reason, cut] of reasons) {
      const { client, server } = await rig.pair();
      server.socket.close(4000, reason);
      expect((await within(client.closed, "the close")).reason).toBe(cut);
      expect((await server.endings.next()).reason).toBe(cut);
    }
  });

  fact("closes with 1011 in place of a code that no close frame may carry", async (rig) => {
    for (const code of [0, 999, 1005, 1006, 1015, 2999, 5000, 1000.5, Number.NaN]) {
      const { client, server } = await rig.pair();
      server.socket.close(code, "");
      expect((await within(client.closed, "the close")).code).toBe(1011);
    }
  });

  fact("is inert after the end: no method throws", async (rig) => {
    const { client, server } = await rig.pair();
    client.close(1000);
    await server.endings.next();
    const { socket } = server;
    expect([socket.send("x"), socket.send(Uint8Array.of(1)), socket.bufferedBytes]).toEqual([
      "dropped",
      "dropped",
      0,
    ]);
    socket.ping();
    socket.close(1000, "x");
    socket.terminate();
    expect(server.endings.waiting).toEqual([]);
  });
}

const reasons: readonly (readonly [string, string])[] = [
  ["x".repeat(123), "x".repeat(123)],
  ["x".repeat(124), "x".repeat(123)],
  [`${"x".repeat(122)}é`, "x".repeat(122)],
  ["€".repeat(42), "€".repeat(41)],
  [`x${"😀".repeat(31)}`, `x${"😀".repeat(30)}`],
];

export function stoppingFacts(fact: Fact): void {
  fact("closes what is left with 1001 and frees the port", async (rig) => {
    const gate = await rig.start({ port: await rig.freePort() });
    const clients = await Promise.all([rig.connect(gate), rig.connect(gate), rig.connect(gate)]);
    const servers = [await gate.sockets.next(), await gate.sockets.next(), await gate.sockets.next()];
    expect(gate.listener.sockets).toBe(3);
    await within(gate.listener.close(2000), "the listener to close", stretched(5000));
    for (const client of clients) expect((await within(client.closed, "1001")).code).toBe(1001);
    for (const server of servers) expect((await server.endings.next()).code).toBe(1001);
    expect(gate.listener.sockets).toBe(0);
    const again = await rig.start({ port: gate.port });
    await rig.connect(again);
  });

  fact("takes no new socket after stopAccepting, and keeps the open ones", async (rig) => {
    const { gate, client, server } = await rig.pair();
    gate.listener.stopAccepting();
    gate.listener.stopAccepting();
    await expect(rig.connect(gate)).rejects.toThrow();
    client.send("still here");
    expect(await server.messages.next()).toBe("still here");
    server.socket.send("so am I");
    expect(await client.frames.next()).toBe("so am I");
  });

  fact("says in words that a port is in use", async (rig) => {
    const gate = await rig.start();
    await expect(rig.start({ port: gate.port })).rejects.toThrow(`port ${gate.port} is in use`);
  });

  fact("closes twice as once", async (rig) => {
    const gate = await rig.start();
    await Promise.all([gate.listener.close(100), gate.listener.close(100)]);
  });

  fact("does not wait longer than the grace for a client that reads nothing", async (rig) => {
    const { gate, client, server } = await rig.pair();
    client.pause();
    while (server.socket.send(new Uint8Array(60_000)) !== "queued");
    const before = performance.now();
    await within(gate.listener.close(300), "the listener to close", stretched(5000));
    expect(performance.now() - before).toBeLessThan(stretched(2000));
    expect((await server.endings.next()).code).toBe(1001);
  });
}

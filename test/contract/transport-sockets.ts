import { expect } from "vitest";
import { Refused } from "../support/frame-client.ts";
import { within } from "../support/within.ts";
import { type Fact, maxMessageBytes, socketPath } from "./transport-rig.ts";

const texts = [
  "",
  "a",
  "\ufeffmarked",
  '{"type":"auth"}',
  "ä€😀\u0000\u007f",
  "x".repeat(125),
  "x".repeat(126),
  "é".repeat(32_768),
];
const allBytes = Uint8Array.from({ length: 256 }, (_, i) => i);
const binaries = [new Uint8Array(), Uint8Array.of(0), allBytes, new Uint8Array(maxMessageBytes).fill(0xfe)];

export function messageFacts(fact: Fact): void {
  fact("carries text and bytes to the server unchanged and in order", async (rig) => {
    const { client, server } = await rig.pair();
    for (const frame of [...texts, ...binaries]) client.send(frame);
    for (const frame of [...texts, ...binaries]) expect(await server.messages.next()).toEqual(frame);
  });

  fact("carries text and bytes to the client unchanged and in order", async (rig) => {
    const { client, server } = await rig.pair();
    for (const frame of [...texts, ...binaries]) expect(server.socket.send(frame)).not.toBe("dropped");
    for (const frame of [...texts, ...binaries]) expect(await client.frames.next()).toEqual(frame);
  });

  fact("sends the part of a buffer that a view shows, and no more", async (rig) => {
    const { client, server } = await rig.pair();
    server.socket.send(allBytes.subarray(10, 20));
    expect(await client.frames.next()).toEqual(allBytes.slice(10, 20));
  });

  fact("delivers what the handler sends while it is made, first", async (rig) => {
    const { client, server } = await rig.pair({
      react: { opened: ({ socket }) => expect(socket.send("hello")).toBe("sent") },
    });
    server.socket.send("later");
    expect([await client.frames.next(), await client.frames.next()]).toEqual(["hello", "later"]);
  });

  fact("answers from inside message", async (rig) => {
    const { client } = await rig.pair({ react: { message: ({ socket }, frame) => void socket.send(frame) } });
    for (const text of texts) client.send(text);
    for (const text of texts) expect(await client.frames.next()).toBe(text);
  });

  fact("hears the pong to its ping", async (rig) => {
    const { server } = await rig.pair();
    server.socket.ping();
    expect(await server.pongs.next()).toBe(true);
  });

  fact("takes a message of exactly the limit", async (rig) => {
    const { client, server } = await rig.pair();
    client.send("x".repeat(maxMessageBytes));
    expect(await server.messages.next()).toHaveLength(maxMessageBytes);
  });

  fact("closes a message one byte over the limit with 1009", async (rig) => {
    const { client, server } = await rig.pair();
    client.send("x".repeat(maxMessageBytes + 1));
    expect((await within(client.closed, "the client's close")).code).toBe(1009);
    expect((await server.endings.next()).code).toBe(1009);
    expect(server.messages.waiting).toEqual([]);
  });
}

export function upgradeFacts(fact: Fact): void {
  fact("gives a snapshot of the upgrade that is still right after awaits", async (rig) => {
    const gate = await rig.start({ subprotocol: () => "first" });
    await rig.connect(gate, {
      target: `${socketPath}?a=1&b=%20`,
      headers: { "x-one": "1", origin: "http://gate.test", "user-agent": "contract" },
      subprotocols: ["first", "second"],
    });
    const { request } = await gate.sockets.next();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(request).toMatchObject({
      path: socketPath,
      query: "a=1&b=%20",
      address: "127.0.0.1",
      subprotocols: ["first", "second"],
    });
    const names = ["x-one", "origin", "user-agent", "x-two"];
    expect(names.map((name) => request.header(name))).toEqual([
      "1",
      "http://gate.test",
      "contract",
      undefined,
    ]);
  });

  fact("chooses the admitted subprotocol", async (rig) => {
    const gate = await rig.start({ subprotocol: () => "second" });
    const client = await rig.connect(gate, { subprotocols: ["first", "second"] });
    expect(client.subprotocol).toBe("second");
  });

  fact("names no subprotocol when none was admitted", async (rig) => {
    const gate = await rig.start();
    const client = await rig.connect(gate);
    expect(client.subprotocol).toBeUndefined();
  });

  fact("refuses with the admission's status, headers and body", async (rig) => {
    const gate = await rig.start({
      checkUpgrade: () => ({
        accept: false,
        status: 403,
        headers: { "x-why": "origin" },
        body: "not from there",
      }),
    });
    const refused = await rig.connect(gate).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(Refused);
    expect(refused).toMatchObject({ status: 403, body: "not from there", headers: { "x-why": "origin" } });
    expect(gate.listener.sockets).toBe(0);
  });

  fact("answers 404 to an upgrade of another path, without asking", async (rig) => {
    const gate = await rig.start();
    for (const target of ["/", "/api/websocket/", "/api/WebSocket", "/api/websocket/x", "//api/websocket"]) {
      await expect(rig.connect(gate, { target })).rejects.toMatchObject({ status: 404 });
    }
    expect(gate.upgrades).toEqual([]);
  });

  fact("answers 500 and reports it when the check of the upgrade throws", async (rig) => {
    const gate = await rig.start({
      checkUpgrade: () => {
        throw new Error("broken check");
      },
    });
    await expect(rig.connect(gate)).rejects.toMatchObject({ status: 500 });
    expect(gate.errors).toMatchObject([{ message: "broken check" }]);
  });

  fact("never echoes a subprotocol that was not offered", async (rig) => {
    const gate = await rig.start({ subprotocol: () => "not-offered" });
    const client = await rig.connect(gate, { subprotocols: [] });
    expect(client.subprotocol).toBeUndefined();
    expect(gate.errors).toHaveLength(1);
  });
}

export function faultFacts(fact: Fact): void {
  fact("closes with 1011 and reports it when a handler throws, and lives on", async (rig) => {
    const { gate, client, server } = await rig.pair({
      react: {
        message: () => {
          throw new Error("broken handler");
        },
      },
    });
    client.send("x");
    expect((await within(client.closed, "the close")).code).toBe(1011);
    expect((await server.endings.next()).code).toBe(1011);
    expect(gate.errors).toMatchObject([{ message: "broken handler" }]);
    await rig.connect(gate);
  });

  fact("closes with 1011 when the handler cannot be made", async (rig) => {
    const gate = await rig.start({
      react: {
        opened: () => {
          throw new Error("broken maker");
        },
      },
    });
    const client = await rig.connect(gate);
    expect((await within(client.closed, "the close")).code).toBe(1011);
    expect(gate.errors).toMatchObject([{ message: "broken maker" }]);
  });

  fact("reports a closed that throws", async (rig) => {
    const { gate, client, server } = await rig.pair({
      react: {
        closed: () => {
          throw new Error("broken closed");
        },
      },
    });
    client.close(1000);
    await server.endings.next();
    expect(gate.errors).toMatchObject([{ message: "broken closed" }]);
    expect(gate.listener.sockets).toBe(0);
  });
}

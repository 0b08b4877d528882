import { afterEach, describe, expect, it } from "vitest";
import { createWsTransport } from "../../src/transport/ws.ts";
import { type Accepted, Gate, type GateOptions, socketPath } from "../contract/transport-rig.ts";
import { frame, RawSocket } from "../support/raw-socket.ts";

const TEXT = 0x81;
const TEXT_PART = 0x01;
const PART = 0x00;
const LAST = 0x80;
const many = 60_000;
const fragments = Buffer.concat([
  frame(TEXT_PART, "x"),
  ...Array.from({ length: many }, () => frame(PART, "x")),
  frame(LAST, "x"),
]);

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function start(options: GateOptions = {}): Promise<Gate> {
  const gate = new Gate(createWsTransport(), [], undefined);
  await gate.listen(options);
  undo.push(() => gate.listener.close(0));
  return gate;
}

async function connect(gate: Gate): Promise<{ readonly client: RawSocket; readonly server: Accepted }> {
  const client = await RawSocket.upgrade(gate.at, socketPath);
  undo.push(() => client.destroy());
  return { client, server: await gate.sockets.next() };
}

describe("many frames in one read on ws", () => {
  it("are read in turns with what others send, and told of", async () => {
    let begun = () => undefined as unknown;
    const order: Accepted[] = [];
    const told = [0];
    const gate = await start({
      react: {
        fragments: ({ parts }) => {
          told.push(parts);
          begun();
        },
        message: (accepted) => void order.push(accepted),
      },
    });
    const [flood, other] = [await connect(gate), await connect(gate)];
    begun = () => {
      begun = () => undefined;
      other.client.write(frame(TEXT, "here"));
    };
    flood.client.write(fragments);
    expect(await flood.server.messages.next()).toBe("x".repeat(many + 2));
    expect(order).toEqual([other.server, flood.server]);
    expect(flood.server.parts).toBeGreaterThan(many - 64);
    // A read has thousands of them.
    expect(Math.max(...told.map((parts, nth) => parts - (told[nth - 1] ?? 0)))).toBeLessThan(200);
    expect(other.server.parts).toBe(0);
  });

  it("are read no further when the handler closes for their number", async () => {
    const gate = await start({ react: { fragments: ({ socket }) => socket.close(4105, "enough") } });
    const { client, server } = await connect(gate);
    client.write(fragments);
    const answer = await client.frame();
    expect([answer?.head, answer?.payload.readUInt16BE(0)]).toEqual([0x88, 4105]);
    client.destroy();
    expect((await server.endings.next()).code).toBe(4105);
    expect(server.messages.waiting).toEqual([]);
    expect(server.parts).toBeLessThan(200);
  });

  it("keep their order, up to the end of the connection", async () => {
    const gate = await start();
    const texts = Array.from({ length: 500 }, (_, nth) => `message ${nth}`);
    const bytes = Buffer.concat(texts.map((text) => frame(TEXT, text)));
    for (const end of ["close frame", "FIN"]) {
      const { client, server } = await connect(gate);
      client.write(end === "FIN" ? bytes : Buffer.concat([bytes, frame(0x88, "\x03\xe8")]));
      client.finish();
      expect((await server.endings.next()).code).toBe(end === "FIN" ? 1006 : 1000);
      expect(server.messages.waiting).toEqual(texts);
    }
  });

  it("are dropped with a socket that is gone", async () => {
    let begun = (_: Accepted) => undefined as unknown;
    const gate = await start({ react: { fragments: (accepted) => begun(accepted) } });
    const { client, server } = await connect(gate);
    begun = ({ socket }) => socket.terminate();
    client.write(fragments);
    expect((await server.endings.next()).code).toBe(1006);
    expect(server.messages.waiting).toEqual([]);
    expect(gate.listener.sockets).toBe(0);
    begun = () => undefined;
    const next = await connect(gate);
    next.client.write(fragments);
    expect(await next.server.messages.next()).toHaveLength(many + 2);
  });
});

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";

import { createJsonCodec } from "../../src/codec/json.ts";
import { EndOfTickBatch, Outbox, outboxLimits } from "../../src/connection/outbox.ts";
import { createTimerWheel } from "../../src/connection/timer-wheel.ts";
import { fakeSocket } from "../support/fake-socket.ts";
import { handClock } from "../support/hand-clock.ts";

const rethrow = (error: unknown) => {
  throw error;
};

function setUp(maxBytes: number = outboxLimits.bytes) {
  const clock = handClock();
  const wheel = createTimerWheel({ clock, onError: rethrow });
  const socket = fakeSocket();
  let overflows = 0;
  const parts = { turns: new EndOfTickBatch(rethrow), wheel, outboxBytes: maxBytes };
  const outbox: Outbox = new Outbox(socket, createJsonCodec(), parts, {
    maySend: true,
    overflowed() {
      overflows += 1;
      outbox.stop();
    },
  });
  return { clock, wheel, socket, outbox, overflows: () => overflows };
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const wind = ({ clock, wheel }: ReturnType<typeof setUp>, ms: number) => {
  clock.advance(ms);
  wheel.turn();
};

describe("outbox", () => {
  it("sends to an idle socket at once, one frame a message", () => {
    const { outbox, socket } = setUp();
    outbox.send("1");
    outbox.send("2");
    expect(socket.frames).toEqual(["1", "2"]);
    expect(outbox.waiting).toBe(0);
  });

  it("keeps order behind a full socket and goes on when it has drained", () => {
    const { outbox, socket } = setUp();
    socket.answer = "queued";
    outbox.send("1");
    outbox.send("2");
    outbox.send("3");
    expect(socket.frames).toEqual(["1"]);
    outbox.drained();
    expect(socket.frames).toEqual(["1", "2"]);
    socket.answer = "sent";
    outbox.drained();
    outbox.send("4");
    expect(socket.frames).toEqual(["1", "2", "3", "4"]);
    expect([outbox.waiting, outbox.waitingBytes]).toEqual([0, 0]);
  });

  it("coalesces what one loop turn sends into one array and leaves a single message bare", async () => {
    const { outbox, socket } = setUp();
    outbox.coalesce();
    outbox.send('{"a":1}');
    outbox.send('{"b":2}');
    expect(socket.frames).toEqual([]);
    await turn();
    outbox.send('{"c":3}');
    await turn();
    expect(socket.frames).toEqual(['[{"a":1},{"b":2}]', '{"c":3}']);
  });

  it("puts at most 256 messages into one frame", async () => {
    const { outbox, socket } = setUp();
    outbox.coalesce();
    for (let index = 0; index < 600; index += 1) outbox.send("0");
    await turn();
    expect(socket.messages.map((message) => (message as unknown[]).length)).toEqual([256, 256, 88]);
  });

  it("overflows at 4096 messages, and holds 4096", () => {
    const { outbox, socket, overflows } = setUp();
    socket.answer = "queued";
    outbox.send("0");
    for (let index = 0; index < outboxLimits.messages; index += 1) outbox.send("0");
    expect([outbox.waiting, overflows()]).toEqual([4096, 0]);
    outbox.send("0");
    expect([outbox.waiting, overflows()]).toEqual([0, 1]);
  });

  it("overflows by bytes of UTF-8, not by characters", () => {
    const { outbox, socket, overflows } = setUp(100);
    socket.answer = "queued";
    outbox.send("0");
    outbox.send("€".repeat(33));
    expect(overflows()).toBe(0);
    outbox.send("€");
    expect(overflows()).toBe(1);
  });

  it("takes one message of any size behind a full socket, and counts what waits beside it", () => {
    const { outbox, socket, overflows } = setUp(100);
    socket.answer = "queued";
    outbox.send("0");
    outbox.send("1".repeat(100));
    outbox.send("2".repeat(101));
    expect([outbox.waiting, overflows()]).toEqual([2, 0]);
    outbox.drained();
    outbox.drained();
    outbox.send("3".repeat(5000));
    outbox.send("4".repeat(100));
    expect([outbox.waiting, overflows()]).toEqual([2, 0]);
    outbox.send("5");
    expect(overflows()).toBe(1);
  });

  it("does not close a client that reads for what one loop turn sends, while it coalesces", async () => {
    const { outbox, socket, overflows } = setUp(100);
    outbox.coalesce();
    for (const size of [60, 60, 500, 500, 60]) outbox.send("7".repeat(size));
    await turn();
    expect(overflows()).toBe(0);
    expect(socket.frames.join("").length).toBeGreaterThan(1180);
    for (let index = 0; index < outboxLimits.messages + 10; index += 1) outbox.send("");
    await turn();
    expect([overflows(), outbox.waiting]).toEqual([0, 0]);
  });

  it("calls a client slow that has more than 1024 waiting for 10 s, and only then", () => {
    const slow = setUp();
    slow.socket.answer = "queued";
    slow.outbox.send("0");
    for (let index = 0; index < 1025; index += 1) slow.outbox.send("0");
    wind(slow, 9900);
    expect(slow.overflows()).toBe(0);
    wind(slow, 200);
    expect(slow.overflows()).toBe(1);
  });

  it("forgives a client that catches up in time", () => {
    const busy = setUp();
    busy.socket.answer = "queued";
    busy.outbox.send("0");
    for (let index = 0; index < 1025; index += 1) busy.outbox.send("0");
    wind(busy, 9900);
    busy.outbox.drained();
    wind(busy, 60_000);
    expect(busy.overflows()).toBe(0);
  });

  it("hands everything over when it must be out, also to a full socket", async () => {
    const { outbox, socket } = setUp();
    outbox.coalesce();
    socket.answer = "queued";
    outbox.send("1");
    outbox.send("2");
    outbox.pushAll();
    outbox.send("3");
    outbox.pushAll();
    expect(socket.frames).toEqual(["[1,2]", "3"]);
    await turn();
    expect(socket.frames).toHaveLength(2);
  });

  it("sends nothing after stop, not even what was coalescing", async () => {
    const { outbox, socket } = setUp();
    outbox.coalesce();
    outbox.send("1");
    outbox.stop();
    outbox.send("2");
    await turn();
    outbox.drained();
    expect(socket.frames).toEqual([]);
  });

  it("keeps nothing of what has left a queue that never runs empty", async () => {
    const { outbox, socket } = setUp();
    socket.answer = "queued";
    outbox.send("first");
    const sent: WeakRef<Uint8Array>[] = [];
    for (let count = 0; count < 500; count += 1) {
      const frame = new Uint8Array(16);
      sent.push(new WeakRef(frame));
      outbox.send(frame);
      // Two wait while one leaves.
      if (count > 1) outbox.drained();
    }
    socket.frames.length = 0;
    await turn();
    collectGarbage();
    expect(outbox.waiting).toBe(2);
    expect(sent.filter((frame) => frame.deref() !== undefined).length).toBeLessThan(100);
  });
});
